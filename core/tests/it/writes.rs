//! Inserts, upserts, deletes, conflicts.

use std::sync::Arc;

use sheaf_core::catalog::{CatalogChange, NewTable};
use sheaf_core::vfs::{MemoryVfs, Vfs};
use sheaf_core::{Error, OnConflict, Snapshot, Write, WriteBatch};

use crate::support::{
    assert_verified, create, def, delete, delete_rows, get, insert, keys, open, pairs, put, row,
    rowids, rows, scan,
};

#[test]
fn lazy_upserts_find_what_they_replace_when_somebody_asks() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, NewTable { lazy_upserts: true, ..pairs("t", true) });
    let others = create(&store, pairs("u", true));
    for table in [&t, &others] {
        put(&store, table, &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
    }
    store.flush(None).unwrap();
    assert_eq!(put(&store, &others, &[(1, "x")]).replaced, 1);
    // Nobody looks into segments.
    assert_eq!(put(&store, &t, &[(1, "x"), (2, "y"), (3, "z")]).replaced, 0);
    let before = store.snapshot().unwrap();
    // All else does, and must not take the row in the segment for alive.
    assert_eq!(delete(&store, &t, &[2]).deleted, 1);
    assert_eq!(delete(&store, &t, &[2]).deleted, 0);
    assert_eq!(insert(&store, &t, &[(2, "new")], OnConflict::Skip).unwrap().skipped, 0);
    assert!(insert(&store, &t, &[(1, "w")], OnConflict::Fail).is_err());
    delete(&store, &t, &[3]);
    let now = store.snapshot().unwrap();
    assert_eq!([1, 2, 3, 4].map(|k| row(&now, &t, k).unwrap_or_default()), ["x", "new", "", "d"]);
    // Segments that go meanwhile are as a snapshot from before wants them.
    store.flush(None).unwrap();
    store.compact(None).unwrap();
    let shown = |snapshot: &Snapshot| -> Vec<String> {
        scan(snapshot, &t).into_iter().map(|(k, v)| format!("{k}{v}")).collect()
    };
    assert_eq!(shown(&before), ["1x", "2y", "3z", "4d"]);
    assert_eq!(shown(&now), ["1x", "2new", "4d"]);
    put(&store, &t, &[(1, "last"), (4, "last")]);
    let before = store.snapshot().unwrap();
    store.change_catalog(CatalogChange::Truncate(t.id)).unwrap();
    put(&store, &t, &[(1, "first")]);
    assert_eq!(shown(&before), ["1last", "2new", "4last"]);
    drop((before, now));
    let left = open(&vfs.kill(), 2);
    assert_eq!(shown(&left.snapshot().unwrap()), ["1first"]);
    assert_verified(&left);
}

#[test]
fn a_duplicate_key_fails_the_whole_batch_and_names_the_key() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a")]);
    let error = insert(&store, &t, &[(2, "b"), (1, "c")], OnConflict::Fail).unwrap_err();
    assert_eq!(error.to_string(), "duplicate key (k)=(1) in table 't'");
    let error = insert(&store, &t, &[(3, "b"), (3, "c")], OnConflict::Fail).unwrap_err();
    assert!(matches!(error, Error::DuplicateKey { .. }));
    assert_eq!(scan(&store.snapshot().unwrap(), &t), [(1, "a".into())]);
}

#[test]
fn skip_leaves_the_old_row_and_replace_takes_its_place() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a")]);
    let commit = insert(&store, &t, &[(1, "x"), (2, "b"), (2, "y")], OnConflict::Skip).unwrap();
    assert_eq!((commit.inserted, commit.skipped), (1, 1));
    let commit = put(&store, &t, &[(2, "b2"), (3, "c")]);
    assert_eq!((commit.inserted, commit.replaced), (2, 1));
    let now = scan(&store.snapshot().unwrap(), &t);
    assert_eq!(now, [(1, "a".into()), (2, "b2".into()), (3, "c".into())]);
}

#[test]
fn keys_are_found_across_flush_and_compaction() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    for round in 0..5 {
        put(&store, &t, &[(round, "new"), (100, "shared"), (round - 1, "again")]);
        store.flush(None).unwrap();
    }
    delete(&store, &t, &[0, 77]);
    let before = scan(&store.snapshot().unwrap(), &t);
    assert_eq!(before.len(), 6);
    store.compact(None).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(scan(&snapshot, &t), before);
    assert_eq!(store.segments().unwrap().len(), 1);
    assert_eq!(get(&snapshot, &t, 100).as_deref(), Some("shared"));
    assert_eq!(get(&snapshot, &t, 0), None);
}

#[test]
fn an_older_snapshot_keeps_what_it_saw() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a"), (2, "b")]);
    let in_memtable = store.snapshot().unwrap();
    put(&store, &t, &[(1, "a2")]);
    store.flush(None).unwrap();
    let in_segment = store.snapshot().unwrap();
    delete(&store, &t, &[1, 2]);
    store.flush(None).unwrap();
    store.compact(None).unwrap();
    assert_eq!(scan(&in_memtable, &t), [(1, "a".into()), (2, "b".into())]);
    assert_eq!(get(&in_memtable, &t, 1).as_deref(), Some("a"));
    assert_eq!(scan(&in_segment, &t), [(1, "a2".into()), (2, "b".into())]);
    assert_eq!(scan(&store.snapshot().unwrap(), &t), []);
}

#[test]
fn a_change_since_the_read_is_a_conflict() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a"), (2, "b")]);
    let read = store.snapshot().unwrap();
    put(&store, &t, &[(1, "other")]);
    delete(&store, &t, &[2]);
    for key in [1, 2] {
        let write = Write::Insert {
            table: Arc::clone(&t),
            rows: rows(&t, &[(key, "mine")]),
            on_conflict: OnConflict::Replace,
        };
        let batch = WriteBatch { writes: vec![write], read_at: Some(read.seq()), durability: None };
        assert!(matches!(store.commit(batch), Err(Error::Conflict { .. })), "key {key}");
    }
}

#[test]
fn a_row_that_was_read_before_a_truncate_does_not_come_back() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a")]);
    let read = store.snapshot().unwrap();
    store.change_catalog(CatalogChange::Truncate(t.id)).unwrap();
    let write = Write::Insert {
        table: Arc::clone(&t),
        rows: rows(&t, &[(1, "b")]),
        on_conflict: OnConflict::Replace,
    };
    let batch = WriteBatch { writes: vec![write], read_at: Some(read.seq()), durability: None };
    assert!(matches!(store.commit(batch), Err(Error::Conflict { .. })));
}

#[test]
fn a_batch_sees_its_own_earlier_writes() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a")]);
    let moved = WriteBatch {
        writes: vec![
            Write::DeleteKeys { table: Arc::clone(&t), keys: keys(&t, &[1]) },
            Write::Insert {
                table: Arc::clone(&t),
                rows: rows(&t, &[(1, "b"), (2, "c")]),
                on_conflict: OnConflict::Fail,
            },
            Write::DeleteKeys { table: Arc::clone(&t), keys: keys(&t, &[2]) },
        ],
        ..WriteBatch::default()
    };
    store.commit(moved).unwrap();
    assert_eq!(scan(&store.snapshot().unwrap(), &t), [(1, "b".into())]);
}

#[test]
fn append_rows_keep_their_ids_and_are_deleted_by_them() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("log", false));
    for i in 0..200 {
        put(&store, &t, &[(i, "x")]);
    }
    let ids = rowids(&store.snapshot().unwrap(), &t);
    assert_eq!(ids.len(), 200);
    delete_rows(&store, &t, vec![ids[3].0, ids[150].0]);
    store.flush(None).unwrap();
    delete_rows(&store, &t, vec![ids[4].0]);
    store.flush(None).unwrap();
    put(&store, &t, &[(1000, "y")]);
    store.flush(None).unwrap();
    store.compact(None).unwrap();
    let mut left: Vec<(u64, i64)> =
        ids.iter().copied().filter(|(_, k)| ![3, 150, 4].contains(k)).collect();
    left.push((ids[199].0 + 1, 1000));
    assert_eq!(rowids(&store.snapshot().unwrap(), &t), left);
}

#[test]
fn a_bulk_load_is_one_commit_and_refuses_known_keys() {
    let store = open(&MemoryVfs::new(), 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(5, "old")]);
    let mut load = store.bulk_load(t.id).unwrap();
    for start in (10..310).step_by(100) {
        let values: Vec<(i64, &str)> = (start..start + 100).map(|k| (k, "bulk")).collect();
        load.push(rows(&t, &values)).unwrap();
    }
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 1);
    let commit = load.finish().unwrap();
    assert_eq!(commit.inserted, 300);
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 301);

    for duplicate in [5, 42] {
        let mut load = store.bulk_load(t.id).unwrap();
        load.push(rows(&t, &[(900, "n"), (duplicate, "n")])).unwrap();
        assert!(matches!(load.finish(), Err(Error::DuplicateKey { .. })));
    }
    let mut load = store.bulk_load(t.id).unwrap();
    load.push(rows(&t, &[(901, "n")])).unwrap();
    put(&store, &t, &[(901, "first")]);
    assert!(matches!(load.finish(), Err(Error::DuplicateKey { .. })));
    let mut load = store.bulk_load(t.id).unwrap();
    load.push(rows(&t, &[(902, "n"), (902, "m")])).unwrap();
    assert!(matches!(load.finish(), Err(Error::DuplicateKey { .. })));
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 302);
}

#[test]
fn a_table_can_be_made_and_filled_in_one_commit() {
    let store = open(&MemoryVfs::new(), 1);
    let mut load = store.bulk_create(pairs("made", false)).unwrap();
    let made = Arc::clone(load.def());
    load.push(rows(&made, &[(1, "a"), (2, "b")])).unwrap();
    assert!(store.snapshot().unwrap().catalog().tables.is_empty());
    load.finish().unwrap();
    let made = def(&store, "made");
    assert_eq!(scan(&store.snapshot().unwrap(), &made).len(), 2);
    let other = create(&store, pairs("other", true));
    assert_ne!(other.id, made.id);
}

#[test]
fn many_lazy_upserts_are_resolved_by_several_threads() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, NewTable { lazy_upserts: true, ..pairs("t", true) });
    let all = |value| (0..20_000).map(|k| (k, value)).collect::<Vec<(i64, &str)>>();
    for half in all("old").chunks(10_000) {
        put(&store, &t, half);
        store.flush(None).unwrap();
    }
    let before = store.snapshot().unwrap();
    put(&store, &t, &all("new"));
    // A key that waits twice: its row has ended with the first.
    delete(&store, &t, &[7]);
    let between = store.snapshot().unwrap();
    put(&store, &t, &[(7, "newer")]);
    let values = |snapshot: &Snapshot| -> Vec<String> {
        scan(snapshot, &t).into_iter().map(|(_, value)| value).collect()
    };
    let now = values(&store.snapshot().unwrap());
    assert_eq!((now.len(), now.iter().filter(|v| *v == "new").count()), (20_000, 19_999));
    assert_eq!(values(&before), vec!["old"; 20_000]);
    assert_eq!(values(&between), vec!["new"; 19_999]);
    assert_verified(&store);
}

#[test]
fn a_table_can_take_the_place_of_another_with_its_rows() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let old = create(&store, NewTable { lazy_upserts: true, ..pairs("t", true) });
    put(&store, &old, &[(1, "old"), (2, "old")]);
    store.flush(None).unwrap();
    put(&store, &old, &[(1, "older")]);
    let before = store.snapshot().unwrap();
    let mut load = store.bulk_replace(old.id, pairs("t", false)).unwrap();
    let new = Arc::clone(load.def());
    load.push(rows(&new, &[(1, "new"), (1, "new")])).unwrap();
    load.finish().unwrap();
    assert_ne!(def(&store, "t").id, old.id);
    let new_rows = [(1, "new".to_owned()), (1, "new".to_owned())];
    assert_eq!(scan(&store.snapshot().unwrap(), &def(&store, "t")), new_rows);
    assert_eq!(scan(&before, &old), [(1, "older".to_owned()), (2, "old".to_owned())]);
    drop(before);
    // One load of two wins.
    let first = store.bulk_replace(new.id, pairs("t", false)).unwrap();
    let second = store.bulk_replace(new.id, pairs("t", true)).unwrap();
    first.finish().unwrap();
    assert!(matches!(second.finish(), Err(Error::NotFound { .. })));
    assert!(scan(&store.snapshot().unwrap(), &def(&store, "t")).is_empty());
    let left = open(&vfs.kill(), 2);
    assert!(scan(&left.snapshot().unwrap(), &def(&left, "t")).is_empty());
    assert_verified(&left);
}

/// A caller may cut a large batch into many commits; each takes the room of its own rows.
#[test]
fn slices_of_a_large_batch_are_small_in_the_log() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, pairs("t", false));
    let text = "a text that does not fit into a view";
    let large = rows(&t, &(0..10_000).map(|k| (k, text)).collect::<Vec<_>>());
    let logged = || -> usize {
        let files = vfs.list("wal").unwrap();
        files.iter().map(|file| vfs.read(&format!("wal/{file}")).unwrap().len()).sum()
    };
    let before = logged();
    for commit in 0..50 {
        let rows = large.slice(commit * 100, 100);
        let write = Write::Insert { table: Arc::clone(&t), rows, on_conflict: OnConflict::Fail };
        let batch = WriteBatch { writes: vec![write], read_at: None, durability: None };
        store.commit(batch).unwrap();
    }
    assert_eq!(scan(&store.snapshot().unwrap(), &t).len(), 5_000);
    let written = logged() - before;
    assert!(written < 50 * 100 * 200, "{written} bytes");
}
