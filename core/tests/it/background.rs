//! Flushes and merges beside writers and readers: nothing is lost, nothing comes twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt;
use futures::executor::block_on;
use sheaf_core::catalog::{CatalogChange, NewTable, TableDef};
use sheaf_core::clock::{ManualClock, SplitMix};
use sheaf_core::vfs::MemoryVfs;
use sheaf_core::{
    Durability, Environment, MemoryUse, OnConflict, Options, PartScan, RowBuilder, Store, Value,
    Write, WriteBatch,
};

use crate::support::{
    assert_verified, column, create, def, delete, environment, manual, pairs, put, put_rows,
    random, row, scan,
};

fn open(vfs: &MemoryVfs) -> Store {
    let options = Options {
        memtable_bytes: 20 << 10,
        segment_rows: 256,
        durability: Durability::None,
        ..Options::default()
    };
    let environment = Environment {
        vfs: Arc::new(vfs.clone()),
        clock: Arc::new(ManualClock::default()),
        rng: Arc::new(SplitMix::seeded(1)),
    };
    Store::open_in(environment, options).unwrap()
}

#[test]
fn rows_stay_what_they_are_while_files_move() {
    for (row_store, lazy_upserts) in [(false, false), (true, false), (false, true)] {
        let vfs = MemoryVfs::new();
        let store = open(&vfs);
        let t = create(&store, NewTable { row_store, lazy_upserts, ..pairs("t", true) });
        let mut model: BTreeMap<i64, String> = BTreeMap::new();
        let mut next = random(7);
        for i in 0..30_000_u64 {
            let key = next(1_000) as i64;
            if next(5) == 0 {
                delete(&store, &t, &[key]);
                model.remove(&key);
            } else {
                let value = format!("value {i}");
                put_rows(&store, &t, &[(key, &value)]);
                model.insert(key, value);
            }
            if i % 1_000 == 0 {
                let snapshot = store.snapshot().unwrap();
                let listed: Vec<_> = model.iter().map(|(k, v)| (*k, v.clone())).collect();
                assert_eq!(scan(&snapshot, &t), listed, "after {i} writes");
                assert_eq!(row(&snapshot, &t, key), model.get(&key).cloned());
            }
        }
        let jobs = store.jobs();
        assert!(jobs.iter().any(|job| job.kind == "compact"), "nothing was merged");
        assert_verified(&store);
        store.close().unwrap();
        drop(store);
        let store = open(&vfs);
        let listed: Vec<_> = model.into_iter().collect();
        assert_eq!(scan(&store.snapshot().unwrap(), &t), listed);
    }
}

#[test]
fn scans_beside_lazy_upserts_see_each_commit_whole() {
    const KEYS: i64 = 500;
    let store = open(&MemoryVfs::new());
    let t = create(&store, NewTable { lazy_upserts: true, ..pairs("t", true) });
    let rows_of = |version: i64| {
        let mut rows = RowBuilder::new(&t).unwrap();
        for key in 0..KEYS {
            rows.push(&[Value::from(key), Value::from(version.to_string().as_str())]).unwrap();
        }
        Write::Put { rows, on_conflict: OnConflict::Replace }
    };
    let put_all = |version| {
        let writes = vec![rows_of(version)];
        store.commit(WriteBatch { writes, ..WriteBatch::default() }).unwrap()
    };
    put_all(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let seen = scan(&store.snapshot().unwrap(), &t);
                    let version: i64 = seen[0].1.parse().unwrap();
                    assert!(version >= last, "{version} after {last}");
                    last = version;
                    let wanted = (0..KEYS).map(|key| (key, version.to_string()));
                    assert!(seen.iter().cloned().eq(wanted), "{} rows of {version}", seen.len());
                }
            });
        }
        let _done = Done(&done);
        for version in 1..150 {
            put_all(version);
        }
    });
    assert!(store.jobs().iter().any(|job| job.kind == "compact"), "nothing was merged");
    assert_verified(&store);
}

#[test]
fn a_power_cut_beside_background_work_loses_nothing() {
    let vfs = MemoryVfs::new();
    let options = Options { memtable_bytes: 10 << 10, segment_rows: 128, ..Options::default() };
    let store = Store::open_in(environment(&vfs, 1), options).unwrap();
    let t = create(&store, pairs("t", true));
    let mut model: BTreeMap<i64, String> = BTreeMap::new();
    let mut next = random(11);
    for i in 0..6_000_u64 {
        let key = next(700) as i64;
        if next(3) == 0 {
            delete(&store, &t, &[key]);
            model.remove(&key);
        } else {
            let value = format!("value {i}");
            put_rows(&store, &t, &[(key, &value)]);
            model.insert(key, value);
        }
        if i % 151 == 0 {
            let cut = vfs.power_cut();
            let store = Store::open_in(environment(&cut, 2), manual()).unwrap();
            let listed: Vec<_> = model.iter().map(|(k, v)| (*k, v.clone())).collect();
            assert_eq!(scan(&store.snapshot().unwrap(), &t), listed, "after {i} writes");
            assert_verified(&store);
        }
    }
    assert!(store.jobs().iter().any(|job| job.kind == "compact"), "nothing was merged");
}

/// Ends a thread that looks at it, also when the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_power_cut_beside_a_flush_of_deletions_loses_none() {
    let vfs = MemoryVfs::new();
    let store = Store::open_in(environment(&vfs, 1), manual()).unwrap();
    let t = create(&store, pairs("t", true));
    let all: Vec<(i64, &str)> = (0..2_000).map(|k| (k, "v")).collect();
    put(&store, &t, &all);
    store.flush(None).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.flush(None).unwrap();
            }
        });
        let _done = Done(&done);
        for key in 0..2_000_i64 {
            delete(&store, &t, &[key]);
            if key % 40 == 0 {
                let cut = vfs.power_cut();
                let store = Store::open_in(environment(&cut, 2), manual()).unwrap();
                assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 1_999 - key as usize);
            }
        }
    });
}

/// A row with NULL in the columns after `v`.
fn put_wide(store: &Store, t: &Arc<TableDef>, key: i64, value: &str) {
    let mut row = vec![Value::from(key), Value::from(value)];
    row.resize(t.arrow_schema().fields().len(), Value::Null);
    let mut rows = RowBuilder::new(t).unwrap();
    rows.push(&row).unwrap();
    let write = Write::Put { rows, on_conflict: OnConflict::Replace };
    store.commit(WriteBatch { writes: vec![write], ..WriteBatch::default() }).unwrap();
}

#[test]
fn memtables_that_a_change_of_the_table_froze_are_flushed() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs);
    create(&store, pairs("t", true));
    let long = "x".repeat(1_000);
    // Each change of the definition freezes less than a flush is asked for, and all of
    // them together are more than writers may have waiting.
    for i in 0..20_i64 {
        let t = def(&store, "t");
        for k in 0..10 {
            put_wide(&store, &t, i * 10 + k, &long);
        }
        let column = column(&format!("c{i}"), DataType::Int32);
        let table = t.id;
        store.change_catalog(CatalogChange::AddColumn { table, column }).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    assert_eq!(scan(&snapshot, &def(&store, "t")).len(), 200);
}

#[test]
fn pieces_of_a_memtable_are_the_whole_while_rows_are_added() {
    let store = open(&MemoryVfs::new());
    let t = create(&store, pairs("t", false));
    // Commits of one row, of which many together become one chunk.
    let add = |keys: std::ops::Range<i64>| {
        for key in keys {
            put(&store, &t, &[(key, "value")]);
        }
    };
    add(0..63);
    let snapshot = store.snapshot().unwrap();
    let table = snapshot.table(t.id).unwrap();
    let mut seen: Vec<i64> = Vec::new();
    for i in 0..4 {
        let scan = PartScan { projection: vec![0], piece: Some((i, 4)), ..PartScan::default() };
        for part in table.parts().unwrap() {
            let batches = block_on(part.scan(scan.clone()).unwrap().try_collect::<Vec<_>>());
            for batch in batches.unwrap() {
                seen.extend(batch.column(0).as_primitive::<Int64Type>().values());
            }
        }
        let more = 1_000 + 100 * i as i64;
        add(more..more + 70);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..63).collect::<Vec<_>>());
}

#[test]
fn writers_are_slowed_and_rows_flushed_while_memory_is_short() {
    let options =
        Options { memory_limit: 64 << 20, durability: Durability::None, ..Options::default() };
    let store = Store::open_in(environment(&MemoryVfs::new(), 1), options).unwrap();
    let t = create(&store, pairs("t", true));
    let value = "x".repeat(1000);
    let fill = |keys: std::ops::Range<i64>| {
        for key in keys {
            put_rows(&store, &t, &[(key, &value)]);
        }
    };
    fill(0..1_000);
    assert!(store.stalls().is_empty());
    // A query has taken all there is.
    store.memory().set(MemoryUse::Queries, 64 << 20);
    fill(1_000..3_000);
    assert!(store.stalls().iter().any(|stall| stall.reason == "the memory limit is reached"));
    let flushed = || store.jobs().iter().any(|job| job.kind == "flush");
    while !flushed() {
        std::thread::yield_now();
    }
    store.memory().set(MemoryUse::Queries, 0);
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 3_000);
}

#[test]
fn deletions_that_nobody_asks_about_take_little_memory() {
    let options = Options { durability: Durability::None, ..Options::default() };
    let store = Store::open_in(environment(&MemoryVfs::new(), 1), options).unwrap();
    let t = create(&store, pairs("t", true));
    let rows: Vec<(i64, &str)> = (0..50_000).map(|key| (key, "a value")).collect();
    put_rows(&store, &t, &rows);
    store.flush(None).unwrap();
    let snapshot = store.snapshot().unwrap();
    delete(&store, &t, &(0..10_000).collect::<Vec<_>>());
    store.flush(None).unwrap();
    let used = || store.memory().used(MemoryUse::Deletions);
    assert!(used() > 300_000, "{} bytes", used());
    assert_eq!(scan(&snapshot, &t).len(), 50_000);
    // Nothing is written any more.
    drop(snapshot);
    while used() > 50_000 {
        std::thread::yield_now();
    }
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 40_000);
}

#[test]
fn a_lower_memory_limit_stops_nobody() {
    for background in [false, true] {
        let options = Options { background, durability: Durability::None, ..Options::default() };
        let store = Store::open_in(environment(&MemoryVfs::new(), 1), options).unwrap();
        let t = create(&store, pairs("t", true));
        let value = "x".repeat(1 << 20);
        // Far more than memtables may then hold.
        for key in 0..40 {
            put_rows(&store, &t, &[(key, &value)]);
        }
        store.memory().set_limit(64 << 20);
        for key in 40..50 {
            put_rows(&store, &t, &[(key, &value)]);
        }
        assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 50);
        assert!(store.jobs().iter().any(|job| job.kind == "flush"));
    }
}
