//! Temporary tables belong to a session.

use sheafdb::{Database, OpenOptions};

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
    killed.close().unwrap();
    // It cannot drop them any more.
    drop(session);
    let read_only = Database::open_with(&path, OpenOptions::new().read_only(true)).unwrap();
    assert_eq!(rows(&read_only.session(), TABLES).await.unwrap(), ["2"]);
    assert!(rows(&read_only.session(), "SELECT * FROM u").await.is_err());
    drop(read_only);
    let again = Database::open(&path).unwrap();
    assert_eq!(rows(&again.session(), TABLES).await.unwrap(), ["1"]);
}
