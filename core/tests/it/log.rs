//! The log: large records are compressed, files are written again, and it stays bounded.

use std::sync::Arc;

use sheaf_core::catalog::TableDef;
use sheaf_core::vfs::{MemoryVfs, Vfs};
use sheaf_core::{Compression, Durability, Error, OnConflict, Options, Store};

use crate::support::{
    assert_verified, create, environment, insert, manual, open, pairs, put, random, scan,
};

/// Log files of 16 KiB.
fn small_files() -> Options {
    Options { log_bytes: 256 << 10, ..manual() }
}

fn open_with(vfs: &MemoryVfs, seed: u64, options: Options) -> Store {
    Store::open_in(environment(vfs, seed), options).unwrap()
}

/// Letters that nothing makes smaller.
fn noise(seed: u64, len: usize) -> String {
    let mut next = random(seed);
    (0..len).map(|_| char::from(b'0' + next(64) as u8)).collect()
}

fn log_names(vfs: &MemoryVfs, ending: &str) -> Vec<String> {
    let names = vfs.list("wal").unwrap();
    names.into_iter().filter(|name| name.ends_with(ending)).collect()
}

fn log_bytes(vfs: &MemoryVfs) -> usize {
    // One may have gone, or have another name.
    let len = |name: &String| vfs.read(&format!("wal/{name}")).map_or(0, |bytes| bytes.len());
    vfs.list("wal").unwrap().iter().map(len).sum()
}

/// The last file of the log, and where its records end.
fn last_file(vfs: &MemoryVfs) -> (String, Vec<u8>) {
    let path = format!("wal/{}", log_names(vfs, ".wal").pop().unwrap());
    let bytes = vfs.read(&path).unwrap().to_vec();
    (path, bytes)
}

/// A table, and what is in it.
type Filled = (Arc<TableDef>, Vec<(i64, String)>);

/// Writes rows in each form that is compressed.
fn write_large(store: &Store) -> [Filled; 2] {
    let keyed = create(store, pairs("keyed", true));
    let append = create(store, pairs("append", false));
    let text = |k: i64| format!("row {k} says what the others say, and says it again");
    let long = "as long as it gets ".repeat(40);
    let many: Vec<(i64, String)> = (0..400).map(|k| (k, text(k))).collect();
    let few: Vec<(i64, String)> = (1_000..1_020).map(|k| (k, long.clone())).collect();
    let write = |table, rows: &[(i64, String)], on_conflict| {
        let rows: Vec<(i64, &str)> = rows.iter().map(|(k, v)| (*k, v.as_str())).collect();
        insert(store, table, &rows, on_conflict).unwrap();
    };
    for table in [&keyed, &append] {
        write(table, &many, OnConflict::Replace);
        write(table, &few, OnConflict::Replace);
    }
    // Half of the keys are there already, so that only some of the rows are logged.
    let again: Vec<(i64, String)> = (200..600).map(|k| (k, text(k))).collect();
    write(&keyed, &again, OnConflict::Skip);
    let all =
        |last: i64| (0..last).map(|k| (k, text(k))).chain(few.iter().cloned()).collect::<Vec<_>>();
    [(keyed, all(600)), (append, all(400))]
}

#[test]
fn large_records_take_less_of_the_log_and_are_read_back() {
    let mut sizes = Vec::new();
    for log_compression in [Compression::None, Compression::Lz4] {
        let vfs = MemoryVfs::new();
        let store = open_with(&vfs, 1, Options { log_compression, ..manual() });
        let before = last_file(&vfs).1.iter().rposition(|byte| *byte != 0).unwrap();
        let tables = write_large(&store);
        let after = last_file(&vfs).1.iter().rposition(|byte| *byte != 0).unwrap();
        sizes.push(after - before);
        for image in [vfs.power_cut(), vfs.kill()] {
            let store = open(&image, 2);
            for (table, rows) in &tables {
                assert_eq!(scan(&store.snapshot().unwrap(), table), *rows);
            }
            assert_verified(&store);
        }
    }
    assert!(sizes[1] * 3 < sizes[0] * 2, "{sizes:?}");
}

#[test]
fn a_compressed_record_that_is_cut_was_never_there() {
    let vfs = MemoryVfs::new();
    let lz4 = Options { log_compression: Compression::Lz4, ..manual() };
    let store = open_with(&vfs, 1, lz4);
    let t = create(&store, pairs("t", true));
    let rows: Vec<(i64, &str)> = (0..500).map(|k| (k, "the same for all")).collect();
    put(&store, &t, &rows[..250]);
    let records_end = |vfs: &MemoryVfs| last_file(vfs).1.iter().rposition(|b| *b != 0).unwrap() + 1;
    let first_end = records_end(&vfs);
    put(&store, &t, &rows[250..]);
    let (path, _) = last_file(&vfs);
    let end = records_end(&vfs);
    assert!(end < 8 << 10, "{end} bytes are not compressed");
    for len in (first_end + 8..end).step_by(7) {
        let cut = vfs.power_cut();
        cut.truncate(&path, len as u64).unwrap();
        let store = open(&cut, 2);
        assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 250, "cut at {len} of {end}");
    }
    for offset in (110..end).step_by(11) {
        let damaged = vfs.power_cut();
        damaged.damage(&path, offset, 0x10).unwrap();
        match Store::open_in(environment(&damaged, 3), manual()) {
            // The mark before the second says that the first was acknowledged.
            Err(Error::Corrupt { .. }) => assert!(offset < first_end + 40, "offset {offset}"),
            Err(other) => panic!("offset {offset}: {other}"),
            Ok(store) => {
                let found = scan(&store.snapshot().unwrap(), &t).len();
                assert!(offset + 8 >= first_end && found >= 250, "offset {offset}: {found}");
            }
        }
    }
}

/// Puts rows that take about 2 KiB of the log each.
fn put_noise(store: &Store, t: &Arc<TableDef>, keys: std::ops::Range<i64>) {
    for k in keys {
        put(store, t, &[(k, &noise(k as u64, 2_000))]);
    }
}

#[test]
fn files_of_the_log_are_written_again() {
    let vfs = MemoryVfs::new();
    let store = open_with(&vfs, 1, small_files());
    let t = create(&store, pairs("t", true));
    put_noise(&store, &t, 0..40);
    store.flush(None).unwrap();
    // The others were deleted.
    assert_eq!(log_names(&vfs, ".spare").len(), 2);
    put_noise(&store, &t, 40..49);
    assert_eq!(log_names(&vfs, ".spare").len(), 1);
    // What is left of the old file after the records of the new is neither records nor
    // damage, and what comes next is written over it.
    let (path, bytes) = last_file(&vfs);
    assert!(bytes.len() > 16 << 10 && bytes[bytes.len() - 64..].iter().any(|b| *b != 0));
    for image in [vfs.power_cut(), vfs.kill()] {
        let store = open_with(&image, 2, small_files());
        assert_eq!(log_names(&image, ".spare"), Vec::<String>::new());
        assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 49);
        put_noise(&store, &t, 49..80);
        assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 80);
        assert_verified(&store);
    }
    // Damage before the last group is still known from what is left of the old file.
    put_noise(&store, &t, 49..51);
    let damaged = vfs.power_cut();
    damaged.damage(&path, 200, 0x10).unwrap();
    let error = Store::open_in(environment(&damaged, 3), manual()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    store.close().unwrap();
    assert_eq!(log_names(&vfs, ".spare"), Vec::<String>::new());
}

/// What a store leaves whose file system fails once, after `steps` steps, while files of the
/// log are written again; the keys that were acknowledged, and how many steps there are.
fn fail_while_files_are_written_again(steps: u64) -> ([MemoryVfs; 2], Vec<i64>, u64) {
    let vfs = MemoryVfs::new();
    let store = open_with(&vfs, 1, small_files());
    let t = create(&store, pairs("t", true));
    put_noise(&store, &t, 0..20);
    let start = vfs.operations();
    vfs.fail_after(steps);
    // It leaves the store running when it fails outside the commit path.
    let _ = store.flush(None);
    let mut acknowledged: Vec<i64> = (0..20).collect();
    for k in 20..40 {
        if insert(&store, &t, &[(k, &noise(k as u64, 2_000))], OnConflict::Fail).is_ok() {
            acknowledged.push(k);
        }
    }
    ([vfs.power_cut(), vfs.kill()], acknowledged, vfs.operations() - start)
}

#[test]
fn real_files_are_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Store::open(&folder.path().join(name), small_files()).unwrap();
    let store = open("db");
    let t = create(&store, pairs("t", true));
    put_noise(&store, &t, 0..40);
    store.flush(None).unwrap();
    let spares = |name: &str| {
        let files = std::fs::read_dir(folder.path().join(name).join("wal")).unwrap();
        files.filter(|f| f.as_ref().unwrap().path().extension().unwrap() == "spare").count()
    };
    assert_eq!(spares("db"), 2);
    // Small records, and larger ones than are stored into a mapping.
    put(&store, &t, &[(40, &noise(40, 50_000))]);
    put_noise(&store, &t, 41..44);
    put(&store, &t, &[(44, &noise(44, 50_000))]);
    put_noise(&store, &t, 45..49);
    assert_eq!(spares("db"), 0);
    // What a process leaves that is killed.
    crate::support::copy(&folder.path().join("db"), &folder.path().join("killed"));
    let killed = open("killed");
    store.close().unwrap();
    drop(store);
    for store in [killed, open("db")] {
        assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 49);
        put_noise(&store, &t, 49..50);
        assert_verified(&store);
    }
}

#[test]
fn a_file_that_is_written_again_survives_a_failure_at_each_step() {
    let (_, all, steps) = fail_while_files_are_written_again(u64::MAX);
    assert_eq!(all.len(), 40);
    for n in 0..steps {
        let (images, acknowledged, _) = fail_while_files_are_written_again(n);
        for image in images {
            let store = open_with(&image, 2, small_files());
            let t = crate::support::def(&store, "t");
            let found: Vec<i64> =
                scan(&store.snapshot().unwrap(), &t).into_iter().map(|(k, _)| k).collect();
            assert!(acknowledged.iter().all(|k| found.contains(k)), "lost a row, step {n}");
            put_noise(&store, &t, 100..101);
            let again = open(&image.power_cut(), 3);
            assert_eq!(scan(&again.snapshot().unwrap(), &t).len(), found.len() + 1, "step {n}");
        }
    }
}

#[test]
fn a_reader_follows_a_log_whose_files_are_written_again() {
    let vfs = MemoryVfs::new();
    let store = open_with(&vfs, 1, small_files());
    let t = create(&store, pairs("t", true));
    put_noise(&store, &t, 0..20);
    store.flush(None).unwrap();
    assert!(!log_names(&vfs, ".spare").is_empty());
    let reader = open_with(&vfs, 99, Options { read_only: true, ..manual() });
    for k in (20..100).step_by(4) {
        put_noise(&store, &t, k..k + 4);
        let snapshot = reader.snapshot().unwrap();
        assert_eq!(scan(&snapshot, &t).len() as i64, k + 4);
        if k % 16 == 0 {
            store.flush(None).unwrap();
            assert_eq!(scan(&reader.snapshot().unwrap(), &t).len() as i64, k + 4);
        }
    }
    // It may have a file open that was renamed: nothing is written over one.
    assert_eq!(log_names(&vfs, ".spare").len(), 0);
}

#[test]
fn a_table_that_is_written_once_keeps_no_log_alive() {
    for background in [false, true] {
        let vfs = MemoryVfs::new();
        let options = Options {
            background,
            durability: Durability::None,
            memtable_bytes: 64 << 10,
            log_bytes: 128 << 10,
            ..manual()
        };
        let store = open_with(&vfs, 1, options);
        let once = create(&store, pairs("once", true));
        let busy = create(&store, pairs("busy", true));
        put(&store, &once, &[(1, "once")]);
        let flushed = || {
            let jobs = store.jobs();
            jobs.iter().any(|j| j.kind == "flush" && j.table == Some(once.id) && j.rows_out == 1)
        };
        let mut written = 0;
        let mut most = 0;
        while written < 1_500 {
            put(&store, &busy, &[(written % 300, &noise(written as u64, 1_000))]);
            most = most.max(log_bytes(&vfs));
            written += 1;
        }
        assert!(flushed(), "it was never flushed");
        // Four times the limit, what is written while that is noticed, spares.
        assert!(most < 700 << 10, "the log grew to {most} bytes");
        assert_eq!(scan(&store.snapshot().unwrap(), &once).len(), 1);
        store.flush(None).unwrap();
        let left = log_bytes(&vfs);
        assert!(left < 40 << 10, "{left} bytes of log are left");
        assert_verified(&store);
    }
}

#[test]
fn writers_wait_for_a_log_that_is_far_too_large() {
    let vfs = MemoryVfs::new();
    let options = Options {
        background: true,
        durability: Durability::None,
        log_bytes: 16 << 10,
        ..Options::default()
    };
    let store = open_with(&vfs, 1, options);
    let t = create(&store, pairs("t", true));
    let reason = "the log is larger than its limit";
    let stalled = |kind| store.stalls().iter().any(|s| s.kind == kind && s.reason == reason);
    for k in 0..20_000 {
        put(&store, &t, &[(k % 500, &noise(k as u64, 1_000))]);
        if stalled("slow") && stalled("wait") {
            return;
        }
    }
    panic!("nothing was held up: {:?}", store.stalls());
}
