//! Chapter 1: flights arrive in bulk, then one by one; late corrections; point reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use sheafdb::core::catalog::TableDef;
use sheafdb::core::{Durability, OnConflict, Store, TableSnapshot, Write, WriteBatch};

use crate::message::Failure;
use crate::output::grouped;
use crate::tour::data::{Data, fit};
use crate::tour::guide::{Guide, per_second};
use crate::tour::latency::Latencies;

const TABLES: &str = "\
CREATE TABLE flights (
  year INTEGER, month INTEGER, day INTEGER,
  dep_time INTEGER, sched_dep_time INTEGER, dep_delay INTEGER,
  arr_time INTEGER, sched_arr_time INTEGER, arr_delay INTEGER,
  carrier TEXT, flight INTEGER, tailnum TEXT, origin TEXT, dest TEXT,
  air_time INTEGER, distance INTEGER, hour INTEGER, minute INTEGER, time_hour TIMESTAMPTZ,
  PRIMARY KEY (time_hour, carrier, flight, origin)
);
CREATE TABLE weather (
  origin TEXT, year INTEGER, month INTEGER, day INTEGER, hour INTEGER,
  temp DOUBLE, dewp DOUBLE, humid DOUBLE, wind_dir INTEGER, wind_speed DOUBLE,
  wind_gust DOUBLE, precip DOUBLE, pressure DOUBLE, visib DOUBLE, time_hour TIMESTAMPTZ
) PARTITION BY time_bucket('1 month', time_hour);
CREATE TABLE planes (
  tailnum TEXT PRIMARY KEY, year INTEGER, type TEXT, manufacturer TEXT, model TEXT,
  engines INTEGER, seats INTEGER, speed INTEGER, engine TEXT
);
CREATE TABLE airlines (carrier TEXT PRIMARY KEY, name TEXT)";

const COMMIT: &str = "\
store.commit(WriteBatch {
    writes: vec![Write::Insert { table, rows: one_flight, on_conflict: OnConflict::Fail }],
    durability: Some(Durability::Sync),
    ..WriteBatch::default()
})?";

/// Corrections of 8 February come in hours late: planes left even later.
const CORRECT: &str = "\
INSERT INTO flights (time_hour, carrier, flight, origin, dep_delay, arr_delay)
SELECT time_hour, carrier, flight, origin, dep_delay + 5, arr_delay + 5
FROM flights WHERE year = 2013 AND month = 2 AND day = 8 AND dep_delay > 60
ON CONFLICT (time_hour, carrier, flight, origin)
DO UPDATE SET dep_delay = EXCLUDED.dep_delay, arr_delay = EXCLUDED.arr_delay";

/// Flights of one carrier that never left are taken out of the books.
const DELETE: &str = "DELETE FROM flights WHERE carrier = 'OO' AND dep_time IS NULL";

const SQL_GET: &str = "\
SELECT dest, dep_delay FROM flights
WHERE time_hour = '2013-02-08T14:00:00Z' AND carrier = 'B6' AND flight = 41 AND origin = 'JFK'";

/// Flights that arrive one by one: the last of the year.
const LIVE_ROWS: usize = 20_480;
/// Of these, at most so many from a single writer, and for no longer than this.
const ONE_WRITER_ROWS: usize = 4_096;
const ONE_WRITER_TIME: Duration = Duration::from_secs(2);
const WRITERS: usize = 16;
const POINT_READS: usize = 2_000;
const SQL_POINT_READS: usize = 200;

/// Runs the chapter.
pub fn run(guide: &Guide, data: &Data) -> Result<(), Failure> {
    guide.chapter(
        "1 · hot rows",
        "A table with a key takes bulk loads, single rows, corrections and deletes.",
    );
    guide.execute(TABLES)?;
    let table = guide.table("flights")?;
    let flights = fit(&data.flights, table.arrow_schema())?;
    let bulk = flights.num_rows() - LIVE_ROWS;
    load(guide, data, bulk)?;
    stream(guide, &table, &flights.slice(bulk, LIVE_ROWS))?;
    point_reads(guide, &flights, bulk)?;
    correct(guide)?;
    sql_point_reads(guide)
}

fn load(guide: &Guide, data: &Data, bulk: usize) -> Result<(), Failure> {
    guide.code("let mut load = store.bulk_load(flights.id)?; load.push(rows)?; load.finish()?");
    let started = Instant::now();
    guide.load("flights", &data.flights.slice(0, bulk))?;
    guide.rate(
        &format!("{} flights in bulk, durable", grouped(bulk as u64)),
        bulk as u64,
        started.elapsed(),
    );
    for (name, rows) in
        [("weather", &data.weather), ("planes", &data.planes), ("airlines", &data.airlines)]
    {
        guide.load(name, rows)?;
    }
    Ok(())
}

/// One flight per commit: first by one writer, then by many at once.
fn stream(guide: &Guide, table: &Arc<TableDef>, flights: &RecordBatch) -> Result<(), Failure> {
    guide.code(COMMIT);
    let mut one = Latencies::default();
    let started = Instant::now();
    let mut done = 0;
    while done < ONE_WRITER_ROWS && started.elapsed() < ONE_WRITER_TIME {
        one.time(|| commit(guide.store(), table, flights.slice(done, 1)))?;
        done += 1;
    }
    report(guide, "by one writer", done, started.elapsed(), &one);

    let next = AtomicUsize::new(done);
    let started = Instant::now();
    let writer = || -> Result<Latencies, Failure> {
        let mut latencies = Latencies::default();
        loop {
            let row = next.fetch_add(1, Ordering::Relaxed);
            if row >= flights.num_rows() {
                return Ok(latencies);
            }
            latencies.time(|| commit(guide.store(), table, flights.slice(row, 1)))?;
        }
    };
    let mut many = Latencies::default();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(writer)).collect();
        for thread in writers {
            let ended =
                thread.join().map_err(|_| Failure::Other("a writer of the tour failed".into()))?;
            many.merge(ended?);
        }
        Ok::<_, Failure>(())
    })?;
    report(
        guide,
        &format!("by {WRITERS} writers"),
        flights.num_rows() - done,
        started.elapsed(),
        &many,
    );
    Ok(())
}

fn commit(store: &Store, table: &Arc<TableDef>, rows: RecordBatch) -> Result<(), Failure> {
    store.commit(WriteBatch {
        writes: vec![Write::Insert { table: table.clone(), rows, on_conflict: OnConflict::Fail }],
        durability: Some(Durability::Sync),
        ..WriteBatch::default()
    })?;
    Ok(())
}

fn report(guide: &Guide, who: &str, commits: usize, elapsed: Duration, latencies: &Latencies) {
    let commits = commits as u64;
    guide.measured(
        &format!("{} durable commits {who}, one row each", grouped(commits)),
        &format!("{} commits/s · {latencies}", per_second(commits, elapsed)),
    );
}

fn correct(guide: &Guide) -> Result<(), Failure> {
    let delay = "SELECT CAST(sum(dep_delay) AS BIGINT) FROM flights WHERE month = 2 AND day = 8 AND dep_delay > 60";
    let rows = "SELECT count(*) FROM flights WHERE month = 2 AND day = 8 AND dep_delay > 60";
    let (before, corrected) = (guide.number(delay)?, guide.number(rows)?);
    let elapsed = guide.execute(CORRECT)?;
    let after = guide.number(delay)?;
    guide.rate(
        &format!("{corrected} flights upserted; their delays {before} -> {after} min"),
        corrected.unsigned_abs(),
        elapsed,
    );
    if after - before != 5 * corrected {
        return Err(Failure::Other("the corrections did not arrive as they were written".into()));
    }
    let before = guide.number("SELECT count(*) FROM flights")?;
    let elapsed = guide.execute(DELETE)?;
    let deleted = before - guide.number("SELECT count(*) FROM flights")?;
    guide.rate(&format!("{deleted} flights deleted"), deleted.unsigned_abs(), elapsed);
    Ok(())
}

/// Rows by key, without SQL and with it. The last rows are in a memtable, the
/// first are in segments.
fn point_reads(guide: &Guide, flights: &RecordBatch, bulk: usize) -> Result<(), Failure> {
    guide.code("snapshot.table(flights.id)?.get(&keys)?");
    let table = guide.table("flights")?;
    let snapshot = guide.store().snapshot()?.table(table.id)?;
    let keys = flights.project(&table.key_indices())?;
    for (place, first, rows) in [("the memtable", bulk, LIVE_ROWS), ("segments", 0, bulk)] {
        let mut latencies = Latencies::default();
        let started = Instant::now();
        let mut found = 0;
        for i in 0..POINT_READS {
            // A step that shares no factor with the number of rows visits them in
            // no order that a cache could like.
            let row = first + (i * 7_919) % rows;
            found += latencies.time(|| get(&snapshot, &keys.slice(row, 1)))?;
        }
        let rate = per_second(POINT_READS as u64, started.elapsed());
        guide.measured(
            &format!("{} keys from {place}, {found} found", grouped(POINT_READS as u64)),
            &format!("{rate} reads/s · {latencies}"),
        );
        if found != POINT_READS {
            return Err(Failure::Other(format!("only {found} keys were found in {place}")));
        }
    }
    Ok(())
}

/// The corrected row, and how long SQL takes to find it.
fn sql_point_reads(guide: &Guide) -> Result<(), Failure> {
    guide.query(SQL_GET, None)?;
    let mut latencies = Latencies::default();
    for _ in 0..SQL_POINT_READS {
        latencies.time(|| guide.execute_silently(SQL_GET))?;
    }
    guide.measured(
        &format!("the same, {SQL_POINT_READS} times, planning included"),
        &latencies.to_string(),
    );
    Ok(())
}

fn get(table: &TableSnapshot, key: &RecordBatch) -> Result<usize, Failure> {
    Ok(table.get(key)?.num_rows())
}
