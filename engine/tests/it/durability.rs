//! What a statement did is there after the database is opened again.

use sheafdb::{Database, ErrorKind, OpenOptions};

use crate::support::{rows, run};

#[tokio::test]
async fn everything_survives_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    {
        let database = Database::open(&path).unwrap();
        let session = database.session();
        run(
            &session,
            "CREATE SCHEMA s; \
             CREATE TABLE s.keyed (id BIGINT PRIMARY KEY, v VECTOR(2), note TEXT DEFAULT 'none'); \
             CREATE TABLE log (at TIMESTAMPTZ NOT NULL, n INT) PARTITION BY time_bucket('1 day', at); \
             CREATE VIEW notes AS SELECT note FROM s.keyed; \
             INSERT INTO s.keyed (id, v) VALUES (1, '[1,2]'), (2, '[3,4]'); \
             INSERT INTO log SELECT to_timestamp(value * 3600), value FROM generate_series(1, 100); \
             CALL sheaf.flush('s.keyed'); \
             UPDATE s.keyed SET note = 'changed' WHERE id = 2; \
             DELETE FROM log WHERE n > 90",
        )
        .await;
        database.close().unwrap();
    }
    let database = Database::open_with(&path, OpenOptions::new().create(false)).unwrap();
    let session = database.session();
    assert_eq!(
        rows(&session, "SELECT note FROM notes ORDER BY note").await.unwrap(),
        ["changed", "none"]
    );
    assert_eq!(rows(&session, "SELECT count(*), max(n) FROM log").await.unwrap(), ["90 90"]);
    assert_eq!(
        rows(&session, "SELECT id FROM s.keyed WHERE l2_distance(v, '[3,4]') = 0").await.unwrap(),
        ["2"]
    );
    database.close().unwrap();
}

#[tokio::test]
async fn a_read_only_database_refuses_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let writer = Database::open(&path).unwrap();
    run(&writer.session(), "CREATE TABLE t (a INT); INSERT INTO t VALUES (1)").await;
    let reader = Database::open_with(&path, OpenOptions::new().read_only(true)).unwrap();
    let session = reader.session();
    assert_eq!(rows(&session, "SELECT a FROM t").await.unwrap(), ["1"]);
    for sql in ["INSERT INTO t VALUES (2)", "CREATE TABLE u (a INT)", "DROP TABLE t"] {
        assert_eq!(session.query(sql).await.unwrap_err().kind, ErrorKind::ReadOnly, "{sql}");
    }
    assert_eq!(Database::open(&path).unwrap_err().kind, ErrorKind::Locked);
}

#[tokio::test]
async fn large_inserts_go_beside_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path().join("db")).unwrap();
    let session = database.session();
    run(&session, "CREATE TABLE t (id BIGINT PRIMARY KEY, n INT)").await;
    run(&session, "INSERT INTO t SELECT value, 1 FROM generate_series(1, 150000)").await;
    assert_eq!(rows(&session, "SELECT sum(memtable_rows) FROM sheaf.tables").await.unwrap(), ["0"]);
    assert_eq!(
        rows(&session, "SELECT count(*), sum(id) FROM t").await.unwrap(),
        ["150000 11250075000"]
    );
    let error = session
        .query("INSERT INTO t SELECT value, 2 FROM generate_series(150000, 300000)")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::UniqueViolation, "{error}");
    assert_eq!(rows(&session, "SELECT count(*) FROM t").await.unwrap(), ["150000"]);
}
