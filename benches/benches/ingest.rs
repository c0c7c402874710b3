//! Durable ingest: rows of twelve columns in commits of several sizes, each on disk when
//! it returns, beside DuckDB inserting the same rows: from Arrow, and single rows by a
//! prepared statement. Then the same until nothing is left to be done: all rows are in segments
//! and merged, or in DuckDB's file and out of its log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use sheaf_benches::{Failure, Outcome, Report, Task, answer, read_arrow, table_named};
use sheaf_tpch::compare::venv;
use sheafdb::Database;
use sheafdb::core::{Durability, OnConflict, Write, WriteBatch};

const RUNS: usize = 3;
/// Until the last commit is acknowledged.
const ACKNOWLEDGED: &str = "ingest";
/// Until nothing is left to be done.
const DRAINED: &str = "drain";
/// Rows of a commit, and how many commits.
const SIZES: [(usize, usize); 4] = [(1, 3_000), (1_000, 1_000), (10_000, 200), (983_040, 4)];
const CREATE: &str = "CREATE TABLE t (year INTEGER, month INTEGER, day INTEGER, \
    dep_delay INTEGER, arr_delay INTEGER, carrier VARCHAR, flight INTEGER, tailnum VARCHAR, \
    origin VARCHAR, dest VARCHAR, distance INTEGER, time_hour TIMESTAMP)";
const CHECK: &str = "SELECT CAST(count(*) AS VARCHAR), CAST(sum(arr_delay) AS VARCHAR), \
    CAST(sum(flight) AS VARCHAR), CAST(sum(distance) AS VARCHAR), \
    CAST(count(DISTINCT tailnum) AS VARCHAR), CAST(count(DISTINCT time_hour) AS VARCHAR), \
    CAST(count(DISTINCT carrier || origin || dest) AS VARCHAR) FROM t";

fn main() -> Result<(), Failure> {
    if let Some(task) = Task::of_this_process()? {
        return work(&task);
    }
    let folder = tempfile::tempdir()?;
    let file = rows(folder.path())?;
    let python = venv::peers()?;
    let threads = std::thread::available_parallelism()?.get();
    let mut report = Report::new("ingest");
    println!("flights, 12 columns, {threads} threads, best of {RUNS}");
    for (action, until) in [(ACKNOWLEDGED, ""), (DRAINED, ", drained")] {
        for commits in SIZES {
            let task = |engine: &str| Task {
                engine: engine.to_owned(),
                action: action.to_owned(),
                format: "arrow".to_owned(),
                commits,
                file: file.display().to_string(),
                database: folder.path().join(engine).display().to_string(),
                threads,
                create: CREATE.to_owned(),
                check: CHECK.to_owned(),
            };
            let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
            for _ in 0..RUNS {
                let sheaf = task("sheaf").run_anew(None)?;
                let duckdb = task("duckdb").run_anew(Some(&python))?;
                if sheaf.answer != duckdb.answer {
                    let (sheaf, duckdb) = (sheaf.answer, duckdb.answer);
                    return Err(format!("the rows differ\n{sheaf:?}\n{duckdb:?}").into());
                }
                (ours, theirs) = (ours.min(sheaf.seconds), theirs.min(duckdb.seconds));
            }
            let (size, count) = commits;
            let name = format!("{count} durable commits of {size} rows{until}");
            report.times(&name, ours * 1e3, "duckdb", theirs * 1e3);
        }
    }
    report.finish()
}

/// The flights twelve times over, as a file that both engines map.
fn rows(folder: &Path) -> Result<PathBuf, Failure> {
    let file = folder.join("flights.arrow");
    let flights =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/data/nycflights13/flights.parquet");
    let columns: Vec<&str> = CREATE
        .split_once('(')
        .map(|(_, columns)| columns.trim_end_matches(')').split(", "))
        .into_iter()
        .flatten()
        .map(str::trim)
        .collect();
    let casts: Vec<String> = columns
        .iter()
        .filter_map(|column| column.split_once(' '))
        .map(|(name, data_type)| format!("CAST({name} AS {data_type}) AS {name}"))
        .collect();
    Database::in_memory()?.session().execute_blocking(&format!(
        "COPY (SELECT {} FROM '{}', generate_series(1, 12)) TO '{}'",
        casts.join(", "),
        flights.display(),
        file.display()
    ))?;
    Ok(file)
}

/// Sheaf's side.
fn work(task: &Task) -> Result<(), Failure> {
    let (size, count) = task.commits;
    let database = Database::open(&task.database)?;
    let session = database.session();
    session.execute_blocking(&task.create)?;
    let store = database.store();
    let table = table_named(store, "t")?;
    let rows = read_arrow(Path::new(&task.file), table.arrow_schema())?;
    let batches: Vec<RecordBatch> = (0..count).map(|n| rows.slice(n * size, size)).collect();
    let start = Instant::now();
    for rows in batches {
        let write =
            Write::Insert { table: Arc::clone(&table), rows, on_conflict: OnConflict::Fail };
        let durability = Some(Durability::Sync);
        store.commit(WriteBatch { writes: vec![write], read_at: None, durability })?;
    }
    if task.action == DRAINED {
        store.flush(None)?;
        store.settle()?;
    }
    Outcome::print(start.elapsed().as_secs_f64(), answer(&session, CHECK)?)
}
