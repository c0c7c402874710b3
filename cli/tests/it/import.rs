//! `sheaf import`: files into tables.

use crate::command::sheaf;

#[test]
fn a_table_is_made_and_then_filled() {
    let dir = tempfile::tempdir().unwrap();
    let (db, file) = (dir.path().join("db"), dir.path().join("Cities.csv"));
    std::fs::write(&file, "id|name\n1|Paris\n2|Rome\n").unwrap();
    let (db, file) = (db.to_str().unwrap(), file.to_str().unwrap());
    let made = sheaf(&["import", db, file, "-o", "delim=|"]);
    assert_eq!((made.code, made.err.as_str()), (Some(0), ""), "{}", made.out);
    assert!(made.out.starts_with("SELECT 2"), "{}", made.out);
    let filled = sheaf(&["import", db, file, "--table", "cities"]);
    assert!(filled.out.starts_with("COPY 2"), "{} {}", filled.out, filled.err);
    let rows = sheaf(&[db, "--format", "csv", "-c", "SELECT count(*) AS n FROM cities"]);
    assert_eq!(rows.out, "n\n4\n");
}

#[test]
fn a_file_that_is_not_there_makes_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("db");
    let db = db.to_str().unwrap();
    let ran = sheaf(&["import", db, "nowhere.csv"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("nowhere.csv"), "{}", ran.err);
    assert_eq!(sheaf(&[db, "-c", "SELECT * FROM nowhere"]).code, Some(1));
}
