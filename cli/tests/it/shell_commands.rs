//! Commands that start with a dot, and the command line itself.

use crate::command::sheaf;

const TABLE: &str = "CREATE TABLE readings (id BIGINT, at TIMESTAMPTZ NOT NULL, \"Value\" DOUBLE, PRIMARY KEY (id, at DESC))
PARTITION BY time_bucket('7 days', at) CLUSTER BY (\"Value\" DESC NULLS LAST, id DESC);
CREATE VIEW latest AS SELECT max(at) AS at FROM readings;
";

#[test]
fn schema_prints_statements_that_make_the_same_tables() {
    let first = sheaf(&["-c", &format!("{TABLE}\n.schema\n"), "--format", "csv"]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    let again = sheaf(&["-c", &format!("{}\n.schema\n", first.out), "--format", "csv"]);
    assert_eq!(again.out, first.out, "{}", again.err);
    assert!(first.out.contains("\"Value\" DOUBLE"), "{}", first.out);
    assert!(first.out.contains("PRIMARY KEY (id, at DESC)"), "{}", first.out);
    assert!(first.out.contains("CLUSTER BY (\"Value\" DESC NULLS LAST, id DESC)"), "{}", first.out);
    assert!(first.out.contains("PARTITION BY time_bucket('7 days', at)"), "{}", first.out);
}

#[test]
fn tables_lists_tables_and_views() {
    assert_eq!(
        sheaf(&["-c", &format!("{TABLE}\n.tables\n"), "--format", "csv"]).out,
        "latest (view)\nreadings\n"
    );
}

#[test]
fn the_timer_can_be_switched_off() {
    let ran = sheaf(&["-c", ".timer off\nSELECT 1 AS n;"]);
    assert!(ran.out.ends_with("1 row · 1 column\n"), "{}{}", ran.out, ran.err);
}

#[test]
fn read_runs_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("some.sql");
    std::fs::write(&file, "SELECT 7 AS n;\n").unwrap();
    assert_eq!(
        sheaf(&["--format", "csv", "-c", &format!(".read {}", file.display())]).out,
        "n\n7\n"
    );
}

#[test]
fn an_unknown_command_is_an_error_that_says_where_to_look() {
    let ran = sheaf(&["-c", ".nonsense"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains(".help"), "{}", ran.err);
}

#[test]
fn version_is_the_packages() {
    assert_eq!(sheaf(&["--version"]).out, format!("sheaf {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_folder_with_a_commands_name_is_written_as_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tour");
    assert_eq!(sheaf(&[path.to_str().unwrap(), "-c", "CREATE TABLE t (a INTEGER)"]).code, Some(0));
    assert!(path.is_dir());
}
