//! A store with one table in every kind of part, and SQL over it.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{SessionConfig, SessionContext};
use sheaf_core::catalog::{CatalogChange, NewColumn, NewTable, SchemaId, TableDef, TableId};
use sheaf_core::{OnConflict, Options, Store, TableSnapshot, Write, WriteBatch};
use sheaf_formats::segment::Encoding;

use crate::scan::SnapshotTable;

pub(super) struct Fixture {
    pub(super) store: Store,
    id: TableId,
}

fn column(name: &str, data_type: DataType, nullable: bool) -> NewColumn {
    NewColumn { name: name.into(), data_type, nullable, default_sql: None, missing: None }
}

impl Fixture {
    /// An empty table `t (k BIGINT, g INT, x DOUBLE, s TEXT, ts TIMESTAMP)`, keyed by
    /// `k` or not.
    pub(super) fn new(keyed: bool, encoding: Encoding) -> Self {
        let options = Options { background: false, ..Options::default() };
        let store = Store::in_memory(options).unwrap();
        let columns = vec![
            column("k", DataType::Int64, false),
            column("g", DataType::Int32, true),
            column("x", DataType::Float64, true),
            column("s", DataType::Utf8, true),
            column("ts", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        ];
        let table = NewTable {
            primary_key: if keyed { vec!["k".into()] } else { vec![] },
            encoding,
            ..NewTable::new(SchemaId(1), "t", columns)
        };
        store.change_catalog(CatalogChange::CreateTable(table)).unwrap();
        let catalog = Arc::clone(store.snapshot().unwrap().catalog());
        let id = *catalog.tables.iter().find(|(_, t)| t.name == "t").unwrap().0;
        Self { store, id }
    }

    pub(super) fn def(&self) -> Arc<TableDef> {
        Arc::clone(self.snapshot().def())
    }

    pub(super) fn snapshot(&self) -> TableSnapshot {
        self.store.snapshot().unwrap().table(self.id).unwrap()
    }

    /// Rows with keys in `keys`; everything else follows from the key.
    pub(super) fn rows(&self, keys: std::ops::Range<i64>) -> RecordBatch {
        let unless = |every: i64, k: i64| k % every != 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(keys.clone())),
            Arc::new(
                keys.clone()
                    .map(|k| unless(11, k).then_some((k % 7) as i32))
                    .collect::<Int32Array>(),
            ),
            Arc::new(
                keys.clone()
                    .map(|k| unless(13, k).then_some((k % 1000) as f64 / 8.0))
                    .collect::<Float64Array>(),
            ),
            Arc::new(
                keys.clone()
                    .map(|k| unless(17, k).then(|| format!("name {}", k % 97)))
                    .collect::<StringArray>(),
            ),
            Arc::new(
                keys.map(|k| unless(19, k).then_some(k * 1_000_000))
                    .collect::<TimestampMicrosecondArray>(),
            ),
        ];
        RecordBatch::try_new(Arc::clone(self.def().arrow_schema()), columns).unwrap()
    }

    pub(super) fn insert(&self, keys: std::ops::Range<i64>) {
        let write = Write::Insert {
            table: self.def(),
            rows: self.rows(keys),
            on_conflict: OnConflict::Fail,
        };
        self.store.commit(WriteBatch { writes: vec![write], ..WriteBatch::default() }).unwrap();
    }

    pub(super) fn delete(&self, keys: std::ops::Range<i64>) {
        let rows = self.rows(keys).project(&[0]).unwrap();
        let write = Write::DeleteKeys { table: self.def(), keys: rows };
        self.store.commit(WriteBatch { writes: vec![write], ..WriteBatch::default() }).unwrap();
    }

    pub(super) fn flush(&self) {
        self.store.flush(None).unwrap();
    }

    pub(super) fn provider(&self) -> Arc<SnapshotTable> {
        Arc::new(SnapshotTable::new("public.t", &self.snapshot()).unwrap())
    }

    /// A session that sees the table as `t`, and beside it `o`, the rows with keys in
    /// `oracle`, as DataFusion keeps them.
    pub(super) fn context(
        &self,
        partitions: usize,
        oracle: &[std::ops::Range<i64>],
    ) -> SessionContext {
        let config = SessionConfig::new().with_target_partitions(partitions).with_batch_size(1_000);
        let context = SessionContext::new_with_config(config);
        context.register_table("t", self.provider()).unwrap();
        let batches = oracle.iter().map(|keys| self.rows(keys.clone())).collect();
        let schema = Arc::clone(self.def().arrow_schema());
        context
            .register_table("o", Arc::new(MemTable::try_new(schema, vec![batches]).unwrap()))
            .unwrap();
        context
    }
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(future)
}

pub(super) fn try_run(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    block_on(async { context.sql(sql).await?.collect().await })
}

/// All cells as text, rows sorted.
pub(super) fn run(context: &SessionContext, sql: &str) -> Vec<Vec<String>> {
    let batches = try_run(context, sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let mut rows: Vec<Vec<String>> = batches
        .iter()
        .flat_map(|batch| {
            (0..batch.num_rows()).map(|row| {
                batch.columns().iter().map(|c| array_value_to_string(c, row).unwrap()).collect()
            })
        })
        .collect();
    rows.sort();
    rows
}

/// The physical plan as EXPLAIN shows it.
pub(super) fn plan(context: &SessionContext, sql: &str) -> String {
    let plan =
        block_on(async { context.sql(sql).await.unwrap().create_physical_plan().await.unwrap() });
    displayable(plan.as_ref()).indent(false).to_string()
}
