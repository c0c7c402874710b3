//! Sessions that may use some files, or none.

use std::path::Path;

use sheafdb::{Database, ErrorKind, FileAccess, Session, SessionOptions};

use crate::support::{rows, run};

fn session_with(database: &Database, files: FileAccess) -> Session {
    database.session_with(SessionOptions::new().files(files))
}

/// Statements that use the file, pattern or folder of a name, each in another way.
fn uses(name: &str) -> Vec<String> {
    vec![
        format!("SELECT * FROM '{name}/f.csv'"),
        format!("SELECT * FROM '{name}/f.parquet'"),
        format!("SELECT * FROM '{name}/*.csv'"),
        format!("SELECT * FROM read_csv('{name}/f.csv', header => true)"),
        format!("SELECT * FROM sniff('{name}/f.csv')"),
        format!("DESCRIBE FROM '{name}/f.csv'"),
        format!("COPY t FROM '{name}/f.csv'"),
        format!("CREATE TABLE u AS SELECT * FROM '{name}/f.csv'"),
        "DROP TABLE IF EXISTS u".to_owned(),
        format!("COPY t TO '{name}/new.csv'"),
        format!("COPY (SELECT 1 AS a, 2 AS b) TO '{name}/parts' (FORMAT csv, PARTITION_BY (a))"),
        format!("SELECT * FROM '{name}/parts/*/*.csv'"),
    ]
}

async fn fill(database: &Database, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let session = database.session();
    for name in ["f.csv", "f.parquet"] {
        let name = folder.join(name);
        run(&session, &format!("COPY (SELECT 1 AS a) TO '{}'", name.display())).await;
    }
}

#[tokio::test]
async fn a_session_uses_files_below_its_folder_alone() {
    let outside = tempfile::tempdir().unwrap();
    let inside = outside.path().join("inside");
    let database = Database::in_memory().unwrap();
    run(&database.session(), "CREATE TABLE t (a BIGINT)").await;
    fill(&database, &inside).await;
    fill(&database, &inside.join("deep")).await;
    fill(&database, outside.path()).await;

    let session = session_with(&database, FileAccess::below(&inside).unwrap());
    for name in [".", "deep", inside.canonicalize().unwrap().to_str().unwrap()] {
        for sql in uses(name) {
            if name.starts_with('/') && sql.contains("parts") && sql.starts_with("COPY") {
                continue; // It is there by now.
            }
            session.query(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
    let read = rows(&session, "SELECT b FROM 'deep/parts/*/*.csv'").await.unwrap();
    assert_eq!(read, ["2"]);

    let none = session_with(&database, FileAccess::none());
    let others = outside.path().canonicalize().unwrap();
    for (session, name) in
        [(&session, ".."), (&session, "deep/../.."), (&session, others.to_str().unwrap())]
            .into_iter()
            .chain([(&none, "."), (&none, others.to_str().unwrap())])
    {
        for sql in uses(name).iter().filter(|sql| !sql.starts_with("DROP")) {
            let error = session.query(sql).await.map(drop).expect_err(sql);
            assert_eq!(error.kind, ErrorKind::InsufficientPrivilege, "{sql}: {error}");
        }
    }
    let error = session.query("SELECT * FROM 's3://bucket/f.csv'").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InsufficientPrivilege);
}
