//! Results in each format.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;

use crate::command::{command, sheaf, without_times};

const SQL: &str = "SELECT * FROM (VALUES (1::BIGINT, 'one'), (2, NULL)) AS t(n, name) ORDER BY n";

#[test]
fn a_box_has_names_types_values_and_a_footer() {
    let ran = sheaf(&["-c", SQL]);
    let expected = "\
┌────────┬──────┐
│      n │ name │
│ bigint │ text │
├────────┼──────┤
│      1 │ one  │
│      2 │ NULL │
└────────┴──────┘
2 rows · 2 columns · T s
";
    assert_eq!(without_times(&ran.out), expected, "{}", ran.err);
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_long_result_shows_both_ends() {
    let ran =
        sheaf(&["--rows", "4", "-c", "SELECT value AS n FROM generate_series(1, 5000) ORDER BY n"]);
    let lines: Vec<&str> = ran.out.lines().skip(4).collect();
    let values: Vec<&str> = lines[..5].iter().map(|line| line.trim_matches(['│', ' '])).collect();
    assert_eq!(values, ["1", "2", "⋮", "4999", "5000"], "{}", ran.out);
    assert!(ran.out.contains("5,000 rows (4 shown) · 1 column"), "{}", ran.out);
}

#[test]
fn csv_has_a_header_and_empty_fields_for_null() {
    assert_eq!(sheaf(&["--format", "csv", "-c", SQL]).out, "n,name\n1,one\n2,\n");
}

#[test]
fn csv_of_an_empty_result_is_its_header() {
    assert_eq!(
        sheaf(&["--format", "csv", "-c", &format!("SELECT n FROM ({SQL}) AS x WHERE n > 9")]).out,
        "n\n"
    );
}

#[test]
fn json_is_one_object_per_line() {
    let ran = sheaf(&["--format", "json", "-c", SQL]);
    let rows: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        rows,
        [serde_json::json!({"n": 1, "name": "one"}), serde_json::json!({"n": 2, "name": null})]
    );
}

#[test]
fn arrow_is_an_ipc_stream() {
    let output = command(&["--format", "arrow", "-c", SQL]).output().unwrap();
    let batches: Vec<_> = StreamReader::try_new(output.stdout.as_slice(), None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let numbers: Vec<i64> = batches
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn only_a_box_says_what_a_statement_without_rows_did() {
    let sql = "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2)";
    assert_eq!(sheaf(&["--format", "csv", "-c", sql]).out, "");
    let ran = sheaf(&["-c", sql]);
    assert_eq!(without_times(&ran.out), "CREATE TABLE · T s\nINSERT 0 2 · T s\n", "{}", ran.err);
}

#[test]
fn output_without_a_terminal_has_no_colours() {
    assert!(!sheaf(&["-c", SQL]).out.contains('\u{1b}'));
}
