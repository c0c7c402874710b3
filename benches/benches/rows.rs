//! Hot rows: durable commits, point reads from memory and from a cold disk, bulk load,
//! recovery of a log.
//!
//! No peer yet: these are the figures that later comparisons start from.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch, StringViewArray};
use datafusion::common::ScalarValue;
use sheaf_benches::{Failure, Report, flights, percentile, rate, table_named, timed};
use sheafdb::core::catalog::TableDef;
use sheafdb::core::{Durability, OnConflict, Store, Value, Write, WriteBatch};
use sheafdb::{Database, OpenOptions};

/// Bytes that the log holds before the process dies.
const LOG_BYTES: u64 = 1 << 30;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--fill-log") {
        let path = arguments.get(at + 1).ok_or("--fill-log needs a path")?;
        return fill_log(Path::new(path));
    }
    let folder = tempfile::tempdir()?;
    let mut report = Report::new("rows");
    commits(&folder.path().join("commits"), &mut report)?;
    reads(&folder.path().join("reads"), &mut report)?;
    cold_reads(&folder.path().join("cold"), &mut report)?;
    bulk(&folder.path().join("bulk"), &mut report)?;
    recovery(&folder.path().join("recovery"), &mut report)?;
    report.finish()
}

fn open(path: &Path) -> Result<(Database, Arc<TableDef>), Failure> {
    let database = Database::open(path)?;
    database.session().execute_blocking("CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT)")?;
    let def = table_named(database.store(), "t")?;
    Ok((database, def))
}

fn write(
    def: &Arc<TableDef>,
    keys: std::ops::Range<i64>,
    durability: Durability,
) -> Result<WriteBatch, Failure> {
    let value = "x".repeat(100);
    let values = StringViewArray::from_iter_values(keys.clone().map(|_| value.as_str()));
    let keys = Int64Array::from_iter_values(keys);
    let rows = RecordBatch::try_new(
        Arc::clone(def.arrow_schema()),
        vec![Arc::new(keys), Arc::new(values)],
    )?;
    let write = Write::Insert { table: Arc::clone(def), rows, on_conflict: OnConflict::Replace };
    Ok(WriteBatch { writes: vec![write], read_at: None, durability: Some(durability) })
}

fn commits(path: &Path, report: &mut Report) -> Result<(), Failure> {
    let (database, def) = open(path)?;
    let store = database.store();
    let mut next = 0;
    for (what, count, size, durability) in [
        ("durable commits of 1 row, 1 writer", 5_000, 1, Durability::Sync),
        ("durable rows in commits of 1,000, 1 writer", 500, 1_000, Durability::Sync),
        ("durable rows in commits of 10,000, 1 writer", 50, 10_000, Durability::Sync),
        ("unsynced commits of 1 row, 1 writer", 100_000, 1, Durability::None),
    ] {
        let ((), time) = timed(|| {
            for _ in 0..count {
                store.commit(write(&def, next..next + size, durability)?)?;
                next += size;
            }
            Ok(())
        })?;
        report.figure(what, rate((count * size) as u64, time));
    }
    const WRITERS: i64 = 32;
    const EACH: i64 = 1_000;
    let ((), time) = timed(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..WRITERS)
                .map(|w| {
                    let def = &def;
                    scope.spawn(move || -> Result<(), Failure> {
                        let first = 1_000_000_000 + w * EACH;
                        for key in first..first + EACH {
                            store.commit(write(def, key..key + 1, Durability::Sync)?)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            for thread in threads {
                thread.join().map_err(|_| "a writer panicked")??;
            }
            Ok(())
        })
    })?;
    report.figure("durable commits of 1 row, 32 writers", rate((WRITERS * EACH) as u64, time));
    Ok(())
}

fn reads(path: &Path, report: &mut Report) -> Result<(), Failure> {
    const ROWS: i64 = 1_000_000;
    let (database, def) = open(path)?;
    let store = database.store();
    for start in (0..ROWS).step_by(50_000) {
        store.commit(write(&def, start..start + 50_000, Durability::None)?)?;
    }
    let what = "point read, row in a memtable or a fresh segment";
    latency(report, what, get(store, &def, ROWS)?);
    store.flush(None)?;
    store.compact(None)?;
    latency(report, "point read, row in a segment", get(store, &def, ROWS)?);
    let session = database.session();
    let mut samples = Vec::new();
    for i in 0..20_000_i64 {
        let sql = format!("SELECT v FROM t WHERE k = {}", spread(i, ROWS));
        let start = Instant::now();
        session.query_blocking(&sql, vec![])?;
        samples.push(start.elapsed());
    }
    latency(report, "point SELECT, parsed each time", samples);
    for (what, create) in [
        ("point SELECT, prepared", ""),
        (
            "point SELECT, prepared, row_store",
            "CREATE TABLE s (k BIGINT PRIMARY KEY, v TEXT) WITH (row_store = true); \
             INSERT INTO s SELECT * FROM t; CALL sheaf.flush('s'); DROP TABLE t; \
             ALTER TABLE s RENAME TO t",
        ),
    ] {
        session.execute_blocking(create)?;
        let prepared = session.prepare("SELECT v FROM t WHERE k = $1")?;
        let mut samples = Vec::new();
        for i in 0..50_000 {
            let key = vec![ScalarValue::Int64(Some(spread(i, ROWS)))];
            let start = Instant::now();
            let rows = session.block_on(async { prepared.run(key).await?.collect().await })??;
            samples.push(start.elapsed());
            if rows.len() != 1 {
                return Err("a row is missing".into());
            }
        }
        latency(report, what, samples);
    }
    Ok(())
}

/// Reads of rows in segments of which nothing is in memory, by keys in no order.
fn cold_reads(path: &Path, report: &mut Report) -> Result<(), Failure> {
    const ROWS: i64 = 5_000_000;
    const READS: i64 = 2_000;
    {
        let database = Database::open(path)?;
        database.session().execute_blocking(
            "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT) WITH (row_store = true)",
        )?;
        let def = table_named(database.store(), "t")?;
        for start in (0..ROWS).step_by(50_000) {
            database.store().commit(write(&def, start..start + 50_000, Durability::None)?)?;
        }
        database.store().flush(None)?;
        database.store().compact(None)?;
    }
    forget(path)?;
    let database = Database::open(path)?;
    let def = table_named(database.store(), "t")?;
    let table = database.store().snapshot()?.table(def.id)?;
    let mut samples = Vec::new();
    for i in 0..READS {
        let key = [Value::from(spread(i, ROWS))];
        let start = Instant::now();
        let row = table.row(&key)?;
        samples.push(start.elapsed());
        row.ok_or("a row is missing")?;
    }
    latency(report, "point read, row in a segment on a cold disk, row_store", samples);
    Ok(())
}

/// Has the system drop what it holds of the files below a folder.
fn forget(path: &Path) -> Result<(), Failure> {
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
            continue;
        }
        let file = std::fs::File::open(&path)?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

fn get(store: &Store, def: &Arc<TableDef>, rows: i64) -> Result<Vec<Duration>, Failure> {
    let schema = Arc::new(def.arrow_schema().project(&[0])?);
    let table = store.snapshot()?.table(def.id)?;
    let mut samples = Vec::new();
    for i in 0..20_000 {
        let keys = Arc::new(Int64Array::from(vec![spread(i, rows)]));
        let keys = RecordBatch::try_new(Arc::clone(&schema), vec![keys])?;
        let start = Instant::now();
        let found = table.get(&keys)?;
        samples.push(start.elapsed());
        if found.num_rows() != 1 {
            return Err("a row is missing".into());
        }
    }
    Ok(samples)
}

fn latency(report: &mut Report, what: &str, mut samples: Vec<Duration>) {
    samples.sort_unstable();
    let micros = |percent| percentile(&samples, percent).as_secs_f64() * 1e6;
    report.figure(what, format!("p50 {:.1} us, p99 {:.1} us", micros(50.0), micros(99.0)));
}

/// Keys in an order that no cache likes.
fn spread(i: i64, rows: i64) -> i64 {
    i.wrapping_mul(7_919_317).rem_euclid(rows)
}

fn bulk(path: &Path, report: &mut Report) -> Result<(), Failure> {
    let batches = flights(6)?;
    let rows: u64 = batches.iter().map(|b| b.num_rows() as u64).sum();
    let database = Database::open(path)?;
    let file = path.join("../flights.parquet");
    let mut writer = parquet::arrow::ArrowWriter::try_new(
        std::fs::File::create(&file)?,
        batches[0].schema(),
        None,
    )?;
    for batch in &batches {
        writer.write(batch)?;
    }
    writer.close()?;
    let session = database.session();
    session.execute_blocking(&format!(
        "CREATE TABLE f AS SELECT * FROM '{0}' LIMIT 0",
        file.display()
    ))?;
    let ((), time) = timed(|| {
        session.execute_blocking(&format!("COPY f FROM '{}'", file.display()))?;
        Ok(())
    })?;
    report.figure("COPY of flights from Parquet, 19 columns, rows", rate(rows, time));
    let bytes: u64 = database.store().segments()?.iter().map(|s| s.bytes).sum();
    report.figure("bytes per row on disk, flights", format!("{:.1}", bytes as f64 / rows as f64));
    Ok(())
}

fn recovery(path: &Path, report: &mut Report) -> Result<(), Failure> {
    let child = std::process::Command::new(std::env::current_exe()?)
        .arg("--fill-log")
        .arg(path)
        .status()?;
    if child.success() {
        return Err("the child was to die".into());
    }
    let bytes = log_bytes(path)?;
    let (rows, time) = timed(|| {
        let database = Database::open(path)?;
        let rows = database.store().tables()?.iter().map(|t| t.rows).sum::<u64>();
        Ok((rows, database))
    })?;
    let what = format!("reopen after a kill, {} MiB of log, {} rows", bytes >> 20, rows.0);
    report.figure(&what, format!("{:.2} s", time.as_secs_f64()));
    Ok(())
}

fn log_bytes(path: &Path) -> Result<u64, Failure> {
    let files = std::fs::read_dir(path.join("wal"))?;
    Ok(files.filter_map(|entry| entry.ok()?.metadata().ok()).map(|file| file.len()).sum())
}

/// Writes rows into the log alone, then dies as SIGKILL would have it.
fn fill_log(path: &Path) -> Result<(), Failure> {
    let options = OpenOptions::new()
        .memory_limit(1 << 50)
        .memtable_bytes(64 << 30)
        .log_bytes(2 * LOG_BYTES)
        .background(false);
    let database = Database::open_with(path, options)?;
    database.session().execute_blocking("CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT)")?;
    let def = table_named(database.store(), "t")?;
    let mut next = 0;
    while log_bytes(path)? < LOG_BYTES {
        let batch = write(&def, next..next + 10_000, Durability::None)?;
        database.store().commit(batch)?;
        next += 10_000;
    }
    database.store().commit(write(&def, next..next + 1, Durability::Sync)?)?;
    std::process::abort();
}
