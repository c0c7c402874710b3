//! Hash joins whose table does not fit give the rows that they give when it does.

use std::time::Duration;

use sheafdb::core::MemoryUse;
use sheafdb::{Database, ErrorKind, OpenOptions, Session};
use tempfile::TempDir;

use crate::support;

const LIMIT: usize = 256 << 20;

/// What is left to queries when the table of a join must not fit.
const LITTLE: usize = 20 << 20;

/// Two tables with keys that meet, keys that do not, and keys that are NULL.
const TABLES: &str = "\
    CREATE TABLE a AS SELECT n, nullif(n % 90000, 3) AS k, nullif(n % 7, 5) AS g, \
        'the left text of row ' || n AS label FROM generate_series(0, 199999) AS s(n); \
    CREATE TABLE b AS SELECT n, nullif(n % 150000 + 40000, 50000) AS k, n % 11 AS g, \
        CASE WHEN n % 10 > 0 THEN 'the right text of row ' || n END AS label \
        FROM generate_series(0, 249999) AS s(n); \
    CALL sheaf.flush('a'); CALL sheaf.flush('b')";

/// Each kind of join, from both sides.
const JOINS: [&str; 20] = [
    "SELECT a.*, b.* FROM a JOIN b ON a.k = b.k",
    "SELECT a.*, b.* FROM a JOIN b ON a.k = b.k AND a.g < b.g",
    "SELECT a.*, b.* FROM a LEFT JOIN b ON a.k = b.k",
    "SELECT a.*, b.* FROM a RIGHT JOIN b ON a.k = b.k",
    "SELECT a.*, b.* FROM a LEFT JOIN b ON a.k = b.k AND a.g > b.g",
    "SELECT a.*, b.* FROM a RIGHT JOIN b ON a.k = b.k AND a.g > b.g",
    "SELECT a.*, b.* FROM a FULL JOIN b ON a.k = b.k AND a.label <> b.label",
    "SELECT a.*, b.* FROM a FULL JOIN b ON a.k IS NOT DISTINCT FROM b.k AND a.g < 9",
    "SELECT a.* FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k)",
    "SELECT b.* FROM b WHERE EXISTS (SELECT 1 FROM a WHERE b.k = a.k AND a.g < b.g)",
    "SELECT a.* FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.k = a.k)",
    "SELECT b.* FROM b WHERE NOT EXISTS (SELECT 1 FROM a WHERE b.k = a.k)",
    "SELECT a.* FROM a WHERE a.k < 5000 OR EXISTS (SELECT 1 FROM b WHERE b.k = a.k)",
    "SELECT b.* FROM b WHERE b.k < 45000 OR EXISTS (SELECT 1 FROM a WHERE b.k = a.k)",
    "SELECT a.* FROM a WHERE a.k NOT IN (SELECT k FROM b WHERE k IS NOT NULL)",
    "SELECT a.* FROM a WHERE a.k NOT IN (SELECT k FROM b)",
    "SELECT a.* FROM a WHERE a.k NOT IN (SELECT k FROM b WHERE n < 0)",
    // Most threads of the outer join have no rows to ask the inner one with.
    "SELECT k, g FROM (SELECT k AS p FROM a WHERE k = 7) AS p \
     JOIN (SELECT a.k, b.g FROM a JOIN b ON a.k = b.k) AS j ON j.k = p",
    // Those threads drop a join that has not begun, below which another waits for all of its own.
    "SELECT k, g FROM (SELECT k AS p FROM a WHERE k = 7) AS p \
     JOIN (SELECT a.k, b.g FROM a JOIN b ON a.k = b.k LEFT JOIN a AS c ON c.k = a.k AND c.g <> b.g) \
     AS j ON j.k = p",
    "SELECT k, g FROM a INTERSECT SELECT k, g FROM b",
];

fn database() -> (TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::new().memory_limit(LIMIT);
    let database = Database::open_with(folder.path().join("db"), options).unwrap();
    (folder, database)
}

fn rows(session: &Session, sql: &str) -> Vec<String> {
    let rows = session.block_on(support::rows(session, sql)).unwrap();
    rows.unwrap_or_else(|error| panic!("{error}\n{sql}"))
}

/// One line that changes with each row of a query, in whatever order they come.
fn digest(session: &Session, sql: &str) -> String {
    let columns = if sql.starts_with("SELECT a.*, b.*") {
        "count(*), count(k), sum(n), sum(o), bit_xor(h), min(label), max(other)"
    } else {
        "count(*), count(k), sum(k), sum(g), min(k), max(g), count(DISTINCT k)"
    };
    let sql = sql.replace(
        "SELECT a.*, b.*",
        "SELECT a.n, a.k, b.n AS o, a.label, b.label AS other, \
         coalesce(a.n, -1) * 1000003 + coalesce(b.n, -1) * 7 AS h",
    );
    rows(session, &format!("SELECT {columns} FROM ({sql})")).concat()
}

/// Leaves little to queries, or as much as there is.
fn leave(database: &Database, little: bool) {
    let memory = database.store().memory();
    memory.set(MemoryUse::Jobs, 0);
    let others = memory.for_queries().saturating_sub(LITTLE);
    if little {
        // They keep a part for themselves, which is taken too.
        memory.set(MemoryUse::Jobs, others);
        let kept = memory.for_queries().saturating_sub(LITTLE);
        memory.set(MemoryUse::Jobs, others + kept);
    }
}

/// What the joins of a query wrote to files.
fn spilled(session: &Session, sql: &str) -> bool {
    let plan = rows(session, &format!("EXPLAIN ANALYZE {sql}")).join("\n");
    let joins: Vec<_> = plan.lines().filter(|line| line.contains("HashJoinExec")).collect();
    assert!(!joins.is_empty(), "{plan}");
    joins.iter().any(|line| line.contains("spill_count=") && !line.contains("spill_count=0"))
}

/// Waits for tasks of queries that were given up: neither memory nor files are left.
fn nothing_is_left(folder: &TempDir, session: &Session) {
    let left = || {
        let bytes = rows(session, "SELECT bytes FROM sheaf.memory WHERE used_by = 'queries'");
        let spilled = std::fs::read_dir(folder.path().join("db/tmp")).unwrap();
        let files = spilled.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        (bytes.concat(), files.count())
    };
    let nothing = ("0".to_owned(), 0);
    for _ in 0..200 {
        if left() == nothing {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(left(), nothing);
}

fn joins_are_the_same(settings: &str) {
    let (folder, database) = database();
    let session = database.session();
    session.execute_blocking(TABLES).unwrap();
    session.execute_blocking(settings).unwrap();
    let expected = JOINS.map(|sql| digest(&session, sql));
    assert!(!spilled(&session, JOINS[0]));
    leave(&database, true);
    for (sql, expected) in JOINS.iter().zip(expected) {
        assert_eq!(digest(&session, sql), expected, "{sql}");
    }
    for sql in [JOINS[0], JOINS[3], JOINS[6]] {
        assert!(spilled(&session, sql), "{sql}");
    }
    let few = "SELECT count(*) FROM (SELECT a.n FROM a JOIN b ON a.k = b.k LIMIT 7)";
    assert_eq!(rows(&session, few), ["7"]);
    leave(&database, false);
    nothing_is_left(&folder, &session);
    database.close().unwrap();
}

/// One table for all threads.
#[test]
fn one_left_side_for_all_threads_is_divided() {
    joins_are_the_same("SET datafusion.execution.target_partitions = 3");
}

/// A table for each thread, whose rows are dealt out by their keys.
#[test]
fn left_sides_of_threads_are_divided() {
    joins_are_the_same(
        "SET datafusion.execution.target_partitions = 3; \
         SET datafusion.optimizer.hash_join_single_partition_threshold = 0; \
         SET datafusion.optimizer.hash_join_single_partition_threshold_rows = 0",
    );
}

#[test]
fn one_thread_divides_its_left_side() {
    joins_are_the_same("SET datafusion.execution.target_partitions = 1");
}

/// Integers with few gaps are looked up in an array, which may be larger than a table of them.
#[test]
fn arrays_of_keys_count() {
    let (_folder, database) = database();
    let session = database.session();
    session
        .execute_blocking(
            "CREATE TABLE sparse AS SELECT n * 18 AS k FROM generate_series(0, 249999) AS s(n); \
             CREATE TABLE dense AS SELECT n AS k FROM generate_series(0, 999999) AS s(n); \
             CREATE TABLE other AS SELECT n * 3 AS k FROM generate_series(0, 1999999) AS s(n); \
             CALL sheaf.flush('sparse'); CALL sheaf.flush('dense'); CALL sheaf.flush('other')",
        )
        .unwrap();
    leave(&database, true);
    let joined = |table: &str| {
        format!("SELECT count(*), sum({table}.k) FROM {table} JOIN other ON {table}.k = other.k")
    };
    // All of the sparse ones are multiples of three below six millions, a third of the dense.
    assert_eq!(rows(&session, &joined("sparse")), ["250000 562497750000"]);
    assert_eq!(rows(&session, &joined("dense")), ["333334 166666833333"]);
    leave(&database, false);
    database.close().unwrap();
}

/// What a file has of a list is its own texts, not those of the batch that it came in.
#[test]
fn lists_of_texts_are_divided() {
    let (_folder, database) = database();
    let session = database.session();
    session
        .execute_blocking(
            "CREATE TABLE lists AS SELECT n AS k, [label, 'the second text of row ' || n] AS l \
             FROM (SELECT n, 'the first text of row ' || n AS label \
             FROM generate_series(0, 199999) AS s(n)); \
             CREATE TABLE keys AS SELECT n * 2 AS k FROM generate_series(0, 249999) AS s(n); \
             CALL sheaf.flush('lists'); CALL sheaf.flush('keys')",
        )
        .unwrap();
    leave(&database, true);
    let joined = "SELECT lists.k, l FROM lists JOIN keys ON lists.k = keys.k";
    let digest = format!("SELECT count(*), sum(k), min(l[1]), max(l[2]) FROM ({joined})");
    let expected = "100000 9999900000 the first text of row 0 the second text of row 99998";
    assert_eq!(rows(&session, &digest), [expected]);
    assert!(spilled(&session, joined));
    leave(&database, false);
    database.close().unwrap();
}

/// No hash divides them: they are joined piece by piece, where that is possible.
#[test]
fn rows_that_are_all_equal_are_joined_piece_by_piece() {
    let (_folder, database) = database();
    let session = database.session();
    session
        .execute_blocking(
            "CREATE TABLE same AS SELECT 1 AS k, n, 'a text that takes some room ' || n AS label \
             FROM generate_series(1, 400000) AS s(n); \
             CREATE TABLE others AS SELECT n AS k, 'another text' AS label \
             FROM generate_series(0, 599999) AS s(n); \
             CALL sheaf.flush('same'); CALL sheaf.flush('others')",
        )
        .unwrap();
    let joined = |kind: &str| {
        format!(
            "SELECT count(*), count(label), count(other), sum(n) FROM (SELECT same.n, same.label, \
             others.label AS other FROM same {kind} JOIN others ON same.k = others.k)"
        )
    };
    let expected = ["INNER", "LEFT"].map(|kind| rows(&session, &joined(kind)));
    leave(&database, true);
    for (kind, expected) in ["INNER", "LEFT"].iter().zip(expected) {
        assert_eq!(rows(&session, &joined(kind)), expected, "{kind}");
    }
    let full = session
        .query_blocking(&joined("FULL"), vec![])
        .and_then(|output| session.block_on(output.collect())?)
        .unwrap_err();
    assert_eq!(full.kind, ErrorKind::OutOfMemory, "{full:?}");
    assert!(full.to_string().contains("equal rows, which do not fit"), "{full}");
    leave(&database, false);
    assert_eq!(rows(&session, &joined("FULL")), ["999999 400000 999999 80000200000"]);
    database.close().unwrap();
}

/// Of wide rows no batch fits that has as many as others have.
#[test]
fn wide_rows_that_are_all_equal_are_joined_piece_by_piece() {
    let (_folder, database) = database();
    let session = database.session();
    session
        .execute_blocking(
            "CREATE TABLE wide AS SELECT 1 AS k, n, label, [label] AS l \
             FROM (SELECT n, repeat('wide ', 100) || n AS label \
             FROM generate_series(1, 24000) AS s(n)); \
             CREATE TABLE others AS SELECT n AS k FROM generate_series(0, 99999) AS s(n); \
             CALL sheaf.flush('wide'); CALL sheaf.flush('others')",
        )
        .unwrap();
    let joined = "SELECT count(*), sum(n), max(length(label)), max(length(l[1])) \
                  FROM (SELECT wide.* FROM wide LEFT JOIN others ON wide.k = others.k)";
    let expected = rows(&session, joined);
    leave(&database, true);
    assert_eq!(rows(&session, joined), expected);
    leave(&database, false);
    database.close().unwrap();
}

/// A statement that is given up while it joins files leaves nothing.
#[test]
fn a_join_that_is_given_up_leaves_nothing() {
    let (folder, database) = database();
    let session = database.session();
    session.execute_blocking(TABLES).unwrap();
    leave(&database, true);
    let first = session.block_on(async {
        let mut output = match session.query(JOINS[6]).await.unwrap() {
            sheafdb::Output::Rows { stream, .. } => stream,
            other => panic!("{other:?}"),
        };
        futures::StreamExt::next(&mut output).await.unwrap().unwrap().num_rows()
    });
    assert!(first.unwrap() > 0);
    leave(&database, false);
    nothing_is_left(&folder, &session);
    database.close().unwrap();
}
