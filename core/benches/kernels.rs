//! Kernels of the store, on one thread: `cargo bench -p sheaf-core --features internals`.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{BinaryViewArray, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures::TryStreamExt;
use futures::executor::block_on;
use sheaf_core::catalog::{CatalogChange, NewColumn, NewTable, SchemaId, TableDef};
use sheaf_core::internals::{KeyIndex, Log, Memtable, Rows, key_hash};
use sheaf_core::{Options, PartScan, RowBuilder, Store, Value, Write, WriteBatch};

const KEYS: u64 = 1_000_000;
const VALUE_LEN: usize = 100;

fn column(name: &str, data_type: DataType) -> NewColumn {
    NewColumn { name: name.into(), data_type, nullable: false, default_sql: None, missing: None }
}

/// A store with an empty table: a key of a type, and bytes.
fn store(key: DataType) -> (Store, Arc<TableDef>) {
    let options = Options { background: false, segment_rows: KEYS as usize, ..Options::default() };
    let store = Store::in_memory(options).unwrap();
    let columns = vec![column("k", key), column("v", DataType::BinaryView)];
    let table =
        NewTable { primary_key: vec!["k".into()], ..NewTable::new(SchemaId(1), "t", columns) };
    store.change_catalog(CatalogChange::CreateTable(table)).unwrap();
    let snapshot = store.snapshot().unwrap();
    let table = snapshot.catalog().tables.values().next().unwrap();
    let table = Arc::clone(table);
    drop(snapshot);
    (store, table)
}

/// Keys of 16 bytes in no order, none twice.
fn key(number: u64) -> [u8; 16] {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mixed.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

fn rows(table: &Arc<TableDef>, numbers: std::ops::Range<u64>) -> Rows {
    let value = [7_u8; VALUE_LEN];
    let mut rows = RowBuilder::new(table).unwrap();
    for number in numbers {
        rows.push(&[Value::from(&key(number)[..]), Value::from(&value[..])]).unwrap();
    }
    Rows::new(rows)
}

/// Encoding, framing and checksums of transactions.
fn log(c: &mut Criterion) {
    let (_store, table) = store(DataType::BinaryView);
    let mut group = c.benchmark_group("log");
    for count in [1, 1000] {
        let rows = rows(&table, 0..count);
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("append of {count} rows"), |b| {
            // A file of its own now and then: it is in memory.
            b.iter_batched_ref(
                || Log::new().unwrap(),
                |log| log.append(black_box(&rows)).unwrap(),
                BatchSize::NumIterations(1000),
            );
        });
    }
    group.finish();
}

fn memtable(c: &mut Criterion) {
    let (_store, table) = store(DataType::BinaryView);
    let all = rows(&table, 0..KEYS);
    let mut group = c.benchmark_group("memtable");
    group.sample_size(10).throughput(Throughput::Elements(KEYS));
    group.bench_function("insert of 1 M keys", |b| {
        let insert = |memtable: &mut Memtable| memtable.insert(&all, 1);
        b.iter_batched_ref(|| Memtable::new(&table).unwrap(), insert, BatchSize::PerIteration);
    });
    let full = Memtable::new(&table).unwrap();
    full.insert(&all, 1);
    let other = rows(&table, KEYS..2 * KEYS);
    for (name, keys) in [("lookup", &all), ("lookup of absent keys", &other)] {
        group.bench_function(name, |b| {
            b.iter(|| keys.keys().filter(|key| full.find(black_box(key)).is_some()).count());
        });
    }
    group.finish();
}

fn key_index(c: &mut Criterion) {
    const PROBES: u64 = 10_000;
    let (_store, table) = store(DataType::BinaryView);
    let all = rows(&table, 0..KEYS);
    let keys: Vec<&[u8]> = all.keys().collect();
    let index = KeyIndex::new(&keys).unwrap();
    let hits: Vec<&[u8]> = keys.iter().step_by((KEYS / PROBES) as usize).copied().collect();
    let mut sorted = hits.clone();
    sorted.sort_by_key(|key| key_hash(key));
    let other = rows(&table, KEYS..KEYS + PROBES);
    let misses: Vec<&[u8]> = other.keys().collect();
    let mut group = c.benchmark_group("key index of 1 M keys");
    group.throughput(Throughput::Elements(PROBES));
    for (name, keys) in [("hit", &hits), ("hit, sorted batch", &sorted), ("miss", &misses)] {
        group.bench_function(name, |b| {
            let find = |key: &&[u8]| index.find(black_box(key)).unwrap().len();
            b.iter(|| keys.iter().map(find).sum::<usize>());
        });
    }
    group.finish();
}

/// A segment of [`KEYS`] rows of which some have ended.
fn segment_with_deletes(deleted: impl Fn(i64) -> bool) -> (Store, Arc<TableDef>) {
    let (store, table) = store(DataType::Int64);
    let keys = Int64Array::from_iter_values(0..KEYS as i64);
    let value = [7_u8; 8];
    let values = BinaryViewArray::from_iter_values((0..KEYS).map(|_| value));
    let schema = Arc::clone(table.arrow_schema());
    let batch = RecordBatch::try_new(schema, vec![Arc::new(keys), Arc::new(values)]).unwrap();
    let mut load = store.bulk_load(table.id).unwrap();
    load.push(batch).unwrap();
    load.finish().unwrap();
    let mut keys = RowBuilder::new(&table).unwrap();
    for key in (0..KEYS as i64).filter(|key| deleted(*key)) {
        keys.push_key(&[Value::from(key)]).unwrap();
    }
    store
        .commit(WriteBatch { writes: vec![Write::Delete { keys }], ..WriteBatch::default() })
        .unwrap();
    (store, table)
}

fn delete_vector(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan of a segment");
    group.sample_size(10).throughput(Throughput::Elements(KEYS));
    type Deleted = fn(i64) -> bool;
    let cases: [(&str, Deleted); 5] = [
        ("nothing deleted", |_| false),
        ("1 % deleted, clustered", |key| key < KEYS as i64 / 100),
        ("1 % deleted, scattered", |key| key % 100 == 0),
        ("20 % deleted, clustered", |key| key < KEYS as i64 / 5),
        ("20 % deleted, scattered", |key| key % 5 == 0),
    ];
    for (name, deleted) in cases {
        let (store, table) = segment_with_deletes(deleted);
        let snapshot = store.snapshot().unwrap().table(table.id).unwrap();
        group.bench_function(name, |b| {
            b.iter(|| {
                let scan = PartScan { projection: vec![0, 1], ..PartScan::default() };
                let stream = snapshot.parts().unwrap()[0].scan(scan).unwrap();
                let batches: Vec<RecordBatch> = block_on(stream.try_collect()).unwrap();
                batches.iter().map(RecordBatch::num_rows).sum::<usize>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, log, memtable, key_index, delete_vector);
criterion_main!(benches);
