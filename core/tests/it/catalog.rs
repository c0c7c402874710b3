//! Tables and columns that come, go and change their names.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array};
use arrow::datatypes::{DataType, Int32Type, TimeUnit};
use futures::TryStreamExt;
use futures::executor::block_on;
use sheaf_core::catalog::{CatalogChange, ColumnId, TimeToLive};
use sheaf_core::partition::BucketWidth;
use sheaf_core::vfs::MemoryVfs;
use sheaf_core::{Error, OnConflict, PartScan, RowBuilder, Store, Value, Write, WriteBatch};

use crate::support::{
    PUBLIC, assert_verified, column, create, def, insert, open, pairs, put, scan,
};

fn third_column(store: &Store) -> Vec<Option<i32>> {
    let table = store.snapshot().unwrap().table(def(store, "t").id).unwrap();
    let mut out = Vec::new();
    for part in table.parts().unwrap() {
        let request = PartScan { projection: vec![2], ..PartScan::default() };
        let batches: Vec<_> = block_on(part.scan(request).unwrap().try_collect()).unwrap();
        for batch in batches {
            let batch: arrow::array::RecordBatch = batch;
            out.extend(batch.column(0).as_primitive::<Int32Type>().iter());
        }
    }
    out.sort();
    out
}

#[test]
fn an_added_column_has_its_frozen_value_in_old_rows_wherever_they_are() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "segment")]);
    store.flush(None).unwrap();
    put(&store, &t, &[(2, "memtable")]);
    let seven: ArrayRef = Arc::new(Int32Array::from(vec![7]));
    let mut added = column("n", DataType::Int32);
    added.missing = Some(seven);
    store.change_catalog(CatalogChange::AddColumn { table: t.id, column: added }).unwrap();
    assert_eq!(third_column(&store), [Some(7), Some(7)]);
    let stale = insert(&store, &t, &[(3, "x")], OnConflict::Fail);
    assert!(matches!(stale, Err(Error::SchemaChanged { .. })));
    store.close().unwrap();
    drop(store);
    // Again from the log: the row in the memtable was logged before the change.
    let store = open(&vfs, 2);
    assert_eq!(third_column(&store), [Some(7), Some(7)]);
    store.flush(None).unwrap();
    store.compact(None).unwrap();
    assert_eq!(third_column(&store), [Some(7), Some(7)]);
    assert_verified(&store);
}

#[test]
fn a_time_to_live_is_changed_later() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    let at = column("at", DataType::Timestamp(TimeUnit::Microsecond, None));
    store.change_catalog(CatalogChange::AddColumn { table: t.id, column: at }).unwrap();
    let columns: Vec<ColumnId> = def(&store, "t").live_columns().map(|c| c.id).collect();
    let set = |ttl| store.change_catalog(CatalogChange::SetTimeToLive { table: t.id, ttl });
    let at = |column| Some(TimeToLive { column, after: Some(BucketWidth::Micros(10)) });
    assert!(matches!(set(at(columns[1])), Err(Error::Invalid(_))));
    assert!(matches!(set(at(ColumnId(99))), Err(Error::NotFound { .. })));
    let insert = |k: i64, at: Value<'_>| {
        let mut rows = RowBuilder::new(&def(&store, "t")).unwrap();
        rows.push(&[k.into(), "x".into(), at]).unwrap();
        let writes = vec![Write::Put { rows, on_conflict: OnConflict::Fail }];
        store.commit(WriteBatch { writes, ..WriteBatch::default() }).unwrap();
    };
    insert(1, Value::from(-1_000_000_i64));
    insert(2, Value::Null);
    assert_eq!(store.expire(Some(t.id)).unwrap(), 0);
    set(at(columns[2])).unwrap();
    assert_eq!(store.expire(Some(t.id)).unwrap(), 1);
    set(None).unwrap();
    assert_eq!(def(&store, "t").ttl, None);
    insert(3, Value::from(-1_000_000_i64));
    assert_eq!(store.expire(Some(t.id)).unwrap(), 0);
}

#[test]
fn a_dropped_column_is_gone_and_its_name_is_free() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "old")]);
    store.flush(None).unwrap();
    let key = CatalogChange::DropColumn { table: t.id, column: ColumnId(1) };
    assert!(matches!(store.change_catalog(key), Err(Error::Invalid(_))));
    store.change_catalog(CatalogChange::DropColumn { table: t.id, column: ColumnId(2) }).unwrap();
    let again = column("v", DataType::Utf8View);
    store.change_catalog(CatalogChange::AddColumn { table: t.id, column: again }).unwrap();
    let t = def(&store, "t");
    put(&store, &t, &[(2, "new")]);
    let snapshot = store.snapshot().unwrap();
    let table = snapshot.table(t.id).unwrap();
    let found = table.get(&crate::support::keys(&t, &[1])).unwrap();
    assert!(arrow::array::Array::is_null(found.column(1), 0));
    store.compact(None).unwrap();
}

#[test]
fn truncate_and_drop_leave_nothing_for_recovery() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, pairs("t", true));
    let u = create(&store, pairs("u", false));
    put(&store, &t, &[(1, "a")]);
    put(&store, &u, &[(1, "a")]);
    store.change_catalog(CatalogChange::Truncate(t.id)).unwrap();
    store.change_catalog(CatalogChange::DropTable(u.id)).unwrap();
    put(&store, &t, &[(2, "b")]);
    let cut = vfs.power_cut();
    let store = open(&cut, 2);
    assert_eq!(scan(&store.snapshot().unwrap(), &t), [(2, "b".into())]);
    assert!(store.snapshot().unwrap().catalog().table(PUBLIC, "u").is_none());
}

#[test]
fn names_are_taken_once() {
    let store = open(&MemoryVfs::new(), 1);
    create(&store, pairs("t", true));
    let again = store.change_catalog(CatalogChange::CreateTable(pairs("t", false)));
    assert!(matches!(again, Err(Error::AlreadyExists { .. })));
    let view = CatalogChange::CreateView {
        schema: PUBLIC,
        name: "t".into(),
        sql: "SELECT 1".into(),
        replace: true,
    };
    assert!(matches!(store.change_catalog(view), Err(Error::AlreadyExists { .. })));
}

#[test]
fn many_edits_become_a_checkpoint() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    for i in 0..150 {
        create(&store, pairs(&format!("t{i}"), true));
        if i % 50 == 0 {
            store.flush(None).unwrap();
        }
    }
    store.flush(None).unwrap();
    let store = open(&vfs.power_cut(), 2);
    assert_eq!(store.snapshot().unwrap().catalog().tables.len(), 150);
    assert_verified(&store);
}
