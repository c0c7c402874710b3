//! Changes of single rows that are not planned: prepared, by text, from many sessions.

use datafusion::common::ScalarValue;
use sheafdb::{Database, ErrorKind, Output};

use crate::support::{rows, run, session};

fn int(value: i64) -> ScalarValue {
    ScalarValue::Int64(Some(value))
}

fn tag(output: Output) -> String {
    match output {
        Output::Done { tag, .. } => tag.to_string(),
        Output::Rows { .. } => "rows".into(),
    }
}

#[tokio::test]
async fn a_prepared_one_follows_the_table() {
    let session = session();
    run(&session, "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT)").await;
    let insert = session.prepare("INSERT INTO t VALUES ($1, $2)").unwrap();
    let update = session.prepare("UPDATE t SET v = v + $2 WHERE k = $1").unwrap();
    let delete = session.prepare("DELETE FROM t WHERE k = $1").unwrap();
    assert_eq!(tag(insert.run(vec![int(1), int(10)]).await.unwrap()), "INSERT 0 1");
    assert_eq!(tag(update.run(vec![int(1), int(5)]).await.unwrap()), "UPDATE 1");
    run(&session, "ALTER TABLE t ADD COLUMN n INT DEFAULT 7").await;
    assert_eq!(tag(insert.run(vec![int(2), int(20)]).await.unwrap()), "INSERT 0 1");
    run(&session, "ALTER TABLE t ALTER COLUMN n SET DEFAULT 4 + 4").await;
    assert_eq!(tag(insert.run(vec![int(3), int(30)]).await.unwrap()), "INSERT 0 1");
    assert_eq!(
        rows(&session, "SELECT * FROM t ORDER BY k").await.unwrap(),
        ["1 15 7", "2 20 7", "3 30 8"]
    );
    run(&session, "ALTER TABLE t RENAME COLUMN v TO w").await;
    let error = update.run(vec![int(1), int(5)]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UndefinedColumn);
    assert_eq!(tag(delete.run(vec![int(1)]).await.unwrap()), "DELETE 1");
    run(&session, "CREATE SCHEMA other; CREATE TABLE other.t (k BIGINT PRIMARY KEY, v TEXT)").await;
    run(&session, "SET search_path = other").await;
    assert_eq!(tag(insert.run(vec![int(9), int(9)]).await.unwrap()), "INSERT 0 1");
    assert_eq!(rows(&session, "SELECT * FROM t").await.unwrap(), ["9 9"]);
    run(&session, "DROP TABLE t").await;
    assert_eq!(insert.run(vec![int(9), int(9)]).await.unwrap_err().kind, ErrorKind::UndefinedTable);
}

#[test]
fn callers_without_an_executor_commit_by_themselves() {
    let session = session();
    session.execute_blocking("CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT)").unwrap();
    let insert = session.prepare("INSERT INTO t VALUES ($1, $2)").unwrap();
    assert_eq!(tag(insert.run_blocking(vec![int(1), int(1)]).unwrap()), "INSERT 0 1");
    let error = insert.run_blocking(vec![int(1), int(1)]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::UniqueViolation);
    let count = session.query_blocking("UPDATE t SET v = v + 1 WHERE k = 1", vec![]).unwrap();
    assert_eq!(tag(count), "UPDATE 1");
    let outputs = session.execute_blocking("DELETE FROM t WHERE k = 1").unwrap();
    assert_eq!(outputs.into_iter().map(tag).collect::<Vec<_>>(), ["DELETE 1"]);
    // What needs a plan goes on as before.
    let planned = session.prepare("INSERT INTO t SELECT $1, $2").unwrap();
    assert_eq!(tag(planned.run_blocking(vec![int(2), int(2)]).unwrap()), "INSERT 0 1");
}

#[tokio::test]
async fn blocking_calls_inside_executors_are_refused() {
    let session = session();
    run(&session, "CREATE TABLE t (k BIGINT PRIMARY KEY)").await;
    let insert = session.prepare("INSERT INTO t VALUES ($1)").unwrap();
    assert!(insert.run_blocking(vec![int(1)]).unwrap_err().message.contains("asynchronous"));
    let sql = "INSERT INTO t VALUES (1)";
    assert!(session.query_blocking(sql, vec![]).unwrap_err().message.contains("asynchronous"));
    assert_eq!(rows(&session, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
}

#[tokio::test]
async fn named_statements_and_several_in_one_text() {
    let session = session();
    run(
        &session,
        "CREATE TABLE t (k INT PRIMARY KEY, v TEXT); \
         PREPARE put (INT, TEXT) AS INSERT INTO t VALUES ($1, $2) \
         ON CONFLICT (k) DO UPDATE SET v = excluded.v; \
         EXECUTE put (1, 'one'); EXECUTE put (1 + 1, 'two'); EXECUTE put (1, 'again'); \
         INSERT INTO t VALUES (3, 'three'); UPDATE t SET v = 'drei' WHERE k = 3; \
         DELETE FROM t WHERE k = 2",
    )
    .await;
    assert_eq!(rows(&session, "SELECT * FROM t ORDER BY k").await.unwrap(), ["1 again", "3 drei"]);
}

#[tokio::test]
async fn a_text_means_what_the_sessions_schema_says() {
    let database = Database::in_memory().unwrap();
    let (one, other) = (database.session(), database.session());
    run(&one, "CREATE TABLE t (k BIGINT PRIMARY KEY)").await;
    run(&other, "CREATE SCHEMA s; CREATE TABLE s.t (k TEXT); SET search_path = s").await;
    for _ in 0..3 {
        for (session, count) in [(&one, "1"), (&other, "1")] {
            let inserted = session.query("INSERT INTO t VALUES (7)").await.unwrap();
            assert_eq!(tag(inserted), "INSERT 0 1");
            assert_eq!(rows(session, "SELECT count(*) FROM t").await.unwrap(), [count]);
            run(session, "TRUNCATE t").await;
        }
    }
    // Known texts are not known for ever.
    run(&one, "DROP TABLE t").await;
    let error = one.query("INSERT INTO t VALUES (7)").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UndefinedTable);
    let error = other.query("INSERT INTO t VALUES (7); SELECT 1").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Syntax);
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_lose_nothing() {
    let session = session();
    run(&session, "CREATE TABLE hits (page TEXT PRIMARY KEY, n BIGINT NOT NULL)").await;
    let hit = "INSERT INTO hits VALUES ('index', 1) \
               ON CONFLICT (page) DO UPDATE SET n = hits.n + excluded.n";
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let session = session.database().session();
            tokio::spawn(async move {
                for _ in 0..50 {
                    assert_eq!(tag(session.query(hit).await.unwrap()), "INSERT 0 1");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(rows(&session, "SELECT n FROM hits").await.unwrap(), ["400"]);
}
