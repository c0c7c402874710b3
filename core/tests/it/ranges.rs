//! What reading a short range costs in a table without whole rows.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sheaf_core::catalog::{ColumnOrder, NewTable, TableDef};
use sheaf_core::vfs::{LockOutcome, MemoryVfs, Vfs, WriteFile};
use sheaf_core::{Options, RowRange, Store, TableSnapshot, Value};
use sheaf_formats::io::ReadAt;

use crate::support::{create, def, delete, environment, manual, pairs, random};

const ROWS: i64 = 100_000;

/// Counts the bytes that are read of segments.
#[derive(Clone, Debug)]
struct Counting {
    inner: MemoryVfs,
    bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile {
    inner: Arc<dyn ReadAt>,
    bytes: Arc<AtomicU64>,
}

impl ReadAt for CountingFile {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.bytes.fetch_add(len as u64, Ordering::Relaxed);
        self.inner.read_at(offset, len)
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

impl Vfs for Counting {
    fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn reopen(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        self.inner.reopen(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        self.inner.create(path)
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn ReadAt>> {
        let inner = self.inner.open(path)?;
        if !path.ends_with(".seg") {
            return Ok(inner);
        }
        Ok(Arc::new(CountingFile { inner, bytes: Arc::clone(&self.bytes) }))
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        self.inner.read(path)
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<bool> {
        self.inner.put_if_absent(path, bytes)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        self.inner.delete(path)
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.inner.truncate(path, len)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn lock(&self, path: &str) -> io::Result<LockOutcome> {
        self.inner.lock(path)
    }

    fn holder(&self, path: &str) -> io::Result<Option<Bytes>> {
        self.inner.holder(path)
    }
}

fn open(vfs: &Counting) -> Store {
    let mut environment = environment(&vfs.inner, 1);
    environment.vfs = Arc::new(vfs.clone());
    Store::open_in(environment, Options { segment_rows: 1 << 20, ..manual() }).unwrap()
}

/// A table of one segment with texts that do not compress.
fn load(store: &Store, descending: bool) -> Arc<TableDef> {
    let order = ColumnOrder { descending, ..ColumnOrder::default() };
    let t = create(store, NewTable { key_order: vec![order], ..pairs("t", true) });
    let mut random = random(7);
    let texts: Vec<String> =
        (0..ROWS).map(|_| (0..8).map(|_| format!("{:08x}", random(1 << 31))).collect()).collect();
    let rows: Vec<(i64, &str)> = (0..).zip(texts.iter().map(String::as_str)).collect();
    let mut load = store.bulk_load(t.id).unwrap();
    load.push(crate::support::rows(&t, &rows)).unwrap();
    load.finish().unwrap();
    t
}

/// The keys from one to before another.
fn keys(table: &TableSnapshot, from: i64, to: i64) -> RowRange {
    let (from, to) = ([Value::from(from)], [Value::from(to)]);
    table.range(Bound::Included(&from), Bound::Excluded(&to)).unwrap()
}

fn found(range: RowRange) -> Vec<i64> {
    range
        .map(|row| match row.unwrap().value(0).unwrap() {
            Value::Int(key) => key as i64,
            other => panic!("{other:?} is no key"),
        })
        .collect()
}

#[test]
fn a_short_range_reads_little_of_a_long_segment() {
    for descending in [false, true] {
        let vfs = Counting { inner: MemoryVfs::new(), bytes: Arc::default() };
        let store = open(&vfs);
        load(&store, descending);
        let size = store.segments().unwrap()[0].bytes;
        assert!(size > 5_000_000, "{size}");
        store.close().unwrap();
        drop(store);

        let store = open(&vfs);
        let t = def(&store, "t");
        // Rows that have ended cost no more than their share.
        delete(&store, &t, &(40_000..40_020).collect::<Vec<_>>());
        let table = store.snapshot().unwrap().table(t.id).unwrap();
        let (from, to) = if descending { (40_029, 40_009) } else { (40_010, 40_030) };
        let mut wanted: Vec<i64> = (40_020..40_030).collect();
        if descending {
            wanted.reverse();
        }
        for backward in [false, true] {
            vfs.bytes.store(0, Ordering::Relaxed);
            let mut range = keys(&table, from, to);
            if backward {
                range = range.backward();
                wanted.reverse();
            }
            assert_eq!(found(range), wanted);
            let read = vfs.bytes.load(Ordering::Relaxed);
            assert!(read < size / 4, "{read} bytes of {size} were read");
        }
    }
}

#[test]
fn a_range_that_is_left_early_has_read_only_its_beginning() {
    let vfs = Counting { inner: MemoryVfs::new(), bytes: Arc::default() };
    let store = open(&vfs);
    let t = load(&store, false);
    let size = store.segments().unwrap()[0].bytes;
    let table = store.snapshot().unwrap().table(t.id).unwrap();
    vfs.bytes.store(0, Ordering::Relaxed);
    let all = || table.range(Bound::Unbounded, Bound::Unbounded).unwrap();
    assert_eq!(all().take(10).count(), 10);
    assert_eq!(all().backward().take(10).count(), 10);
    let read = vfs.bytes.load(Ordering::Relaxed);
    assert!(read < size / 4, "{read} bytes of {size} were read");
    assert_eq!(found(all()), (0..ROWS).collect::<Vec<_>>());
}
