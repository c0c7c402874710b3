//! A mixed load under a memory limit, and what the process takes beyond mapped files.
//!
//! Two writers replace rows at random, one reader gets rows by key, and one asks queries
//! whose groups and orders are larger than the limit allows in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringViewArray};
use datafusion::common::ScalarValue;
use sheaf_benches::{Failure, Report, anonymous_bytes, table_named};
use sheafdb::core::catalog::TableDef;
use sheafdb::core::{Durability, OnConflict, Write, WriteBatch};
use sheafdb::{Database, ErrorKind, OpenOptions, Session};

const LIMIT: usize = 1 << 30;
const SECONDS: u64 = 600;
const KEYS: u64 = 5_000_000;
const BATCH: usize = 1000;
const WRITERS: u64 = 2;

/// More and more of the machine: a scan, groups of every row, an order of every row, and a
/// join whose table may not fit.
const QUERIES: [(&str, &str); 4] = [
    ("groups of 1,000", "SELECT device, count(*), sum(value) FROM t GROUP BY device"),
    (
        "groups of every row",
        "SELECT count(*), max(n) FROM (SELECT label, k % 4000000 AS m, count(*) AS n FROM t \
         GROUP BY label, k % 4000000)",
    ),
    (
        "order of every row",
        "SELECT label, k, value FROM t ORDER BY label, k OFFSET 3000000 LIMIT 10",
    ),
    ("join with itself", "SELECT count(*) FROM t JOIN t AS u ON t.label = u.label AND t.k = u.k"),
];

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    read: AtomicU64,
    answered: [AtomicU64; QUERIES.len()],
    refused: [AtomicU64; QUERIES.len()],
}

fn main() -> Result<(), Failure> {
    let seconds = std::env::var("SHEAF_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let folder = tempfile::tempdir()?;
    let options = OpenOptions::new().memory_limit(LIMIT);
    let database = Database::open_with(folder.path().join("db"), options)?;
    database.session().execute_blocking(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, device INTEGER, value DOUBLE, label TEXT)",
    )?;
    let table = table_named(database.store(), "t")?;
    let (counts, stop) = (Counts::default(), AtomicBool::new(false));
    let mut most = (0, 0);
    std::thread::scope(|scope| -> Result<(), Failure> {
        let mut threads = Vec::new();
        for seed in 1..=WRITERS {
            let (database, table, counts, stop) = (&database, &table, &counts, &stop);
            threads.push(scope.spawn(move || write(database, table, seed, counts, stop)));
        }
        threads.push(scope.spawn(|| read(&database.session(), &counts, &stop)));
        threads.push(scope.spawn(|| ask(&database.session(), &counts, &stop)));
        let start = Instant::now();
        while start.elapsed() < time && threads.iter().all(|thread| !thread.is_finished()) {
            most = most.max((anonymous_bytes("self")?, database.store().memory().total()));
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })?;
    let per_second = |count: &AtomicU64| count.load(Ordering::Relaxed) / time.as_secs().max(1);
    let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
    let mut report = Report::new("soak");
    report.figure(&format!("memory limit, {} s", time.as_secs()), mib(LIMIT));
    report.figure("anonymous memory at most", mib(most.0));
    report.figure("what was counted at that moment", mib(most.1));
    report.figure("rows written in a second", per_second(&counts.written).to_string());
    report.figure("rows read by key in a second", per_second(&counts.read).to_string());
    for (i, (name, _)) in QUERIES.iter().enumerate() {
        let count = |counts: &[AtomicU64]| counts[i].load(Ordering::Relaxed);
        let (answered, refused) = (count(&counts.answered), count(&counts.refused));
        report.figure(name, format!("{answered} answered, {refused} refused"));
    }
    let stalls = database.store().stalls();
    let stalled: u64 = stalls.iter().map(|stall| stall.stalled_us).sum();
    report.figure("writers were held up for", format!("{} s", stalled / 1_000_000));
    database.close()?;
    report.finish()?;
    match most.0 <= LIMIT {
        true => Ok(()),
        false => Err("the memory limit was passed".into()),
    }
}

fn write(
    database: &Database,
    table: &Arc<TableDef>,
    seed: u64,
    counts: &Counts,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut random = seed;
    while !stop.load(Ordering::Relaxed) {
        let keys: Vec<u64> = (0..BATCH).map(|_| next(&mut random) % KEYS).collect();
        let labels: Vec<String> =
            keys.iter().map(|k| format!("the label of device {:08}", k * 7919 % KEYS)).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(keys.iter().map(|k| *k as i64))),
            Arc::new(Int32Array::from_iter_values(keys.iter().map(|k| (k % 1000) as i32))),
            Arc::new(Float64Array::from_iter_values(
                keys.iter().map(|_| next(&mut random) as f64 * 0.25),
            )),
            Arc::new(StringViewArray::from_iter_values(&labels)),
        ];
        let rows = RecordBatch::try_new(Arc::clone(table.arrow_schema()), columns)?;
        let table = Arc::clone(table);
        let write = Write::Insert { table, rows, on_conflict: OnConflict::Replace };
        let durability = Some(Durability::Interval);
        let batch = WriteBatch { writes: vec![write], read_at: None, durability };
        database.store().commit(batch)?;
        counts.written.fetch_add(BATCH as u64, Ordering::Relaxed);
    }
    Ok(())
}

fn read(session: &Session, counts: &Counts, stop: &AtomicBool) -> Result<(), Failure> {
    let statement = session.prepare("SELECT label, value FROM t WHERE k = $1")?;
    let mut random = 7;
    while !stop.load(Ordering::Relaxed) {
        let key = ScalarValue::Int64(Some((next(&mut random) % KEYS) as i64));
        session.block_on(statement.run(vec![key]))??;
        counts.read.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn ask(session: &Session, counts: &Counts, stop: &AtomicBool) -> Result<(), Failure> {
    for i in (0..QUERIES.len()).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let asked = session.query_blocking(QUERIES[i].1, vec![]);
        let answer = asked.and_then(|output| session.block_on(output.collect())?);
        let counted = match answer {
            Ok(_) => &counts.answered[i],
            Err(error) if error.kind == ErrorKind::OutOfMemory => &counts.refused[i],
            Err(error) => return Err(error.into()),
        };
        counted.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Numbers in no order (xorshift64).
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}
