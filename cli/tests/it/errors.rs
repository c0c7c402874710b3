//! Failures: message, place, hint, exit code.

use crate::command::sheaf;

#[test]
fn a_caret_points_at_what_is_wrong() {
    let ran =
        sheaf(&["-c", "CREATE TABLE readings (id INTEGER);\nSELECT 1;\nSELECT id\nFROM raedings"]);
    assert_eq!(ran.code, Some(1));
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(lines[0].starts_with("error: "), "{}", ran.err);
    assert_eq!(lines[1], "  line 2: FROM raedings", "{}", ran.err);
    assert_eq!(lines[2].chars().count(), "  line 2: FROM r".len(), "{}", ran.err);
    assert!(lines[2].ends_with('^'), "{}", ran.err);
    assert!(lines[3].starts_with("hint: ") && lines[3].contains("readings"), "{}", ran.err);
}

#[test]
fn a_script_file_is_named_with_the_line_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("script.sql");
    std::fs::write(&file, "-- a comment\nSELECT 1;\n\nSELECT\n  nothing;\n").unwrap();
    let ran = sheaf(&["-f", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("script.sql:5:   nothing"), "{}", ran.err);
}

#[test]
fn the_first_error_ends_a_script() {
    let ran = sheaf(&["--format", "csv", "-c", "SELECT 1 AS a; SELECT nope; SELECT 2 AS b"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.out, "a\n1\n");
}

#[test]
fn a_syntax_error_has_a_place() {
    let ran = sheaf(&["-c", "SELEC 1"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("line 1: SELEC 1"), "{}", ran.err);
}

#[test]
fn a_missing_script_is_an_error() {
    let ran = sheaf(&["-f", "there/is/no/such.sql"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("cannot read there/is/no/such.sql"), "{}", ran.err);
}

#[test]
fn read_only_does_not_make_a_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.sheaf");
    let ran = sheaf(&[path.to_str().unwrap(), "--read-only", "-c", "SELECT 1"]);
    assert_eq!(ran.code, Some(1));
    assert!(!path.exists());
}

#[test]
fn read_only_refuses_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sheaf");
    let path = path.to_str().unwrap();
    assert_eq!(sheaf(&[path, "-c", "CREATE TABLE t (a INTEGER)"]).code, Some(0));
    let ran = sheaf(&[path, "--read-only", "-c", "INSERT INTO t VALUES (1)"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("read-only"), "{}", ran.err);
}
