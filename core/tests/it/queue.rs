//! Many callers, one of which does the work of all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sheaf_core::vfs::MemoryVfs;
use sheaf_core::{Durability, Error, OnConflict, Write, WriteBatch};

use crate::support::{create, def, open, pairs, rows, scan};

#[test]
fn every_caller_is_answered_and_what_was_acknowledged_is_there() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let table = create(&store, pairs("t", true));
    let acknowledged = AtomicUsize::new(0);
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
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        written
    };
    let mut written: Vec<(i64, String)> = thread::scope(|scope| {
        let write = &write_until_closed;
        let writers: Vec<_> = (0..8).map(|writer| scope.spawn(move || write(writer))).collect();
        while acknowledged.load(Ordering::Relaxed) < 500 {
            thread::sleep(Duration::from_millis(1));
        }
        store.close().unwrap();
        store.close().unwrap();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    drop(store);
    written.sort();
    let store = open(&vfs, 2);
    assert_eq!(scan(&store.snapshot().unwrap(), &def(&store, "t")), written);
}
