//! What a prepared statement takes and gives is known before it runs, and is what it then
//! gives.

use arrow::datatypes::DataType;
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
    let columns = columns.map_or_else(|| "nothing".to_owned(), |schema| {
        let fields = schema.fields().iter();
        fields.map(|f| format!("{} {}", f.name(), sql_name(f.data_type()))).collect::<Vec<_>>().join(", ")
    });
    let name = |t: &Option<DataType>| t.as_ref().map_or_else(|| "?".to_owned(), sql_name);
    let parameters: Vec<String> = parameters.iter().map(name).collect();
    format!("({}) -> {columns}", parameters.join(", "))
}

async fn tables() -> Session {
    let session = session();
    run(&session, "CREATE TABLE t (k BIGINT PRIMARY KEY, name TEXT, at TIMESTAMP, v DECIMAL(10, 2))").await;
    run(&session, "INSERT INTO t VALUES (1, 'a', '2026-01-01', 1.5)").await;
    session
}

#[tokio::test]
async fn queries_tell_their_columns_and_parameters() {
    let session = tables().await;
    for (sql, wanted) in [
        ("SELECT * FROM t", "() -> k BIGINT, name TEXT, at TIMESTAMP, v DECIMAL(10,2)"),
        ("SELECT name FROM t WHERE k = $1", "(BIGINT) -> name TEXT"),
        ("SELECT name FROM t WHERE k = ? AND at > ?", "(BIGINT, TIMESTAMP) -> name TEXT"),
        ("SELECT k + $1 AS n FROM t", "(BIGINT) -> n BIGINT"),
        ("SELECT name FROM t WHERE name LIKE $2 AND k IN ($1, $3)", "(BIGINT, TEXT, BIGINT) -> name TEXT"),
        ("SELECT k FROM t ORDER BY k LIMIT $1", "(BIGINT) -> k BIGINT"),
        ("VALUES (1, 'x')", "() -> column1 BIGINT, column2 TEXT"),
        ("EXPLAIN SELECT k FROM t WHERE k = $1", "(?) -> plan_type TEXT, plan TEXT"),
        ("EXPLAIN ANALYZE SELECT 1", "() -> plan_type TEXT, plan TEXT"),
        ("SHOW search_path", "() -> name TEXT, value TEXT"),
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
        ("INSERT INTO t VALUES ($1, $2, $3, $4)", "(BIGINT, TEXT, TIMESTAMP, DECIMAL(10,2)) -> nothing"),
        ("INSERT INTO t (v, k) VALUES (?, ?), (?, 7)", "(DECIMAL(10,2), BIGINT, DECIMAL(10,2)) -> nothing"),
        (
            "INSERT INTO t (k) VALUES ($1) ON CONFLICT (k) DO UPDATE SET name = $2",
            "(BIGINT, TEXT) -> nothing",
        ),
        ("INSERT INTO t (k) SELECT k + $1 FROM t RETURNING k, v * 2 AS w", "(BIGINT) -> k BIGINT, w DECIMAL(30,2)"),
        ("UPDATE t SET name = $1 WHERE k = $2", "(TEXT, BIGINT) -> nothing"),
        ("DELETE FROM t WHERE k = $1 RETURNING *", "(BIGINT) -> k BIGINT, name TEXT, at TIMESTAMP, v DECIMAL(10,2)"),
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
        ("SELECT name, k * $1 AS x FROM t WHERE k < $2", vec![ScalarValue::from(2_i64), ScalarValue::from(9_i64)]),
        ("SELECT k FROM t UNION ALL SELECT NULL", vec![]),
        ("UPDATE t SET name = $1 RETURNING name, k", vec![ScalarValue::from("b")]),
    ] {
        let columns = described(&session, sql).await.columns.unwrap();
        let output = session.query_with(sql, values).await.unwrap();
        assert_eq!(output.schema().unwrap(), &columns, "{sql}");
        for batch in output.collect().await.unwrap() {
            assert_eq!(batch.schema(), columns, "{sql}");
        }
    }
}
