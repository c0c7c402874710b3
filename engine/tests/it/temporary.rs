//! Temporary tables belong to a session.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use sheafdb::{Database, IfMissing, IfThere, Ingest, OpenOptions};

use crate::support::{rows, run};

/// Tables in schemas that are not the system's.
const TABLES: &str = "SELECT count(*) FROM sheaf.tables";

#[tokio::test]
async fn other_sessions_do_not_see_them_and_they_go_with_theirs() {
    let database = Database::in_memory().unwrap();
    let (one, other) = (database.session(), database.session());
    run(&one, "CREATE TABLE t (k BIGINT PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    run(&one, "CREATE TEMP TABLE t (k BIGINT PRIMARY KEY); INSERT INTO t VALUES (2)").await;
    run(&other, "CREATE TEMP TABLE u (k BIGINT)").await;
    // The same text means another table in each, answered without a plan.
    for _ in 0..2 {
        assert_eq!(rows(&one, "SELECT k FROM t WHERE k = 2").await.unwrap(), ["2"]);
        assert_eq!(rows(&other, "SELECT k FROM t WHERE k = 1").await.unwrap(), ["1"]);
        assert!(rows(&other, "SELECT k FROM t WHERE k = 2").await.unwrap().is_empty());
    }
    assert!(rows(&one, "SELECT * FROM u").await.is_err());
    let listed = "SELECT table_name FROM information_schema.tables WHERE table_type LIKE 'LOCAL%'";
    assert_eq!(rows(&one, listed).await.unwrap(), ["t"]);
    assert_eq!(rows(&other, TABLES).await.unwrap(), ["3"]);
    drop(one);
    assert_eq!(rows(&other, TABLES).await.unwrap(), ["2"]);
}

#[tokio::test]
async fn what_a_killed_process_leaves_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let killed = Database::open(&path).unwrap();
    let session = killed.session();
    run(&session, "CREATE TABLE t (k BIGINT); CREATE TEMP TABLE u (k BIGINT)").await;
    run(&session, "INSERT INTO u SELECT * FROM generate_series(1, 1000)").await;
    // As if it were killed, it cannot drop them any more.
    killed.store().close().unwrap();
    drop(session);
    let read_only = Database::open_with(&path, OpenOptions::new().read_only(true)).unwrap();
    assert_eq!(rows(&read_only.session(), TABLES).await.unwrap(), ["2"]);
    assert!(rows(&read_only.session(), "SELECT * FROM u").await.is_err());
    drop(read_only);
    let again = Database::open(&path).unwrap();
    assert_eq!(rows(&again.session(), TABLES).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn they_are_not_there_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path().join("db")).unwrap();
    let session = database.session();
    run(&session, "CREATE TEMP TABLE u (k BIGINT)").await;
    database.close().unwrap();
    let options = OpenOptions::new().read_only(true);
    let read_only = Database::open_with(folder.path().join("db"), options).unwrap();
    assert_eq!(rows(&read_only.session(), TABLES).await.unwrap(), ["0"]);
}

#[tokio::test]
async fn nobody_reaches_them_by_the_name_of_their_schema() {
    let database = Database::in_memory().unwrap();
    let (one, other) = (database.session(), database.session());
    run(&one, "CREATE TEMP TABLE t (k BIGINT PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let schema = "SELECT table_schema FROM sheaf.tables";
    let schema = rows(&other, schema).await.unwrap().remove(0);
    for sql in [
        format!("SELECT * FROM \"{schema}\".t"),
        format!("SELECT k FROM \"{schema}\".t WHERE k = 1"),
        format!("INSERT INTO \"{schema}\".t VALUES (2)"),
        format!("DELETE FROM \"{schema}\".t"),
        format!("CREATE TABLE \"{schema}\".u (a INT)"),
        format!("DROP TABLE \"{schema}\".t"),
        format!("DROP SCHEMA \"{schema}\" CASCADE"),
        format!("SET search_path = '{schema}'"),
    ] {
        let error = other.query(&sql).await.map(drop).unwrap_err();
        assert!(error.message.contains("not found"), "{sql}: {error}");
    }
    assert_eq!(rows(&one, "SELECT * FROM t").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn rows_that_replace_them_are_temporary_too() {
    let database = Database::in_memory().unwrap();
    let session = database.session();
    run(&session, "CREATE TABLE t (k BIGINT); CREATE TEMP TABLE t (k BIGINT)").await;
    let target = Ingest {
        schema: None,
        table: "t".into(),
        temporary: false,
        if_missing: IfMissing::Fail,
        if_there: IfThere::Replace,
    };
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
    let batch = RecordBatch::try_from_iter([("k", keys)]).unwrap();
    let batches = futures::stream::iter([Ok(batch.clone())]);
    assert_eq!(session.ingest(target, batch.schema(), batches).await.unwrap(), 2);
    assert_eq!(rows(&session, "SELECT count(*) FROM t").await.unwrap(), ["2"]);
    assert_eq!(rows(&session, "SELECT count(*) FROM public.t").await.unwrap(), ["0"]);
    let other = database.session();
    assert_eq!(rows(&other, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
}
