//! `sheaf connect`: the same shell on a database that another process serves.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use crate::command::{Ran, command, csv, sheaf};

/// A server, until it is dropped.
struct Served {
    process: Child,
    url: String,
    /// It writes more than is read.
    _output: BufReader<ChildStdout>,
}

impl Served {
    fn start(path: &Path) -> Self {
        let arguments = ["serve", path.to_str().unwrap(), "--flight", "127.0.0.1:0"];
        let mut process = command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut banner = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut banner).unwrap();
        let url = banner.split_whitespace().find(|word| word.starts_with("grpc://")).unwrap();
        Self { url: url.trim_end_matches('.').to_owned(), process, _output: output }
    }

    fn run(&self, sql: &str) -> Ran {
        sheaf(&["connect", &self.url, "--format", "csv", "-c", sql])
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn statements_run_on_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("db"));
    let ran = served.run(
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); \
         INSERT INTO t VALUES (1, 'x'), (2, 'y;'); SELECT * FROM t ORDER BY a; \
         SELECT count(*) AS n FROM generate_series(1, 100000)",
    );
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "a,b\n1,x\n2,y;\nn\n100000\n"),
        "{}",
        ran.err
    );

    // What a statement did, and the commands of the shell.
    let boxed = |sql: &str| sheaf(&["connect", &served.url, "-c", sql]);
    let ran = boxed("UPDATE t SET b = 'z'");
    assert!(ran.out.starts_with("done · 2 rows"), "{}{}", ran.out, ran.err);
    let ran = boxed("CREATE SCHEMA s; CREATE TABLE s.u (a INT); CREATE VIEW v AS SELECT 1 AS a");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = boxed("CREATE TEMP TABLE mine (a INT);\n.tables");
    assert!(ran.out.ends_with("mine (temporary)\ns.u\nt\nv (view)\n"), "{}{}", ran.out, ran.err);
    assert_eq!(boxed(".tables").out, "s.u\nt\nv (view)\n");
    assert!(boxed(".schema t").err.contains("DESCRIBE"));
}

#[test]
fn large_values_come_whole() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("db"));
    let ran = served.run("SELECT repeat('x', 5000000) AS t");
    assert_eq!((ran.code, ran.out.len()), (Some(0), 5_000_003), "{}", ran.err);
}

#[test]
fn errors_are_shown_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("db"));
    let ran = served.run("SELECT 1 AS one;\nSELECT nothing;\nSELECT 2 AS two");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "one\n1\n"));
    assert!(ran.err.contains("[42703]") && ran.err.contains('^'), "{}", ran.err);
    // One that comes with the rows.
    let ran = served.run("SELECT 1 / (value - 3) AS q FROM generate_series(1, 3)");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("[22012]"), "{}", ran.err);
}

#[test]
fn who_must_log_in_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    assert_eq!(csv(&path, "CREATE USER ada PASSWORD 'open sesame'").code, Some(0));
    let served = Served::start(&path);
    let ran = served.run("SELECT 1");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("log in"), "{}", ran.err);
    let log_in = |password: &str| -> Ran {
        let arguments =
            ["connect", &served.url, "--user", "ada", "--format", "csv", "-c", "SELECT 1 AS a"];
        command(&arguments).env("SHEAF_PASSWORD", password).output().unwrap().into()
    };
    assert_eq!(log_in("open sesame").out, "a\n1\n");
    let ran = log_in("wrong");
    assert!(ran.code == Some(1) && ran.err.contains("wrong"), "{}", ran.err);
}

#[test]
fn nobody_is_there() {
    let ran = sheaf(&["connect", "grpc://127.0.0.1:1", "-c", "SELECT 1"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("cannot connect to grpc://127.0.0.1:1"), "{}", ran.err);
    assert!(sheaf(&["connect", "postgres://h", "-c", "SELECT 1"]).err.contains("grpc://"));
}
