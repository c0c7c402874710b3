//! Frames of polars: results that become some, and statements that read some.

use polars_core::prelude::{AnyValue, DataFrame, DataType, NamedFrom, Series, TimeUnit};
use sheafdb::{ErrorKind, Relation, polars};

use crate::support::{rows, run, session};

async fn frame(sql: &str) -> DataFrame {
    session().query(sql).await.unwrap().polars().await.unwrap()
}

#[tokio::test]
async fn results_become_frames() {
    let frame = frame(
        "SELECT 1::SMALLINT AS i, 2.5 AS f, 'é' AS s, NULL::TEXT AS n, TRUE AS b,
                DATE '2026-01-02' AS d, TIMESTAMP '2026-01-02 03:04:05.000006' AS t,
                1.20::DECIMAL(10, 2) AS m, [1, 2] AS l, '\\x0a'::BYTEA AS y",
    )
    .await;
    assert_eq!(frame.shape(), (1, 10));
    let dtypes = frame.dtypes();
    assert_eq!(dtypes[0], DataType::Int16);
    assert_eq!(dtypes[2], DataType::String);
    assert_eq!(dtypes[6], DataType::Datetime(TimeUnit::Microseconds, None));
    assert!(matches!(dtypes[7], DataType::Decimal(10, 2)));
    assert!(matches!(dtypes[8], DataType::List(_)));
    let value = |name: &str| frame.column(name).unwrap().get(0).unwrap().into_static();
    assert_eq!(value("s"), AnyValue::StringOwned("é".into()));
    assert_eq!(value("n"), AnyValue::Null);
    assert_eq!(value("m").to_string(), "1.20");
}

#[tokio::test]
async fn buffers_cross_without_being_copied() {
    let session = session();
    let sql = "SELECT n, 'text number ' || n AS s FROM range(100000) AS r(n)";
    let batches = session.query(sql).await.unwrap().collect().await.unwrap();
    let schema = batches[0].schema();
    let ours = batches[0].column(0).to_data().buffers()[0].as_ptr();
    let frame = polars::frame(&schema, &batches).unwrap();
    let numbers = frame.column("n").unwrap().i64().unwrap().clone();
    let theirs = numbers.downcast_iter().next().unwrap().values().as_ptr();
    assert_eq!(ours, theirs.cast());
    let (_, back) = polars::batches(&frame).unwrap();
    assert_eq!(back[0].column(0).to_data().buffers()[0].as_ptr(), ours);
    assert_eq!(back.iter().map(|batch| batch.num_rows()).sum::<usize>(), 100_000);
}

#[tokio::test]
async fn statements_read_frames() {
    let names = Series::new("name".into(), ["a", "b", "c"]);
    let numbers = Series::new("n".into(), [Some(1_i64), None, Some(3)]);
    let frame = DataFrame::new(3, vec![names.into(), numbers.into()]).unwrap();
    let relation = Relation::of_polars(&frame).unwrap();
    let session = session();
    run(&session, "CREATE TABLE t (n BIGINT, name TEXT)").await;
    let known = session.with_relations([("frame".to_owned(), relation)].into_iter().collect());
    run(&known, "INSERT INTO t SELECT n, name FROM frame WHERE name <> 'c'").await;
    assert_eq!(rows(&session, "SELECT * FROM t ORDER BY name").await.unwrap(), ["1 a", "NULL b"]);
}

#[tokio::test]
async fn what_polars_does_not_have_is_refused() {
    for sql in [
        "SELECT INTERVAL '1 month' AS i",
        "SELECT [INTERVAL '1 month'] AS i",
        "SELECT map(['a'], [1]) AS i",
        "SELECT '00000000-0000-0000-0000-000000000001'::UUID AS i",
    ] {
        let error = session().query(sql).await.unwrap().polars().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::DatatypeMismatch);
        assert!(error.message.contains("column 'i'"), "{error}");
    }
    let twice = "SELECT a.n, b.n FROM (VALUES (1)) AS a(n), (VALUES (2)) AS b(n)";
    let output = session().query(twice).await.unwrap();
    let error = output.polars().await.unwrap_err();
    assert!(error.message.contains("duplicate"), "{error}");
    let vectors = session().query("SELECT [1, 2]::HALFVEC(2) AS v").await.unwrap();
    assert_eq!(vectors.polars().await.unwrap().shape(), (1, 1));
    let empty = session().query("SELECT 1 AS a WHERE FALSE").await.unwrap();
    assert_eq!(empty.polars().await.unwrap().shape(), (0, 1));
}
