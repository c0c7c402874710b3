//! Writers of a table wait for merges, and never for merges that cannot be done.

#![expect(clippy::disallowed_methods, reason = "other threads are waited for in real time")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sheaf_core::vfs::{LockOutcome, MemoryVfs, Vfs, WriteFile};
use sheaf_core::{Options, Store};
use sheaf_formats::io::ReadAt;

use crate::support::{create, environment, manual, pairs, put, scan};

/// A file system in which merges make no file: they wait until they may, or fail.
#[derive(Clone, Debug)]
struct NoMerges {
    files: MemoryVfs,
    fail: bool,
    open: Arc<AtomicBool>,
}

impl NoMerges {
    fn new(fail: bool) -> Self {
        Self { files: MemoryVfs::new(), fail, open: Arc::default() }
    }
}

impl Vfs for NoMerges {
    fn create(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        // Whoever leads the commits may have to make a file of the log for others.
        let is_log = path.starts_with("wal/");
        if std::thread::current().name() == Some("sheaf-compact") && !is_log {
            if self.fail {
                return Err(io::Error::other("no merges"));
            }
            while !self.open.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.files.create(path)
    }

    fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        self.files.create_dir_all(dir)
    }

    fn reopen(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        self.files.reopen(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn ReadAt>> {
        self.files.open(path)
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        self.files.read(path)
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<bool> {
        self.files.put_if_absent(path, bytes)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.files.list(dir)
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        self.files.delete(path)
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.files.truncate(path, len)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.files.sync_dir(dir)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.files.exists(path)
    }

    fn lock(&self, path: &str) -> io::Result<LockOutcome> {
        self.files.lock(path)
    }

    fn holder(&self, path: &str) -> io::Result<Option<Bytes>> {
        self.files.holder(path)
    }
}

fn open(vfs: &NoMerges, options: Options) -> Store {
    let environment = environment(&vfs.files, 1);
    let environment = sheaf_core::Environment { vfs: Arc::new(vfs.clone()), ..environment };
    Store::open_in(environment, options).unwrap()
}

/// Puts rows into segments that all overlap, counting them.
fn pile_up(store: &Store, count: &AtomicI64, segments: i64) {
    let t = crate::support::def(store, "t");
    let long = "x".repeat(20_000);
    for n in 0..segments {
        put(store, &t, &[(n, &long), (1_000_000 - n, "far away")]);
        store.flush(Some(t.id)).unwrap();
        count.store(n + 1, Ordering::Release);
    }
}

fn stalled(store: &Store, kind: &str) -> bool {
    let reason = "segments are flushed faster than they are merged";
    store.stalls().iter().any(|stall| stall.kind == kind && stall.reason == reason)
}

#[test]
fn writers_wait_until_segments_are_merged() {
    let vfs = NoMerges::new(false);
    let store = open(&vfs, Options { background: true, ..manual() });
    let t = create(&store, pairs("t", true));
    let other = create(&store, pairs("other", true));
    let count = AtomicI64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| pile_up(&store, &count, 60));
        while count.load(Ordering::Acquire) < 48 {
            std::thread::sleep(Duration::from_millis(5));
        }
        // They stop there.
        std::thread::sleep(Duration::from_millis(500));
        let last = count.load(Ordering::Acquire);
        // Writers of other tables do not wait with them.
        put(&store, &other, &[(1, "a")]);
        vfs.open.store(true, Ordering::Release);
        assert!(last < 55, "{last} segments");
    });
    assert!(stalled(&store, "slow") && stalled(&store, "wait"), "{:?}", store.stalls());
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 120);
}

#[test]
fn writers_do_not_wait_for_merges_that_fail() {
    let vfs = NoMerges::new(true);
    let store = open(&vfs, Options { background: true, ..manual() });
    let t = create(&store, pairs("t", true));
    pile_up(&store, &AtomicI64::new(0), 60);
    assert!(stalled(&store, "slow"), "{:?}", store.stalls());
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 120);
}

#[test]
fn writers_do_not_wait_where_nobody_merges() {
    let vfs = NoMerges::new(false);
    let store = open(&vfs, manual());
    let t = create(&store, pairs("t", true));
    pile_up(&store, &AtomicI64::new(0), 60);
    assert!(store.stalls().is_empty(), "{:?}", store.stalls());
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 120);
}
