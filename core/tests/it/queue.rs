//! Many callers, one of which does the work of all.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use sheaf_core::vfs::MemoryVfs;
use sheaf_core::{Durability, Error, OnConflict, Options, Store, Write, WriteBatch};

use crate::support::{create, def, environment, insert, manual, open, pairs, put, rows, scan};

#[test]
fn every_caller_is_answered_and_what_was_acknowledged_is_there() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let table = create(&store, pairs("t", true));
    let (acknowledge, acknowledged) = channel();
    let write_until_closed = |writer: i64| {
        let durability = [Durability::Sync, Durability::Interval, Durability::None]
            [writer.unsigned_abs() as usize % 3];
        let mut written = Vec::new();
        for n in 0.. {
            let key = writer * 1_000_000 + n;
            let write = Write::Insert {
                table: table.clone(),
                rows: rows(&table, &[(key, "v")]),
                on_conflict: OnConflict::Fail,
            };
            let batch =
                WriteBatch { writes: vec![write], read_at: None, durability: Some(durability) };
            match store.commit(batch) {
                Ok(_) => written.push((key, "v".to_owned())),
                Err(Error::Stopped(_)) => break,
                Err(error) => panic!("{error}"),
            }
            acknowledge.send(()).unwrap();
        }
        written
    };
    let mut written: Vec<(i64, String)> = thread::scope(|scope| {
        let write = &write_until_closed;
        let writers: Vec<_> = (0..8).map(|writer| scope.spawn(move || write(writer))).collect();
        assert_eq!(acknowledged.iter().take(500).count(), 500);
        store.close().unwrap();
        store.close().unwrap();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    drop(store);
    written.sort();
    let store = open(&vfs, 2);
    assert_eq!(scan(&store.snapshot().unwrap(), &def(&store, "t")), written);
}

#[test]
fn everybody_is_told_after_a_large_group_could_not_be_written() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let table = create(&store, pairs("t", true));
    put(&store, &table, &[(1, "a")]);
    vfs.fail_after(0);
    for value in ["x".repeat(9 << 20).as_str(), "y"] {
        let told = insert(&store, &table, &[(2, value)], OnConflict::Replace);
        assert!(matches!(told, Err(Error::Stopped(_))), "{told:?}");
    }
    assert!(store.close().is_err());
    drop(store);
    let store = open(&vfs, 2);
    assert_eq!(scan(&store.snapshot().unwrap(), &table), [(1, "a".into())]);
}

#[test]
fn a_failed_opening_gives_the_lock_back() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let table = create(&store, pairs("t", true));
    put(&store, &table, &[(1, "a")]);
    drop(store);
    let mut failures = 0;
    for operations in 0..20 {
        vfs.fail_after(operations);
        match Store::open_in(environment(&vfs, 2 + operations), manual()) {
            Ok(_) => break,
            Err(Error::Io { .. } | Error::Stopped(_)) => failures += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(failures > 2, "{failures}");
    vfs.fail_after(u64::MAX);
    let store = open(&vfs, 100);
    assert_eq!(scan(&store.snapshot().unwrap(), &table), [(1, "a".into())]);
}

#[test]
fn an_interval_may_be_for_ever() {
    let vfs = MemoryVfs::new();
    let options =
        Options { durability: Durability::Interval, sync_interval: Duration::MAX, ..manual() };
    let store = Store::open_in(environment(&vfs, 1), options).unwrap();
    let table = create(&store, pairs("t", true));
    put(&store, &table, &[(1, "a")]);
    put(&store, &table, &[(2, "b")]);
    store.close().unwrap();
}
