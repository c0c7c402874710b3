//! Sessions from Rust: parameters, prepared statements, streams, blocking calls.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;
use futures::StreamExt;
use sheafdb::{ErrorKind, Output, Session};

use crate::support::{lines, rows, run, session};

#[tokio::test]
async fn parameters_take_part_in_queries_and_writes() {
    let session = session();
    run(&session, "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT)").await;
    let insert = session.prepare("INSERT INTO t VALUES ($1, $2)").unwrap();
    for id in 0..10i64 {
        let output = insert
            .run(vec![ScalarValue::from(id), ScalarValue::from(format!("n{id}"))])
            .await
            .unwrap();
        assert!(matches!(output, Output::Done { tag, .. } if tag.rows == Some(1)));
    }
    let output = session
        .query_with("SELECT name FROM t WHERE id = $1", vec![ScalarValue::from(7i64)])
        .await
        .unwrap();
    assert_eq!(lines(&output.collect().await.unwrap()), ["n7"]);
    let null = session
        .query_with(
            "INSERT INTO t VALUES ($1, $2)",
            vec![ScalarValue::from(10i64), ScalarValue::Null],
        )
        .await;
    assert!(null.is_ok());
    assert_eq!(rows(&session, "SELECT count(*) FROM t WHERE name IS NULL").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn a_missing_parameter_is_an_error() {
    let error = session().query("SELECT $1 + 1").await.unwrap_err();
    assert!(error.message.contains("$1"), "{error}");
}

#[tokio::test]
async fn rows_stream_and_a_dropped_stream_stops() {
    let session = session();
    let sql =
        "SELECT a.value FROM generate_series(1, 100000) a CROSS JOIN generate_series(1, 1000) b";
    let Output::Rows { mut stream, .. } = session.query(sql).await.unwrap() else {
        panic!("no rows")
    };
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.num_rows() > 0);
    drop(stream);
    assert_eq!(rows(&session, "SELECT 1").await.unwrap(), ["1"]);
}

#[test]
fn callers_need_no_executor() {
    let session = session();
    session.execute_blocking("CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (1), (2)").unwrap();
    let output = session.query_blocking("SELECT sum(a) FROM t", vec![]).unwrap();
    let batches = futures::executor::block_on(output.collect()).unwrap();
    assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 3);
}

#[tokio::test]
async fn blocking_calls_inside_executors_are_refused() {
    let error = session().execute_blocking("SELECT 1").unwrap_err();
    assert!(error.message.contains("asynchronous"), "{error}");
}

#[tokio::test]
async fn statements_run_in_order_until_one_fails() {
    let session = session();
    let error = session
        .execute("CREATE TABLE t (a INT); INSERT INTO t VALUES (1); INSERT INTO t VALUES ('x'); INSERT INTO t VALUES (2)")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidText);
    assert_eq!(rows(&session, "SELECT a FROM t").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn a_syntax_error_runs_nothing() {
    let session = session();
    assert!(session.execute("CREATE TABLE t (a INT); SELEC").await.is_err());
    assert_eq!(
        rows(&session, "SELECT * FROM t").await.unwrap_err().kind,
        ErrorKind::UndefinedTable
    );
}

#[tokio::test]
async fn errors_carry_position_and_hint() {
    let session = session();
    run(&session, "CREATE TABLE readings (id BIGINT PRIMARY KEY, temperature DOUBLE)").await;
    let error = session.query("SELECT *\nFROM reading").await.unwrap_err();
    assert_eq!(error.message, "table 'reading' not found");
    assert_eq!(error.position, Some((2, 6)));
    assert_eq!(error.hint.as_deref(), Some("did you mean 'readings'?"));
    let error = session.query("SELECT id,\n  temprature FROM readings").await.unwrap_err();
    assert_eq!((error.kind, error.position), (ErrorKind::UndefinedColumn, Some((2, 3))));
    assert_eq!(error.hint.as_deref(), Some("did you mean 'temperature'?"));
}

#[tokio::test]
async fn settings_and_prepared_statements_belong_to_one_session() {
    let one = session();
    let other = one.database().session();
    run(&one, "SET durability = 'none'; PREPARE p AS SELECT 1").await;
    assert_eq!(rows(&one, "SHOW durability").await.unwrap(), ["durability none"]);
    assert_eq!(rows(&other, "SHOW durability").await.unwrap(), ["durability default"]);
    assert!(rows(&other, "EXECUTE p").await.is_err());
}

#[tokio::test]
async fn a_deep_expression_does_not_overflow_the_stack() {
    let session = session();
    let terms = vec!["(1 = 1)"; 1_500].join(" OR ");
    assert_eq!(rows(&session, &format!("SELECT {terms}")).await.unwrap(), ["true"]);
}

#[test]
fn shells_know_when_a_statement_is_complete() {
    assert!(!Session::is_complete("SELECT 'a;"));
    assert!(Session::is_complete("SELECT 1;"));
    let (complete, rest) = Session::split_complete("SELECT 1; SELECT 2");
    assert_eq!((complete, rest), (vec!["SELECT 1".to_owned()], " SELECT 2"));
    assert_eq!(Session::split("SELECT 1; SELECT 2").unwrap().len(), 2);
}
