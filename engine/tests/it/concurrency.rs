//! Statements that change the same rows at the same time.

use sheafdb::Database;

use crate::support::{rows, run, session};

#[tokio::test(flavor = "multi_thread")]
async fn no_update_is_lost() {
    let session = session();
    run(&session, "CREATE TABLE t (id INT PRIMARY KEY, n BIGINT); INSERT INTO t VALUES (1, 0)")
        .await;
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let session = session.database().session();
            tokio::spawn(async move {
                let mut done = 0;
                while done < 25 {
                    match session.query("UPDATE t SET n = n + 1 WHERE id = 1").await {
                        Ok(_) => done += 1,
                        // Ten attempts may all lose; the caller is told to run it again.
                        Err(error) => assert_eq!(error.sqlstate(), "40001", "{error}"),
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(rows(&session, "SELECT n FROM t").await.unwrap(), ["100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts_of_one_key_leave_one_row() {
    let session = session();
    run(&session, "CREATE TABLE t (id INT PRIMARY KEY, n BIGINT)").await;
    let sql = "INSERT INTO t VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = t.n + 1";
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let session = session.database().session();
            tokio::spawn(async move {
                let mut done = 0;
                while done < 10 {
                    done += u32::from(session.query(sql).await.is_ok());
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(rows(&session, "SELECT count(*), sum(n) FROM t").await.unwrap(), ["1 40"]);
}

#[tokio::test]
async fn a_running_query_keeps_its_snapshot() {
    let database = Database::in_memory().unwrap();
    let (reader, writer) = (database.session(), database.session());
    run(&writer, "CREATE TABLE t (id BIGINT PRIMARY KEY); INSERT INTO t SELECT value FROM generate_series(1, 50000)").await;
    let output = reader.query("SELECT id FROM t").await.unwrap();
    run(&writer, "DELETE FROM t; CALL sheaf.flush('t'); CALL sheaf.compact('t')").await;
    let read: usize = output.collect().await.unwrap().iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(read, 50_000);
    assert_eq!(rows(&reader, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
}
