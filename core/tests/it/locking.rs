//! One writer, any number of readers.

use sheaf_core::catalog::CatalogChange;
use sheaf_core::vfs::{LocalVfs, MemoryVfs, Vfs};
use sheaf_core::{Environment, Error, Options, Store};
use std::sync::Arc;

use crate::support::{create, delete, environment, get, manual, open, pairs, put, scan};

fn reader(vfs: &MemoryVfs) -> Store {
    let options = Options { read_only: true, ..manual() };
    Store::open_in(environment(vfs, 99), options).unwrap()
}

#[test]
fn a_second_writer_is_told_who_holds_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let first = Store::open(&path, Options::default()).unwrap();
    let error = Store::open(&path, Options::default()).unwrap_err();
    let me = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&me), "{error}");
    first.close().unwrap();
    drop(first);
    Store::open(&path, Options::default()).unwrap();
}

#[test]
fn a_reader_beside_the_writer_sees_durable_hot_rows() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a")]);
    let reader = reader(&vfs);
    assert_eq!(scan(&reader.snapshot().unwrap(), &t), [(1, "a".into())]);
    put(&store, &t, &[(1, "a2"), (2, "b")]);
    let old = reader.snapshot().unwrap();
    assert_eq!(get(&old, &t, 1).as_deref(), Some("a2"));
    store.flush(None).unwrap();
    put(&store, &t, &[(3, "c")]);
    delete(&store, &t, &[2]);
    assert_eq!(scan(&reader.snapshot().unwrap(), &t), [(1, "a2".into()), (3, "c".into())]);
    assert_eq!(scan(&old, &t), [(1, "a2".into()), (2, "b".into())]);
    let write = sheaf_core::WriteBatch::default();
    assert!(matches!(reader.commit(write), Err(Error::ReadOnly)));
}

#[test]
fn files_that_a_reader_needs_stay() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, pairs("t", true));
    put(&store, &t, &[(1, "a")]);
    store.flush(None).unwrap();
    put(&store, &t, &[(2, "b")]);
    store.flush(None).unwrap();
    let reader = reader(&vfs);
    let old = reader.snapshot().unwrap();
    store.compact(None).unwrap();
    let dir = format!("t/{}/all", t.id);
    assert_eq!(vfs.list(&dir).unwrap().len(), 6);
    // A newer snapshot of the same process does not give up the files of an older.
    put(&store, &t, &[(3, "c")]);
    assert_eq!(scan(&reader.snapshot().unwrap(), &t).len(), 3);
    store.flush(None).unwrap();
    assert_eq!(vfs.list(&dir).unwrap().len(), 8);
    assert_eq!(scan(&old, &t).len(), 2);
    drop((old, reader));
    store.compact(None).unwrap();
    store.flush(None).unwrap();
    assert_eq!(vfs.list(&dir).unwrap().len(), 2);
}

#[test]
fn the_log_goes_when_it_is_flushed() {
    let vfs = MemoryVfs::new();
    let store = open(&vfs, 1);
    let t = create(&store, pairs("t", true));
    let u = create(&store, pairs("u", false));
    put(&store, &t, &[(1, "a")]);
    put(&store, &u, &[(1, "a")]);
    store.flush(Some(t.id)).unwrap();
    let kept: usize = vfs.read(&format!("wal/{}", vfs.list("wal").unwrap()[0])).unwrap().len();
    assert!(kept > 200);
    delete(&store, &t, &[1]);
    store.flush(None).unwrap();
    let names = vfs.list("wal").unwrap();
    assert_eq!(names.len(), 1);
    assert!(vfs.read(&format!("wal/{}", names[0])).unwrap().len() <= 128);
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let error = Store::open(folder.path(), Options::default()).unwrap_err();
    assert!(error.to_string().contains("notes.txt"), "{error}");
    let missing = folder.path().join("missing");
    let options = Options { create: false, ..Options::default() };
    assert!(matches!(Store::open(&missing, options), Err(Error::NotFound { .. })));
    let options = Options { read_only: true, create: false, ..Options::default() };
    assert!(Store::open(folder.path(), options).is_err());
}

#[test]
fn a_local_database_survives_being_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(LocalVfs::new(folder.path().join("a/b/db")));
    for round in 0..3 {
        let store =
            Store::open_in(Environment::system(Arc::clone(&vfs)), Options::default()).unwrap();
        if round == 0 {
            store.change_catalog(CatalogChange::CreateTable(pairs("t", true))).unwrap();
        }
        let t = crate::support::def(&store, "t");
        put(&store, &t, &[(round, "x")]);
        if round == 1 {
            store.flush(None).unwrap();
        }
        assert_eq!(scan(&store.snapshot().unwrap(), &t).len() as i64, round + 1);
    }
}
