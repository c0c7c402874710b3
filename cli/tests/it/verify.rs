//! `sheaf verify`: a report, and an exit code.

use crate::command::{csv, sheaf};

#[test]
fn a_sound_database_is_reported_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sheaf");
    assert_eq!(
        csv(&path, "CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)").code,
        Some(0)
    );
    let ran = sheaf(&["verify", path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("no problems"), "{}", ran.out);
}

#[test]
fn a_damaged_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sheaf");
    assert_eq!(
        csv(&path, "CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)").code,
        Some(0)
    );
    let manifest =
        std::fs::read_dir(path.join("manifest")).unwrap().map(|e| e.unwrap().path()).max().unwrap();
    let mut bytes = std::fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&manifest, bytes).unwrap();
    let ran = sheaf(&["verify", path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
}

#[test]
fn there_must_be_a_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none");
    let ran = sheaf(&["verify", path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1));
    assert!(!path.exists());
}
