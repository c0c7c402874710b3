//! The memory limit: queries spill, or end with an error that says so.

use std::sync::mpsc;
use std::time::Duration;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use sheafdb::core::MemoryUse;
use sheafdb::{Database, ErrorKind, OpenOptions, Session};

const ROWS: u64 = 1_000_000;

fn small(folder: &std::path::Path, limit: usize) -> (Database, Session) {
    let options = OpenOptions::new().memory_limit(limit);
    let database = Database::open_with(folder.join("db"), options).unwrap();
    let session = database.session();
    session
        .execute_blocking(&format!(
            "CREATE TABLE t AS SELECT n, (n * 7919) % {ROWS} AS m, \
             'a text that takes some room ' || CAST(n AS TEXT) AS label \
             FROM generate_series(0, {}) AS s(n)",
            ROWS - 1
        ))
        .unwrap();
    // Flushes and merges take their part of the memory.
    database.store().flush(None).unwrap();
    database.store().settle().unwrap();
    (database, session)
}

/// The rows of an answer, as texts.
fn texts(session: &Session, sql: &str) -> Vec<Vec<String>> {
    let output = session.query_blocking(sql, vec![]).unwrap();
    let batches = session.block_on(output.collect()).unwrap().unwrap();
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
            .collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>()
        }));
    }
    rows
}

#[test]
fn orders_and_groups_that_do_not_fit_spill() {
    let folder = tempfile::tempdir().unwrap();
    let (database, session) = small(folder.path(), 128 << 20);
    let order = "SELECT count(*), sum(CAST(m + 1 = r AS INT)) FROM \
        (SELECT m, row_number() OVER (ORDER BY m, label) AS r FROM t)";
    assert_eq!(texts(&session, order)[0], [ROWS.to_string(), ROWS.to_string()]);
    let groups = "SELECT count(*), sum(c) FROM (SELECT label, count(*) AS c FROM t GROUP BY label)";
    assert_eq!(texts(&session, groups)[0], [ROWS.to_string(), ROWS.to_string()]);
    // Nothing is left of it.
    assert_eq!(
        texts(&session, "SELECT bytes FROM sheaf.memory WHERE used_by = 'queries'"),
        [["0"]]
    );
    let spilled = std::fs::read_dir(folder.path().join("db/tmp")).unwrap();
    let files = spilled.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    assert_eq!(files.count(), 0);
    database.close().unwrap();
}

/// Two threads that deal rows out write what does not fit to files, and wait for each other if
/// whoever takes the rows waits for the wrong file.
#[test]
fn rows_that_are_dealt_out_through_files_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::new().memory_limit(64 << 20);
    let database = Database::open_with(folder.path().join("db"), options).unwrap();
    let session = database.session();
    let rows = "CREATE TABLE t AS SELECT v % 13 AS g, md5(CAST(v % 337 AS TEXT)) AS trace \
        FROM generate_series(1, 40000) AS s(v)";
    session.execute_blocking(rows).unwrap();
    let few =
        "SET datafusion.execution.batch_size = 64; SET datafusion.execution.target_partitions = 2";
    session.execute_blocking(few).unwrap();
    // Some two megabytes are left for queries.
    database.store().memory().set(MemoryUse::Jobs, 56 << 20);
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..5 {
            let groups = "SELECT g, count(DISTINCT trace) FROM t GROUP BY g";
            assert_eq!(texts(&session, groups).len(), 13);
        }
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(60)).expect("a query hangs");
    database.store().memory().set(MemoryUse::Jobs, 0);
    database.close().unwrap();
}

#[test]
fn a_limit_that_does_not_fit_is_sorted() {
    let folder = tempfile::tempdir().unwrap();
    let (database, session) = small(folder.path(), 128 << 20);
    let page = "SELECT n, label FROM t ORDER BY m DESC, label OFFSET 900000 LIMIT 2";
    let expected: Vec<Vec<String>> = [99_999, 99_998]
        .map(|m: u64| {
            let n = (0..ROWS).find(|n| n * 7919 % ROWS == m).unwrap();
            vec![n.to_string(), format!("a text that takes some room {n}")]
        })
        .to_vec();
    assert_eq!(texts(&session, page), expected);
    database.close().unwrap();
}

#[test]
fn a_query_that_cannot_spill_says_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let (database, session) = small(folder.path(), 64 << 20);
    // All rows of one side are equal, and each has to be known until the other was seen.
    let equal = "SELECT count(a), count(b) FROM (SELECT 1 AS k, label AS a FROM t) \
        FULL JOIN (SELECT n + 5 AS k, label AS b FROM t) USING (k)";
    let error = session
        .query_blocking(equal, vec![])
        .and_then(|output| session.block_on(output.collect())?)
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::OutOfMemory, "{error:?}");
    assert!(error.hint.unwrap().contains("SET memory_limit"));
    session.execute_blocking("SET memory_limit = '4GB'").unwrap();
    assert_eq!(texts(&session, equal), [[ROWS.to_string(), ROWS.to_string()]]);
    assert_eq!(texts(&session, "SHOW memory_limit")[0].last().unwrap(), "3.7 GiB");
    database.close().unwrap();
}

#[test]
fn what_a_killed_process_spilled_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap();
    database.close().unwrap();
    drop(database);
    let left = folder.path().join("tmp/datafusion-left");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("spilled"), "rows").unwrap();
    let database = Database::open(folder.path()).unwrap();
    assert!(!left.exists());
    database.close().unwrap();
}
