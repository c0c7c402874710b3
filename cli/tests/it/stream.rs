//! Standard input: statements run as they arrive.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::command::{Ran, command};

#[test]
fn a_result_is_there_before_the_next_statement_is_sent() {
    let mut child =
        command(&["--format", "csv"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    for n in 1..=3 {
        writeln!(input, "SELECT\n {n} AS n;").unwrap();
        assert_eq!(output.next().as_deref(), Some("n"));
        assert_eq!(output.next(), Some(n.to_string()));
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn statements_may_share_a_line_and_the_last_needs_no_semicolon() {
    assert_eq!(piped("SELECT ';' AS a; SELECT 2 AS b;\nSELECT 3 AS c").out, "a\n;\nb\n2\nc\n3\n");
}

#[test]
fn commands_work_between_statements() {
    let ran = piped(
        "CREATE TABLE t (a INTEGER);\n.tables\n.mode json\nSELECT 1 AS n;\n.quit\nSELECT 2 AS n;\n",
    );
    assert_eq!(ran.out, "t\n{\"n\":1}\n");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn nothing_is_not_an_error() {
    let ran = piped(" \n-- nothing\n;\n");
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(0)));
}

fn piped(input: &str) -> Ran {
    let mut child = command(&["--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}
