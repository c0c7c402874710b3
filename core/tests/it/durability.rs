//! What survives a power cut, a failed sync, and damage.

use std::time::{Duration, Instant};

use sheaf_core::catalog::{CatalogChange, NewTable};
use sheaf_core::vfs::{MemoryVfs, Vfs};
use sheaf_core::{Durability, Error, OnConflict, Options, RowBuilder, Store, Write, WriteBatch};

use crate::support::{
    assert_verified, create, def, delete, environment, insert, manual, open, open_with, pairs, put,
    scan,
};

#[test]
fn acknowledged_rows_survive_a_power_cut() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a"), (2, "b")]);
    store.flush(None).unwrap();
    put(&store, &t, &[(2, "b2"), (3, "c")]);
    delete(&store, &t, &[1]);
    let store = open(&vfs.power_cut(), 2);
    assert_eq!(scan(&store.snapshot().unwrap(), &t), [(2, "b2".into()), (3, "c".into())]);
    assert_verified(&store);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the timer goes by the time of the machine")]
fn an_interval_ends_without_another_commit() {
    let vfs = MemoryVfs::new();
    let options = Options {
        durability: Durability::Interval,
        sync_interval: Duration::from_millis(20),
        ..manual()
    };
    let store = Store::open_in(environment(&vfs, 1), options).unwrap();
    let t = create(&store, pairs("t", true));
    for n in 0..3 {
        put(&store, &t, &[(n, "a")]);
        let there = || open(&vfs.power_cut(), 2).snapshot().unwrap();
        let began = Instant::now();
        while scan(&there(), &t).len() <= n as usize {
            assert!(began.elapsed() < Duration::from_secs(30), "row {n} was never synced");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_table_says_how_durable_its_commits_are() {
    use Durability::{Interval, None as Never, Sync};
    for (batch, tables, default, survives) in [
        // The batch goes first, then the tables, then the store.
        (None, [None, None], Sync, true),
        (None, [None, None], Never, false),
        (None, [Some(Never), Some(Never)], Sync, false),
        (None, [Some(Sync), Some(Sync)], Never, true),
        (Some(Sync), [Some(Never), Some(Never)], Never, true),
        (Some(Never), [Some(Sync), Some(Sync)], Sync, false),
        // Of several tables the most careful decides.
        (None, [Some(Never), Some(Sync)], Interval, true),
        (None, [Some(Never), None], Sync, true),
        (None, [Some(Never), Some(Interval)], Sync, false),
    ] {
        let vfs = MemoryVfs::new();
        // The interval does not end by itself.
        let sync_interval = Duration::from_secs(1_000);
        let options = Options { durability: default, sync_interval, ..manual() };
        let store = Store::open_in(environment(&vfs, 1), options).unwrap();
        let [a, b] = [("a", tables[0]), ("b", tables[1])]
            .map(|(name, durability)| create(&store, NewTable { durability, ..pairs(name, true) }));
        let write = |table| {
            let mut rows = RowBuilder::new(table).unwrap();
            rows.push(&[1.into(), "x".into()]).unwrap();
            Write::Put { rows, on_conflict: OnConflict::Fail }
        };
        let writes = vec![write(&a), write(&b)];
        store.commit(WriteBatch { writes, read_at: None, durability: batch }).unwrap();
        let rows = scan(&open(&vfs.power_cut(), 2).snapshot().unwrap(), &a).len();
        assert_eq!(rows, usize::from(survives), "{batch:?} {tables:?} {default:?}");
    }
}

#[test]
fn the_durability_of_a_table_is_changed_and_kept() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let id = create(&store, pairs("t", true)).id;
    let set = |store: &Store, durability| {
        let change = CatalogChange::SetDurability { table: id, durability };
        store.change_catalog(change).unwrap();
        def(store, "t")
    };
    put(&store, &set(&store, Some(Durability::None)), &[(1, "lost")]);
    let store = open(&vfs.power_cut(), 2);
    assert_eq!(def(&store, "t").durability, Some(Durability::None));
    assert_eq!(scan(&store.snapshot().unwrap(), &def(&store, "t")), []);
    put(&store, &set(&store, None), &[(2, "kept")]);
    assert_eq!(def(&store, "t").durability, None);
}

#[test]
fn deletes_of_segment_rows_survive_flushes_in_any_order() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a"), (2, "b"), (3, "c")]);
    store.flush(None).unwrap();
    delete(&store, &t, &[2]);
    let cut = open(&vfs.power_cut(), 2);
    assert_eq!(scan(&cut.snapshot().unwrap(), &t).len(), 2);
    store.flush(None).unwrap();
    let cut = open(&vfs.power_cut(), 3);
    assert_eq!(scan(&cut.snapshot().unwrap(), &t).len(), 2);
    assert_verified(&cut);
}

#[test]
fn unsynced_commits_may_go_but_never_in_part() {
    let vfs = MemoryVfs::new();
    let options = Options { durability: Durability::None, ..manual() };
    let store = Store::open_in(environment(&vfs, 1), options).unwrap();
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a"), (2, "b")]);
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 2);
    let cut = open(&vfs.power_cut(), 2);
    assert_eq!(scan(&cut.snapshot().unwrap(), &t), []);
    store.close().unwrap();
    let cut = open(&vfs.power_cut(), 3);
    assert_eq!(scan(&cut.snapshot().unwrap(), &t).len(), 2);
}

#[test]
fn what_recovery_builds_on_is_made_durable_first() {
    let vfs = MemoryVfs::new();
    let options = Options { durability: Durability::None, ..manual() };
    let store = Store::open_in(environment(&vfs, 1), options).unwrap();
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "never synced")]);
    // The process is killed; the next one finds the record and builds on it.
    let killed = vfs.kill();
    let store = open(&killed, 2);
    put(&store, &t, &[(2, "synced")]);
    let store = open(&killed.power_cut(), 3);
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 2);
    assert_verified(&store);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    // Every operation of a small workload fails once; what was acknowledged before
    // must be there after, and nothing may be acknowledged after a failure.
    for n in 0..60 {
        let vfs = MemoryVfs::new();
        let store = open(&vfs, 1);
        let t = create(&store, pairs("t", true));
        vfs.fail_after(n);
        let mut acknowledged = Vec::new();
        let mut failed = false;
        for k in 0..20 {
            if k == 10 {
                // A flush that fails outside the commit path leaves the store running.
                let _ = store.flush(None);
            }
            match insert(&store, &t, &[(k, "x")], OnConflict::Fail) {
                Ok(_) => {
                    assert!(!failed, "acknowledged after a failure, n = {n}");
                    acknowledged.push(k);
                }
                Err(Error::Stopped(_) | Error::Io { .. }) => failed = true,
                Err(other) => panic!("{other}"),
            }
        }
        let cut = open(&vfs.power_cut(), 2);
        let found: Vec<i64> =
            scan(&cut.snapshot().unwrap(), &t).into_iter().map(|(k, _)| k).collect();
        for k in &acknowledged {
            assert!(found.contains(k), "lost {k}, n = {n}");
        }
        assert_verified(&cut);
    }
}

#[test]
fn a_torn_tail_is_cut_and_damage_below_it_is_an_error() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, pairs("t", true));
    for k in 0..10 {
        put(&store, &t, &[(k, "some value")]);
    }
    let name = vfs.list("wal").unwrap().pop().unwrap();
    let path = format!("wal/{name}");
    // Zeros after the last record are room for more.
    let len = vfs.read(&path).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1;

    let cut = vfs.power_cut();
    cut.truncate(&path, len as u64 - 5).unwrap();
    let torn = open(&cut, 2);
    assert_eq!(scan(&torn.snapshot().unwrap(), &t).len(), 9);
    put(&torn, &t, &[(50, "after")]);
    let again = open(&cut.power_cut(), 3);
    assert_eq!(scan(&again.snapshot().unwrap(), &t).len(), 10);

    for offset in 0..len {
        let damaged = vfs.power_cut();
        damaged.damage(&path, offset, 0x10).unwrap();
        match Store::open_in(environment(&damaged, 4), manual()) {
            Err(Error::Corrupt { .. } | Error::Formats(_)) => {}
            Err(other) => panic!("offset {offset}: {other}"),
            Ok(store) => {
                // Padding, or the last group: nobody knows that it was acknowledged.
                let rows = scan(&store.snapshot().unwrap(), &t).len();
                assert!(rows >= 9, "offset {offset}: {rows} rows");
            }
        }
    }
}

#[test]
fn damage_in_any_file_is_found() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, NewTable { row_store: true, ..pairs("t", true) });
    put(&store, &t, &[(1, "a"), (2, "b"), (3, "c")]);
    store.flush(None).unwrap();
    delete(&store, &t, &[2]);
    store.flush(None).unwrap();
    let dir = format!("t/{}/all", t.id);
    for name in vfs.list(&dir).unwrap() {
        let path = format!("{dir}/{name}");
        let len = vfs.read(&path).unwrap().len();
        // Every byte of the small parts, a sample of the large header page.
        for offset in (0..len).filter(|o| !(512..4096).contains(o) || o % 64 == 0) {
            let damaged = vfs.power_cut();
            damaged.damage(&path, offset, 0x01).unwrap();
            let found = match Store::open_in(environment(&damaged, 2), manual()) {
                Ok(store) => !store.verify().unwrap().problems.is_empty(),
                Err(_) => true,
            };
            assert!(found, "{path} byte {offset}");
        }
    }
}

#[test]
fn a_flush_of_deletions_that_fails_midway_leaves_replay_what_it_needs() {
    for steps in 0..12 {
        let vfs = MemoryVfs::new();
        let store = open_with(&vfs, 1, 8);
        let t = create(&store, pairs("t", true));
        let put_flushed = |keys: &[i64]| {
            let rows: Vec<(i64, &str)> = keys.iter().map(|k| (*k, "v")).collect();
            put(&store, &t, &rows);
            store.flush(None).unwrap();
        };
        // The second ends a row of the first, and the others are there to be merged.
        put_flushed(&[1, 2, 3, 4, 5, 6]);
        put_flushed(&[1, 50, 51, 52, 53]);
        for k in 100..104 {
            put_flushed(&[k]);
        }
        delete(&store, &t, &[1]);
        delete(&store, &t, &[2]);
        vfs.fail_after(steps);
        let failed = store.flush(None).is_err();
        vfs.fail_after(u64::MAX);
        if store.settle().is_err() {
            assert!(failed, "after {steps} steps");
        }
        let listed = [3, 4, 5, 6, 50, 51, 52, 53, 100, 101, 102, 103].map(|k| (k, "v".to_owned()));
        let store = open(&vfs.power_cut(), 2);
        assert_eq!(scan(&store.snapshot().unwrap(), &t), listed, "after {steps} steps");
        assert_verified(&store);
    }
}
