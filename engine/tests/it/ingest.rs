//! Rows that a program hands over.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use futures::stream;
use sheafdb::{Error, ErrorKind, IfMissing, IfThere, Ingest, Session};

use crate::support::{rows, run, session};

fn target(table: &str, if_missing: IfMissing, if_there: IfThere) -> Ingest {
    Ingest { schema: None, table: table.into(), temporary: false, if_missing, if_there }
}

async fn ingest(
    session: &Session,
    target: Ingest,
    batches: Vec<RecordBatch>,
) -> Result<u64, Error> {
    let schema: SchemaRef = batches[0].schema();
    session.ingest(target, schema, stream::iter(batches.into_iter().map(Ok))).await
}

fn batch(columns: [(&str, ArrayRef); 2]) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn people(from: i64, count: i64) -> RecordBatch {
    let names: StringArray = (from..from + count).map(|i| Some(format!("n{i}"))).collect();
    batch([
        ("id", Arc::new(Int64Array::from_iter_values(from..from + count))),
        ("name", Arc::new(names)),
    ])
}

const CREATE: IfMissing = IfMissing::Create;

#[tokio::test]
async fn a_table_is_made_filled_appended_to_and_replaced() {
    let session = session();
    let count = "SELECT count(*), min(id), max(name) FROM people";
    let missing = target("people", IfMissing::Fail, IfThere::Append);
    let error = ingest(&session, missing, vec![people(0, 1)]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UndefinedTable);
    let create = || target("people", CREATE, IfThere::Fail);
    assert_eq!(ingest(&session, create(), vec![people(0, 3), people(3, 2)]).await.unwrap(), 5);
    assert_eq!(rows(&session, count).await.unwrap(), ["5 0 n4"]);
    let error = ingest(&session, create(), vec![people(0, 3)]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::DuplicateObject);
    let append = target("people", CREATE, IfThere::Append);
    assert_eq!(ingest(&session, append, vec![people(5, 1)]).await.unwrap(), 1);
    assert_eq!(rows(&session, count).await.unwrap(), ["6 0 n5"]);
    let replace = target("people", CREATE, IfThere::Replace);
    assert_eq!(ingest(&session, replace.clone(), vec![people(7, 2)]).await.unwrap(), 2);
    assert_eq!(rows(&session, count).await.unwrap(), ["2 7 n8"]);
    // Also without rows, and where rows went through the log.
    run(&session, "INSERT INTO people VALUES (1, 'log')").await;
    assert_eq!(ingest(&session, replace, vec![people(0, 0)]).await.unwrap(), 0);
    assert_eq!(rows(&session, count).await.unwrap(), ["0 NULL NULL"]);
}

#[tokio::test]
async fn columns_go_by_name_and_bad_values_name_theirs() {
    let session = session();
    run(
        &session,
        "CREATE SCHEMA hr; CREATE TABLE hr.staff \
         (id SMALLINT PRIMARY KEY, city TEXT DEFAULT 'Kyiv', name TEXT NOT NULL)",
    )
    .await;
    let staff = || Ingest {
        schema: Some("hr".into()),
        ..target("staff", IfMissing::Fail, IfThere::Append)
    };
    let named = |id: i32, name: Option<&str>| {
        batch([
            ("name", Arc::new(StringArray::from(vec![name]))),
            ("id", Arc::new(Int32Array::from(vec![id]))),
        ])
    };
    assert_eq!(ingest(&session, staff(), vec![named(7, Some("Ada"))]).await.unwrap(), 1);
    assert_eq!(rows(&session, "SELECT * FROM hr.staff").await.unwrap(), ["7 Kyiv Ada"]);
    for (batch, kind, column) in [
        (named(70_000, Some("far")), ErrorKind::OutOfRange, "'id'"),
        (named(8, None), ErrorKind::NotNullViolation, "'name'"),
        (named(7, Some("twice")), ErrorKind::UniqueViolation, "7"),
    ] {
        let error = ingest(&session, staff(), vec![named(6, Some("ok")), batch]).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(column), "{error}");
    }
    let unknown = batch([
        ("id", Arc::new(Int32Array::from(vec![9]))),
        ("nam", Arc::new(StringArray::from(vec!["x"]))),
    ]);
    let error = ingest(&session, staff(), vec![unknown]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UndefinedColumn);
    assert_eq!(error.hint.as_deref(), Some("did you mean 'name'?"));
    // Nothing of a load that failed is there.
    assert_eq!(rows(&session, "SELECT id FROM hr.staff").await.unwrap(), ["7"]);
}

#[tokio::test]
async fn an_error_of_the_source_leaves_nothing() {
    let session = session();
    let broken = stream::iter([
        Ok(people(0, 200_000)),
        Err(Error::new(ErrorKind::Cancelled, "the client went away")),
    ]);
    let schema = people(0, 0).schema();
    let created = session.ingest(target("t", CREATE, IfThere::Fail), schema, broken).await;
    assert_eq!(created.unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!(session.query("SELECT * FROM t").await.unwrap_err().kind, ErrorKind::UndefinedTable);
}
