//! Rows of a file keep their order on the way out of it.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use sheaf_core::PartScan;
use sheafdb::{Database, Session};

use crate::support::{rows, run};

/// So many that a Parquet file is read as several partitions.
const ROWS: i64 = 1_600_000;

async fn numbers(session: &Session, sql: &str) -> Vec<i64> {
    let batches = session.query(sql).await.unwrap().collect().await.unwrap();
    batches.iter().flat_map(values).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in_the_order_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::in_memory().unwrap();
    let session = database.session();
    run(&session, "SET datafusion.execution.target_partitions = 4").await;
    let all: Vec<i64> = (0..ROWS).collect();
    for (format, options) in [("parquet", "(COMPRESSION none)"), ("csv", "")] {
        let file = folder.path().join(format!("numbers.{format}"));
        let file = format!("'{}'", file.display());
        let series = format!("SELECT value AS n FROM generate_series(0, {})", ROWS - 1);
        run(&session, &format!("COPY ({series}) TO {file} {options}")).await;
        let plan = rows(&session, &format!("EXPLAIN FROM {file}")).await.unwrap().concat();
        assert_eq!(plan.contains("InOrderExec"), format == "parquet", "{plan}");

        assert!(numbers(&session, &format!("FROM {file}")).await == all, "{format}");
        let even = numbers(&session, &format!("SELECT n / 2 FROM {file} WHERE n % 2 = 0")).await;
        assert!(even == all[..all.len() / 2], "{format}");
        let first = numbers(&session, &format!("SELECT n FROM {file} LIMIT 3 OFFSET 2")).await;
        assert_eq!(first, [2, 3, 4], "{format}");
        let more = numbers(&session, &format!("SELECT n FROM {file} LIMIT 1000000")).await;
        assert!(more == all[..1_000_000], "{format}");

        run(&session, &format!("CREATE TABLE created_{format} AS FROM {file}")).await;
        run(&session, &format!("CREATE TABLE copied_{format} (n BIGINT)")).await;
        run(&session, &format!("COPY copied_{format} FROM {file}")).await;
        for how in ["created", "copied"] {
            let stored = numbers_stored(&database, &format!("{how}_{format}")).await;
            assert!(stored == all, "{how} {format}");
        }
    }
}

/// The numbers of a table in the order in which its segments hold them; a query may
/// read them in another.
async fn numbers_stored(database: &Database, table: &str) -> Vec<i64> {
    let snapshot = database.store().snapshot().unwrap();
    let schema = snapshot.catalog().schema("public").unwrap().id;
    let table = snapshot.catalog().table(schema, table).unwrap().id;
    let mut numbers = Vec::new();
    for part in snapshot.table(table).unwrap().parts().unwrap() {
        let scan = PartScan { projection: vec![0], ordered: true, ..PartScan::default() };
        let batches: Vec<RecordBatch> = part.scan(scan).unwrap().try_collect().await.unwrap();
        numbers.extend(batches.iter().flat_map(values));
    }
    numbers
}

fn values(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}
