//! What a prepared statement takes and gives is known before it runs, and is what it then
//! gives.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use sheafdb::{Description, Session, sql_name};

use crate::support::{run, session};

async fn described(session: &Session, sql: &str) -> Description {
    let prepared = session.prepare(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    prepared.describe().await.unwrap_or_else(|error| panic!("{error}\n{sql}"))
}

/// Columns and parameters as SQL names their types.
async fn shown(session: &Session, sql: &str) -> String {
    let Description { columns, parameters, .. } = described(session, sql).await;
    let columns = columns.map_or_else(
        || "nothing".to_owned(),
        |schema| {
            let fields = schema.fields().iter();
            fields
                .map(|f| format!("{} {}", f.name(), sql_name(f.data_type())))
                .collect::<Vec<_>>()
                .join(", ")
        },
    );
    let name = |t: &Option<DataType>| t.as_ref().map_or_else(|| "?".to_owned(), sql_name);
    let parameters: Vec<String> = parameters.iter().map(name).collect();
    format!("({}) -> {columns}", parameters.join(", "))
}

async fn tables() -> Session {
    let session = session();
    run(
        &session,
        "CREATE TABLE t (k BIGINT PRIMARY KEY, name TEXT, at TIMESTAMP, v DECIMAL(10, 2))",
    )
    .await;
    run(&session, "INSERT INTO t VALUES (1, 'a', '2026-01-01', 1.5)").await;
    session
}

#[tokio::test]
async fn queries_tell_their_columns_and_parameters() {
    let session = tables().await;
    for (sql, wanted) in [
        ("SELECT * FROM t", "() -> k bigint, name text, at timestamp, v decimal(10,2)"),
        ("SELECT name FROM t WHERE k = $1", "(bigint) -> name text"),
        ("SELECT name FROM t WHERE k = ? AND at > ?", "(bigint, timestamp) -> name text"),
        ("SELECT k + $1 AS n FROM t", "(bigint) -> n bigint"),
        (
            "SELECT name FROM t WHERE name LIKE $2 AND k IN ($1, $3)",
            "(bigint, text, bigint) -> name text",
        ),
        ("SELECT k FROM t ORDER BY k LIMIT $1", "(?) -> k bigint"),
        ("VALUES (1, 'x')", "() -> column1 bigint, column2 text"),
        ("EXPLAIN SELECT k FROM t WHERE k = $1", "(?) -> plan_type text, plan text"),
        ("EXPLAIN ANALYZE SELECT 1", "() -> plan_type text, plan text"),
        ("SHOW search_path", "() -> name text, value text"),
    ] {
        assert_eq!(shown(&session, sql).await, wanted, "{sql}");
    }
    // A type that nothing tells is open.
    for (sql, effects) in [
        ("SELECT 1", false),
        ("EXPLAIN ANALYZE SELECT 1", false),
        ("DELETE FROM t", true),
        ("SET durability = 'none'", true),
        ("DROP TABLE t", true),
        ("CANCEL 1", true),
    ] {
        assert_eq!(described(&session, sql).await.has_effects, effects, "{sql}");
    }
    let prepared = session.prepare("SELECT $1 AS x, $2 + 1 AS y").unwrap();
    let known = prepared.describe_with(vec![DataType::Utf8View]).await.unwrap();
    assert_eq!(known.parameters, [Some(DataType::Utf8View), Some(DataType::Int64)]);
    assert_eq!(known.columns.unwrap().field(0).data_type(), &DataType::Utf8View);
    let open = described(&session, "SELECT $1 AS x").await;
    assert_eq!(open.parameters, [None]);
    assert_eq!(open.columns.unwrap().field(0).name(), "x");
}

#[tokio::test]
async fn changes_tell_the_types_of_what_they_assign() {
    let session = tables().await;
    for (sql, wanted) in [
        (
            "INSERT INTO t VALUES ($1, $2, $3, $4)",
            "(bigint, text, timestamp, decimal(10,2)) -> nothing",
        ),
        (
            "INSERT INTO t (v, k) VALUES (?, ?), (?, 7)",
            "(decimal(10,2), bigint, decimal(10,2)) -> nothing",
        ),
        (
            "INSERT INTO t (k) VALUES ($1) ON CONFLICT (k) DO UPDATE SET name = $2",
            "(bigint, text) -> nothing",
        ),
        (
            "INSERT INTO t (k) SELECT k + $1 FROM t RETURNING k, v * 2 AS w",
            "(bigint) -> k bigint, w decimal(31,2)",
        ),
        ("UPDATE t SET name = $1 WHERE k = $2", "(text, bigint) -> nothing"),
        (
            "DELETE FROM t WHERE k = $1 RETURNING *",
            "(bigint) -> k bigint, name text, at timestamp, v decimal(10,2)",
        ),
        ("CREATE TABLE u (a INT)", "() -> nothing"),
        ("DROP TABLE t", "() -> nothing"),
    ] {
        assert_eq!(shown(&session, sql).await, wanted, "{sql}");
    }
    // Nothing of this has happened.
    run(&session, "SELECT * FROM t; CREATE TABLE u (a INT)").await;
    assert!(session.prepare("SELECT * FROM missing").unwrap().describe().await.is_err());
    assert!(session.prepare("INSERT INTO missing VALUES (1)").unwrap().describe().await.is_err());
}

#[tokio::test]
async fn what_is_described_is_what_comes() {
    let session = tables().await;
    for (sql, values) in [
        ("SELECT *, k + 1 AS n, upper(name) AS u FROM t", vec![]),
        ("SELECT count(*) AS c, sum(v) AS s, max(at) AS m FROM t", vec![]),
        (
            "SELECT name, k * $1 AS x FROM t WHERE k < $2",
            vec![ScalarValue::from(2_i64), ScalarValue::from(9_i64)],
        ),
        ("SELECT k FROM t UNION ALL SELECT NULL", vec![]),
        ("UPDATE t SET name = $1 RETURNING name, k", vec![ScalarValue::from("b")]),
    ] {
        let columns = described(&session, sql).await.columns.unwrap();
        // A parameter may be NULL; what it is later may say that a column never is.
        let has_values = !values.is_empty();
        let seen = |schema: &Schema| -> Vec<(String, DataType, bool)> {
            let fields = schema.fields().iter();
            fields
                .map(|f| (f.name().clone(), f.data_type().clone(), has_values || f.is_nullable()))
                .collect()
        };
        let output = session.query_with(sql, values).await.unwrap();
        assert_eq!(seen(output.schema().unwrap()), seen(&columns), "{sql}");
        for batch in output.collect().await.unwrap() {
            assert_eq!(seen(batch.schema_ref()), seen(&columns), "{sql}");
        }
    }
}
