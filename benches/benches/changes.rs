//! Changes of a large table: an upsert of a tenth of its rows in random order, beside
//! DuckDB, and what deleted and replaced rows cost a scan, beside the same scan before.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use sheaf_benches::{Failure, Outcome, Report, Task, answer, percentile, read_arrow, table_named};
use sheaf_tpch::compare::venv;
use sheafdb::core::catalog::TableDef;
use sheafdb::core::{Durability, OnConflict, Write, WriteBatch};
use sheafdb::{Database, Session};

const RUNS: usize = 3;
const ROWS: u64 = 10_000_000;
/// Rows that are replaced in a loop; half of them are upserted once.
const CHANGES: u64 = ROWS / 5;
const CREATE: &str = "CREATE TABLE t (k BIGINT PRIMARY KEY, device INTEGER, value DOUBLE, \
    label VARCHAR, seen TIMESTAMP)";
const CHECK: &str = "SELECT CAST(count(*) AS VARCHAR), CAST(sum(k) AS VARCHAR), \
    CAST(sum(device) AS VARCHAR), CAST(CAST(sum(value * 4) AS BIGINT) AS VARCHAR), \
    CAST(sum(length(label)) AS VARCHAR), CAST(count(DISTINCT seen) AS VARCHAR) FROM t";
const SCAN: &str = "SELECT device, count(*), sum(value), max(seen) FROM t GROUP BY device";
const UPSERT: &str = "upsert";
const UPSERT_AND_SCAN: &str = "upsert and scan";
/// Scans that are timed one after another.
const SCANS: usize = 15;

fn main() -> Result<(), Failure> {
    if let Some(task) = Task::of_this_process()? {
        return match task.action.as_str() {
            UPSERT | UPSERT_AND_SCAN => upsert(&task),
            other => scans(&task, other),
        };
    }
    let folder = tempfile::tempdir()?;
    make_files(folder.path())?;
    let python = venv::peers()?;
    let threads = std::thread::available_parallelism()?.get();
    let mut report = Report::new("changes");
    println!("{ROWS} rows, 5 columns, {threads} threads, best of {RUNS}");
    let task = |engine: &str, action: &str| Task {
        engine: engine.to_owned(),
        action: action.to_owned(),
        format: "arrow".to_owned(),
        commits: ((CHANGES / 2) as usize, 1),
        file: folder.path().display().to_string(),
        database: folder.path().join(engine).display().to_string(),
        threads,
        create: CREATE.to_owned(),
        check: CHECK.to_owned(),
    };
    let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
    for _ in 0..RUNS {
        let sheaf = task("sheaf", UPSERT).run_anew(None)?;
        let duckdb = task("duckdb", UPSERT).run_anew(Some(&python))?;
        if sheaf.answer != duckdb.answer {
            let (sheaf, duckdb) = (sheaf.answer, duckdb.answer);
            return Err(format!("the rows differ\n{sheaf:?}\n{duckdb:?}").into());
        }
        (ours, theirs) = (ours.min(sheaf.seconds), theirs.min(duckdb.seconds));
    }
    report.times("durable upsert of 10 % in random order", ours * 1e3, "duckdb", theirs * 1e3);
    for (action, name) in [(UPSERT, "the same, lazily"), (UPSERT_AND_SCAN, "with the next scan")] {
        let eager = task("sheaf", action);
        let lazy = Task { create: format!("{CREATE} WITH (lazy_upserts = true)"), ..eager.clone() };
        let (eager, lazy) = (eager.run_anew(None)?, lazy.run_anew(None)?);
        if eager.answer != lazy.answer {
            return Err("lazy upserts leave other rows".into());
        }
        report.times(name, lazy.seconds * 1e3, "eager", eager.seconds * 1e3);
    }
    let clean = task("sheaf", "clean").run_anew(None)?;
    for (action, name) in [
        ("deleted", "scan with 1 % of the rows deleted"),
        ("busy", "scan while 20 % of the rows are upserted in a loop"),
    ] {
        let changed = task("sheaf", action).run_anew(None)?;
        report.times(name, changed.seconds * 1e3, "clean", clean.seconds * 1e3);
    }
    report.finish()
}

/// The table and its changes; the keys of the changes are spread over those of the table.
fn make_files(folder: &Path) -> Result<(), Failure> {
    let session = Database::in_memory()?.session();
    let base = "SELECT n AS k, CAST(n % 1000 AS INTEGER) AS device, n * 0.25 AS value, \
        'device ' || CAST(n % 100000 AS VARCHAR) AS label, \
        CAST(to_timestamp(1767225600 + n) AS TIMESTAMP) AS seen";
    session.execute_blocking(&format!(
        "COPY ({base} FROM generate_series(0, {}) AS s(n)) TO '{}'",
        ROWS - 1,
        folder.join("base.parquet").display(),
    ))?;
    session.execute_blocking(&format!(
        "COPY (SELECT k, device + 1 AS device, value + 1 AS value, label || '!' AS label, seen \
         FROM ({base} FROM (SELECT (i * 7919317) % {ROWS} AS n \
         FROM generate_series(0, {}) AS s(i)))) TO '{}'",
        CHANGES - 1,
        folder.join("changes.arrow").display(),
    ))?;
    Ok(())
}

/// The table as it was loaded, and what to write into it.
struct Loaded {
    database: Database,
    session: Session,
    table: Arc<TableDef>,
    changes: RecordBatch,
}

fn load(task: &Task) -> Result<Loaded, Failure> {
    let database = Database::open(&task.database)?;
    let session = database.session();
    session.execute_blocking(&task.create)?;
    let folder = Path::new(&task.file);
    let base = folder.join("base.parquet");
    session.execute_blocking(&format!("COPY t FROM '{}'", base.display()))?;
    let table = table_named(database.store(), "t")?;
    let changes = read_arrow(&folder.join("changes.arrow"), table.arrow_schema())?;
    Ok(Loaded { database, session, table, changes })
}

impl Loaded {
    fn put(&self, rows: RecordBatch, durability: Durability) -> Result<(), Failure> {
        let table = Arc::clone(&self.table);
        let write = Write::Insert { table, rows, on_conflict: OnConflict::Replace };
        let durability = Some(durability);
        let batch = WriteBatch { writes: vec![write], read_at: None, durability };
        self.database.store().commit(batch)?;
        Ok(())
    }
}

fn upsert(task: &Task) -> Result<(), Failure> {
    let loaded = load(task)?;
    let start = Instant::now();
    loaded.put(loaded.changes.slice(0, task.commits.0), Durability::Sync)?;
    if task.action == UPSERT_AND_SCAN {
        loaded.session.query_blocking(SCAN, vec![])?;
    }
    Outcome::print(start.elapsed().as_secs_f64(), answer(&loaded.session, &task.check)?)
}

/// The median of some scans of the table, with rows deleted or while rows are replaced.
fn scans(task: &Task, what: &str) -> Result<(), Failure> {
    let loaded = load(task)?;
    if what == "deleted" {
        loaded.session.execute_blocking("DELETE FROM t WHERE (k * 7919317) % 100 = 7")?;
    }
    let stop = AtomicBool::new(what != "busy");
    let seconds = std::thread::scope(|scope| -> Result<f64, Failure> {
        let writer = scope.spawn(|| -> Result<(), Failure> {
            const BATCH: usize = 10_000;
            for n in 0.. {
                let at = n * BATCH % loaded.changes.num_rows();
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                loaded.put(loaded.changes.slice(at, BATCH), Durability::Interval)?;
            }
            Ok(())
        });
        let timed = timed_scans(&loaded.session);
        stop.store(true, Ordering::Relaxed);
        writer.join().map_err(|_| "the writer panicked")??;
        timed
    })?;
    Outcome::print(seconds, Vec::new())
}

fn timed_scans(session: &Session) -> Result<f64, Failure> {
    let mut times: Vec<Duration> = Vec::with_capacity(SCANS);
    for _ in 0..=SCANS {
        let start = Instant::now();
        session.query_blocking(SCAN, vec![])?;
        times.push(start.elapsed());
    }
    // The first one opens the files.
    times.remove(0);
    times.sort_unstable();
    Ok(percentile(&times, 50.0).as_secs_f64())
}
