//! Statements that run: they are listed, and end when somebody says so or time is over.

use std::time::Duration;

use futures::StreamExt;
use sheafdb::{Database, ErrorKind, Output, Session, SessionOptions};

use crate::support::{rows, run};

const ENDLESS: &str = "SELECT a.value FROM generate_series(1, 10000000) a \
    CROSS JOIN generate_series(1, 1000000) b";

fn counted() -> String {
    format!("SELECT count(*) FROM ({ENDLESS}) AS endless")
}

/// The number of a statement that runs, once it does.
async fn number_of(session: &Session, sql: &str) -> String {
    loop {
        let like = sql.replace('\'', "''");
        let query = format!("SELECT query FROM sheaf.queries WHERE sql = '{like}'");
        if let [number] = &rows(session, &query).await.unwrap()[..] {
            return number.clone();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn rows_that_are_on_their_way_are_listed_and_cancelled() {
    let database = Database::in_memory().unwrap();
    let session = database.session();
    let ada = SessionOptions::new().user("ada");
    let Output::Rows { mut stream, .. } = database.session_with(ada).query(ENDLESS).await.unwrap()
    else {
        panic!("no rows")
    };
    assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
    let listed = "SELECT user_name, rows > 0, started <= now() FROM sheaf.queries \
        WHERE user_name IS NOT NULL";
    assert_eq!(rows(&session, listed).await.unwrap(), ["ada true true"]);
    let number = number_of(&session, ENDLESS).await;
    run(&session, &format!("CANCEL {number}")).await;
    let error = loop {
        match stream.next().await.expect("an error ends the rows") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind, error.sqlstate()), (ErrorKind::Cancelled, "57014"));
    drop(stream);
    let error = session.query(&format!("CANCEL {number}")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UndefinedObject, "{error}");
}

#[tokio::test]
async fn a_statement_without_rows_yet_is_cancelled_and_leaves_nothing() {
    let database = Database::in_memory().unwrap();
    let session = database.session();
    run(&session, "CREATE TABLE t (a BIGINT)").await;
    for sql in
        [counted(), format!("INSERT INTO t {ENDLESS}"), format!("CREATE TABLE u AS {ENDLESS}")]
    {
        let (other, text) = (database.session(), sql.clone());
        let running = tokio::spawn(async move { other.query(&text).await.map(drop) });
        let number = number_of(&session, &sql).await.parse().unwrap();
        assert!(database.cancel(number));
        assert_eq!(running.await.unwrap().unwrap_err().kind, ErrorKind::Cancelled, "{sql}");
    }
    assert_eq!(rows(&session, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
    run(&session, "CREATE TABLE u (a BIGINT)").await;
    // The threads of queries are free again, too.
    let distinct = "SELECT count(DISTINCT value % 1000) FROM generate_series(1, 100000)";
    let answer = tokio::time::timeout(Duration::from_secs(60), rows(&session, distinct)).await;
    assert_eq!(answer.expect("an answer").unwrap(), ["1000"]);
    assert!(database.statements().is_empty(), "{:?}", database.statements());
}

#[tokio::test]
async fn the_memory_of_a_statement_is_told() {
    let database = Database::in_memory().unwrap();
    let other = database.session();
    let sorted = format!("SELECT value FROM ({ENDLESS}) AS endless ORDER BY value DESC");
    let text = sorted.clone();
    let running = tokio::spawn(async move { other.query(&text).await.map(drop) });
    let statement = loop {
        let statements = database.statements();
        if let Some(statement) = statements.into_iter().find(|s| s.sql == sorted && s.bytes > 0) {
            break statement;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert!(database.cancel(statement.id));
    assert_eq!(running.await.unwrap().unwrap_err().kind, ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_statement_ends_when_its_time_is_over() {
    let database = Database::in_memory().unwrap();
    let patient = database.session();
    run(&patient, "SET statement_timeout = '90min'").await;
    let shown = rows(&patient, "SHOW statement_timeout").await.unwrap();
    assert_eq!(shown, ["statement_timeout 90 min"]);
    run(&patient, "RESET statement_timeout").await;
    assert_eq!(rows(&patient, "SHOW statement_timeout").await.unwrap(), ["statement_timeout 0"]);
    let session = database.session();
    run(&session, "SET statement_timeout = '50ms'").await;
    let error = session.query(&counted()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert_eq!(
        error.to_string(),
        "the statement ran longer than 50 ms; SET statement_timeout = 0 lifts the limit"
    );
    // Also while nobody takes the rows.
    let session = database.session();
    run(&session, "SET statement_timeout = '2 s'").await;
    let Output::Rows { mut stream, .. } = session.query(ENDLESS).await.unwrap() else {
        panic!("no rows")
    };
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let mut last = None;
    while let Some(batch) = stream.next().await {
        last = batch.err();
    }
    assert_eq!(last.map(|error| error.kind), Some(ErrorKind::Cancelled));
}
