//! Files of every format version open for ever (I8): databases that an older program
//! made, kept in `tests/golden`, still say what they said.
//!
//! `SHEAF_WRITE_GOLDEN=v4 cargo test -p sheaf-core golden` makes a new one when the
//! format changes; the old ones stay.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;
use sheaf_core::catalog::{CatalogChange, NewTable};
use sheaf_core::clock::{ManualClock, SplitMix};
use sheaf_core::vfs::LocalVfs;
use sheaf_core::{Compression, Environment, Options, Store};

use crate::support::{
    PUBLIC, assert_verified, column, copy, create, def, delete, delete_rows, get, manual, pairs,
    put, put_rows, range, row, rowids, scan,
};

fn open(path: &Path) -> Store {
    let environment = Environment {
        vfs: Arc::new(LocalVfs::new(path)),
        clock: Arc::new(ManualClock::default()),
        rng: Arc::new(SplitMix::seeded(7)),
    };
    let options = Options { log_compression: Compression::Lz4, ..manual() };
    Store::open_in(environment, options).unwrap()
}

/// Every kind of file: both encodings, key indexes of fixed and varied lengths, delete
/// vectors, a log with each form of record, a changed table.
fn build(path: &Path) {
    let store = open(path);
    let keyed = create(&store, pairs("keyed", true));
    let parquet = NewTable {
        encoding: sheaf_formats::segment::Encoding::Parquet,
        primary_key: vec!["v".into(), "k".into()],
        ..pairs("parquet", true)
    };
    let parquet = create(&store, parquet);
    let append = create(&store, pairs("append", false));
    let rows = create(&store, NewTable { row_store: true, ..pairs("rows", true) });
    put_rows(&store, &rows, &[(1, "in a row file"), (2, "and another")]);
    put(&store, &keyed, &[(1, "one"), (2, "two"), (3, "three")]);
    put(&store, &parquet, &[(1, "a"), (2, "a longer text than twelve bytes")]);
    put(&store, &append, &[(10, "x"), (11, "y"), (12, "z")]);
    store.flush(None).unwrap();
    delete(&store, &keyed, &[2]);
    put(&store, &keyed, &[(3, "three again")]);
    let second = rowids(&store.snapshot().unwrap(), &append)[1].0;
    delete_rows(&store, &append, vec![second]);
    store.flush(None).unwrap();
    let added = CatalogChange::AddColumn { table: keyed.id, column: column("n", DataType::Int32) };
    store.change_catalog(added).unwrap();
    delete(&store, &def(&store, "keyed"), &[1]);
    put(&store, &parquet, &[(3, "in the log")]);
    put_rows(&store, &rows, &[(3, "in the log")]);
    put(&store, &append, &[(13, "in the log")]);
    let many: Vec<(i64, &str)> = (100..200).map(|k| (k, "as a stream")).collect();
    put(&store, &append, &many);
    let more: Vec<(i64, &str)> = (1_000..1_300).map(|k| (k, "compressed in the log")).collect();
    put_rows(&store, &rows, &more);
    let alike = create(&store, pairs("alike", false));
    put(&store, &alike, &more);
    let long = "row by row, ".repeat(100);
    put(&store, &alike, &(0..9).map(|k| (k, long.as_str())).collect::<Vec<_>>());
    store.close().unwrap();
}

fn check(path: &Path) {
    let store = open(path);
    assert_verified(&store);
    let snapshot = store.snapshot().unwrap();
    let keyed = def(&store, "keyed");
    assert_eq!(scan(&snapshot, &keyed), [(3, "three again".into())]);
    assert_eq!(get(&snapshot, &keyed, 3).as_deref(), Some("three again"));
    assert_eq!(keyed.arrow_schema().fields().len(), 3);
    let parquet = def(&store, "parquet");
    let found = scan(&snapshot, &parquet);
    assert_eq!(found.len(), 3);
    assert_eq!(found[2], (3, "in the log".into()));
    let append = def(&store, "append");
    let found = scan(&snapshot, &append);
    assert_eq!(found.len(), 103);
    assert_eq!(&found[..3], [(10, "x".into()), (12, "z".into()), (13, "in the log".into())]);
    assert_eq!(rowids(&snapshot, &append).first(), Some(&(1, 10)));
    // Since version 2.
    if snapshot.catalog().table(PUBLIC, "rows").is_some() {
        let rows = def(&store, "rows");
        let [up, _] = range(&snapshot, &rows, 0, 2_000);
        assert_eq!(up, scan(&snapshot, &rows));
        assert_eq!(row(&snapshot, &rows, 2).as_deref(), Some("and another"));
        assert_eq!(row(&snapshot, &rows, 3).as_deref(), Some("in the log"));
    }
    // Since version 4 of these files.
    if snapshot.catalog().table(PUBLIC, "alike").is_some() {
        let rows = def(&store, "rows");
        assert_eq!(row(&snapshot, &rows, 1_299).as_deref(), Some("compressed in the log"));
        let found = scan(&snapshot, &def(&store, "alike"));
        assert_eq!(found.len(), 309);
        assert_eq!(found[0], (0, "row by row, ".repeat(100)));
        assert_eq!(found[308], (1_299, "compressed in the log".into()));
    }
}

#[test]
fn databases_of_every_version_open() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    if let Ok(version) = std::env::var("SHEAF_WRITE_GOLDEN") {
        build(&golden.join(version));
    }
    let mut versions = 0;
    for entry in std::fs::read_dir(&golden).unwrap() {
        let work = tempfile::tempdir().unwrap();
        copy(&entry.unwrap().path(), &work.path().join("db"));
        check(&work.path().join("db"));
        versions += 1;
    }
    assert!(versions >= 2);
}
