//! Small tables and readers for the tests.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringViewArray, UInt64Array};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use futures::TryStreamExt;
use futures::executor::block_on;
use sheaf_core::catalog::{CatalogChange, NewColumn, NewTable, SchemaId, TableDef};
use sheaf_core::clock::{ManualClock, SplitMix};
use sheaf_core::vfs::MemoryVfs;
use sheaf_core::{
    Columns, Commit, Environment, Error, OnConflict, Options, PartScan, Row, RowBuilder, Snapshot,
    Store, Value, Write, WriteBatch,
};

pub const PUBLIC: SchemaId = SchemaId(1);

pub fn column(name: &str, data_type: DataType) -> NewColumn {
    NewColumn { name: name.into(), data_type, nullable: true, default_sql: None, missing: None }
}

/// A table of `k BIGINT, v TEXT`, keyed by `k` or without a key.
pub fn pairs(name: &str, keyed: bool) -> NewTable {
    let columns = vec![column("k", DataType::Int64), column("v", DataType::Utf8View)];
    NewTable {
        primary_key: if keyed { vec!["k".into()] } else { Vec::new() },
        ..NewTable::new(PUBLIC, name, columns)
    }
}

pub fn environment(vfs: &MemoryVfs, seed: u64) -> Environment {
    Environment {
        vfs: Arc::new(vfs.clone()),
        clock: Arc::new(ManualClock::default()),
        rng: Arc::new(SplitMix::seeded(seed)),
    }
}

/// Small limits, and nothing happens unless the test asks for it.
pub fn manual() -> Options {
    Options { background: false, segment_rows: 64, ..Options::default() }
}

pub fn open(vfs: &MemoryVfs, seed: u64) -> Store {
    open_with(vfs, seed, manual().segment_rows)
}

pub fn open_with(vfs: &MemoryVfs, seed: u64, segment_rows: usize) -> Store {
    Store::open_in(environment(vfs, seed), Options { segment_rows, ..manual() }).unwrap()
}

pub fn create(store: &Store, table: NewTable) -> Arc<TableDef> {
    let name = table.name.clone();
    store.change_catalog(CatalogChange::CreateTable(table)).unwrap();
    def(store, &name)
}

pub fn def(store: &Store, name: &str) -> Arc<TableDef> {
    Arc::clone(store.snapshot().unwrap().catalog().table(PUBLIC, name).unwrap())
}

pub fn rows(def: &TableDef, pairs: &[(i64, &str)]) -> RecordBatch {
    let keys = Int64Array::from_iter_values(pairs.iter().map(|(k, _)| *k));
    let values = StringViewArray::from_iter_values(pairs.iter().map(|(_, v)| *v));
    RecordBatch::try_new(Arc::clone(def.arrow_schema()), vec![Arc::new(keys), Arc::new(values)])
        .unwrap()
}

pub fn keys(def: &TableDef, keys: &[i64]) -> RecordBatch {
    let schema = def.arrow_schema().project(&[0]).unwrap();
    let keys = Int64Array::from(keys.to_vec());
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(keys)]).unwrap()
}

pub fn insert(
    store: &Store,
    def: &Arc<TableDef>,
    pairs: &[(i64, &str)],
    on_conflict: OnConflict,
) -> Result<Commit, Error> {
    let write = Write::Insert { table: Arc::clone(def), rows: rows(def, pairs), on_conflict };
    store.commit(WriteBatch { writes: vec![write], ..WriteBatch::default() })
}

pub fn put(store: &Store, def: &Arc<TableDef>, pairs: &[(i64, &str)]) -> Commit {
    insert(store, def, pairs, OnConflict::Replace).unwrap()
}

/// The same, row by row.
pub fn put_rows(store: &Store, def: &Arc<TableDef>, pairs: &[(i64, &str)]) -> Commit {
    let mut rows = RowBuilder::new(def).unwrap();
    for (k, v) in pairs {
        rows.push(&[Value::from(*k), Value::from(*v)]).unwrap();
    }
    let write = Write::Put { rows, on_conflict: OnConflict::Replace };
    store.commit(WriteBatch { writes: vec![write], ..WriteBatch::default() }).unwrap()
}

pub fn delete(store: &Store, def: &Arc<TableDef>, wanted: &[i64]) -> Commit {
    let write = Write::DeleteKeys { table: Arc::clone(def), keys: keys(def, wanted) };
    store.commit(WriteBatch { writes: vec![write], ..WriteBatch::default() }).unwrap()
}

pub fn delete_rows(store: &Store, def: &Arc<TableDef>, rowids: Vec<u64>) -> Commit {
    let write = Write::DeleteRows { table: Arc::clone(def), rowids: UInt64Array::from(rowids) };
    store.commit(WriteBatch { writes: vec![write], ..WriteBatch::default() }).unwrap()
}

/// All rows of a table of pairs, sorted.
pub fn scan(snapshot: &Snapshot, def: &TableDef) -> Vec<(i64, String)> {
    let table = snapshot.table(def.id).unwrap();
    let mut out = Vec::new();
    for part in table.parts().unwrap() {
        let request = PartScan { projection: vec![0, 1], ..PartScan::default() };
        let stream = part.scan(request).unwrap();
        let batches: Vec<RecordBatch> = block_on(stream.try_collect()).unwrap();
        for batch in batches {
            let keys = batch.column(0).as_primitive::<Int64Type>();
            let values = batch.column(1).as_string_view();
            for i in 0..batch.num_rows() {
                out.push((keys.value(i), values.value(i).to_owned()));
            }
        }
    }
    out.sort();
    out
}

/// Row ids of an append table with the key beside each.
pub fn rowids(snapshot: &Snapshot, def: &TableDef) -> Vec<(u64, i64)> {
    let table = snapshot.table(def.id).unwrap().with_columns(Columns::WithRowId);
    let mut out = Vec::new();
    for part in table.parts().unwrap() {
        let request = PartScan { projection: vec![2, 0], ..PartScan::default() };
        let stream = part.scan(request).unwrap();
        let batches: Vec<RecordBatch> = block_on(stream.try_collect()).unwrap();
        for batch in batches {
            let ids = batch.column(0).as_primitive::<UInt64Type>();
            let keys = batch.column(1).as_primitive::<Int64Type>();
            out.extend((0..batch.num_rows()).map(|i| (ids.value(i), keys.value(i))));
        }
    }
    out.sort_unstable();
    out
}

pub fn get(snapshot: &Snapshot, def: &TableDef, key: i64) -> Option<String> {
    let found = snapshot.table(def.id).unwrap().get(&keys(def, &[key])).unwrap();
    assert!(found.num_rows() <= 1);
    let values = found.column(1).as_string_view();
    (found.num_rows() == 1).then(|| values.value(0).to_owned())
}

/// The same by a read that makes no columns.
pub fn row(snapshot: &Snapshot, def: &TableDef, key: i64) -> Option<String> {
    let row = snapshot.table(def.id).unwrap().row(&[key.into()]).unwrap()?;
    Some(pair(&row).1)
}

/// The pairs with keys from `from` to before `to`, up and down.
pub fn range(snapshot: &Snapshot, def: &TableDef, from: i64, to: i64) -> [Vec<(i64, String)>; 2] {
    let table = snapshot.table(def.id).unwrap();
    let (from, to) = ([Value::from(from)], [Value::from(to)]);
    let rows = || table.range(Bound::Included(&from), Bound::Excluded(&to)).unwrap();
    [rows(), rows().backward()].map(|rows| rows.map(|row| pair(&row.unwrap())).collect())
}

fn pair(row: &Row) -> (i64, String) {
    match (row.value(0).unwrap(), row.value(1).unwrap()) {
        (Value::Int(k), Value::Text(v)) => (k as i64, v.into_owned()),
        other => panic!("{other:?} is no pair"),
    }
}

pub fn assert_verified(store: &Store) {
    let report = store.verify().unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Numbers below what is asked for, always the same ones.
pub fn random(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    }
}
