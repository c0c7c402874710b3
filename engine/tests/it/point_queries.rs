//! Queries for one row by its key say what the planner says.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::common::ScalarValue;
use sheafdb::{Database, Session};

use crate::support::run;

async fn answer(
    session: &Session,
    sql: &str,
    values: &[ScalarValue],
) -> Result<RecordBatch, String> {
    let output = session.query_with(sql, values.to_vec()).await.map_err(|e| e.to_string())?;
    let schema = output.schema().unwrap().clone();
    let batches = output.collect().await.map_err(|e| e.to_string())?;
    Ok(concat_batches(&schema, &batches).unwrap())
}

/// Asks as it is, and in a form that only the planner answers.
async fn same(session: &Session, sql: &str, values: &[ScalarValue]) -> usize {
    let short = answer(session, sql, values).await;
    let planned = answer(session, &format!("{sql} LIMIT 10"), values).await;
    match (short, planned) {
        (Ok(short), Ok(planned)) => {
            assert_eq!(short, planned, "{sql} {values:?}");
            short.num_rows()
        }
        (short, planned) => {
            let text = |e: Result<RecordBatch, String>| e.unwrap_err();
            let (short, planned) = (text(short), text(planned));
            assert_eq!(short, planned, "{sql} {values:?}");
            0
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_agree_with_the_planner() {
    let database = Database::in_memory().unwrap();
    let session = database.session();
    for option in ["row_store = false", "row_store = true", "lazy_upserts = true"] {
        run(&session, "DROP TABLE IF EXISTS t").await;
        let with = format!("WITH ({option})");
        run(
            &session,
            &format!(
                "CREATE TABLE t (a INT, b TEXT, \"C\" DOUBLE, d TIMESTAMP, e DECIMAL(10, 2), \
                 PRIMARY KEY (b, a)) {with}"
            ),
        )
        .await;
        run(
            &session,
            "INSERT INTO t SELECT value, 'k' || value, value / 2.0, \
                       TIMESTAMP '2026-01-01 10:00:00', value \
                       FROM generate_series(1, 50)",
        )
        .await;
        for place in ["memtable", "segment", "both"] {
            let (one, text) = (ScalarValue::Int32(Some(7)), ScalarValue::Utf8(Some("k7".into())));
            let wide = ScalarValue::Int64(Some(7));
            let far = ScalarValue::Int64(Some(1 << 40));
            let none = ScalarValue::Int32(None);
            let float = ScalarValue::Float64(Some(7.0));
            for (sql, values, rows) in [
                ("SELECT * FROM t WHERE a = 7 AND b = 'k7'", vec![], 1),
                ("SELECT * FROM t WHERE b = $1 AND a = $2", vec![text.clone(), one.clone()], 1),
                (
                    "select e, a as \"X\" from public.t where $1 = a and b = $2",
                    vec![wide, text.clone()],
                    1,
                ),
                ("SELECT \"C\" FROM t WHERE b = $1 AND a = $2", vec![text.clone(), float], 1),
                ("SELECT d FROM t WHERE b = $1 AND a = $2", vec![text.clone(), far], 0),
                ("SELECT d FROM t WHERE b = $1 AND a = $2", vec![text.clone(), none], 0),
                ("SELECT d FROM t WHERE b = 'k8' AND a = 7", vec![], 0),
                ("SELECT a, a FROM t WHERE b = 'k7' AND a = 7", vec![], 1),
                ("SELECT c FROM t WHERE b = 'k7' AND a = 7", vec![], 0),
                ("SELECT a FROM t WHERE b = 'k7' AND a = 7 AND a = 8", vec![], 0),
                ("SELECT a FROM t WHERE b = 'k7' AND a = 'seven'", vec![], 0),
                ("SELECT a + 1 FROM t WHERE b = 'k7' AND a = 7", vec![], 1),
                ("SELECT a FROM t WHERE b = 'k7'", vec![], 1),
                ("SELECT a FROM t WHERE b = 'k7' AND \"C\" = 3.5", vec![], 1),
                (
                    "SELECT a FROM t WHERE b = $1 AND a = 7",
                    vec![ScalarValue::Utf8(Some("k".repeat(20_000)))],
                    0,
                ),
                ("SELECT a FROM nowhere WHERE b = 'k7' AND a = 7", vec![], 0),
            ] {
                assert_eq!(same(&session, sql, &values).await, rows, "{sql} {place}");
            }
            match place {
                "memtable" => run(&session, "CALL sheaf.flush('t')").await,
                _ => run(&session, "UPDATE t SET e = e + 1 WHERE a < 10").await,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_one_follows_the_table() {
    let database = Database::in_memory().unwrap();
    let session = database.session();
    run(&session, "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one')")
        .await;
    let prepared = session.prepare("SELECT * FROM t WHERE k = $1").unwrap();
    let ask = async || {
        let output = prepared.run(vec![ScalarValue::Int64(Some(1))]).await?;
        let names: Vec<String> =
            output.schema().unwrap().fields().iter().map(|f| f.name().clone()).collect();
        let rows: usize = output.collect().await?.iter().map(RecordBatch::num_rows).sum();
        Ok::<_, sheafdb::Error>((names.join(","), rows))
    };
    assert_eq!(ask().await.unwrap(), ("k,v".into(), 1));
    run(&session, "ALTER TABLE t ADD COLUMN n INT DEFAULT 5").await;
    assert_eq!(ask().await.unwrap(), ("k,v,n".into(), 1));
    run(&session, "ALTER TABLE t RENAME COLUMN v TO text").await;
    assert_eq!(ask().await.unwrap(), ("k,text,n".into(), 1));
    run(&session, "DROP TABLE t").await;
    assert!(ask().await.is_err());
    run(&session, "CREATE VIEW t AS SELECT 1::BIGINT AS k, 2 AS two").await;
    assert_eq!(ask().await.unwrap(), ("k,two".into(), 1));
    run(&session, "DROP VIEW t; CREATE TABLE t (x TEXT, k BIGINT PRIMARY KEY)").await;
    assert_eq!(ask().await.unwrap(), ("x,k".into(), 0));
    run(&session, "CREATE SCHEMA other; CREATE TABLE other.t (k BIGINT PRIMARY KEY)").await;
    run(&session, "INSERT INTO other.t VALUES (1); SET search_path = other").await;
    assert_eq!(ask().await.unwrap(), ("k".into(), 1));
}
