//! Arrow Flight SQL on loopback: what the way between two processes costs beside the same
//! work inside one, and how the server bears many clients. Client and server share the
//! processors.
//!
//! ```text
//!   rows     the tables, read inside the process
//!   peers    the same rows in DuckDB and PostgreSQL
//!   served   a server in a process of its own
//!   client   what clients ask
//!   fetch, points, held, load, ingest   what is measured over Flight
//! ```

mod client;
mod fetch;
mod held;
mod ingest;
mod load;
mod peers;
mod points;
mod rows;
mod served;

use std::path::Path;
use std::time::{Duration, Instant};

use sheaf_benches::{Failure, Report};

use crate::served::Served;

const RUNS: usize = 5;
const ROWS: u64 = 10_000_000;
const POINTS: usize = 20_000;
/// The load of all clients, unless `SHEAF_FLIGHT_SECONDS` says otherwise.
const SECONDS: u64 = 600;
/// What is measured, unless `SHEAF_FLIGHT_PARTS` names some of them.
const PARTS: [&str; 6] = ["peers", "fetch", "points", "held", "load", "ingest"];

/// How this program is asked to serve a database until its standard input ends.
const SERVE: &str = "--serve";

const ALL: &str = "SELECT * FROM t";
const POINT: &str = "SELECT name, x FROM t WHERE k = $1";
/// The same of a table that keeps rows whole, for those who read them one by one.
const WHOLE_ROW: &str = "SELECT name, x FROM r WHERE k = $1";

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip_while(|argument| argument != SERVE);
    if let Some(path) = arguments.nth(1) {
        return served::serve(Path::new(&path));
    }
    let seconds = std::env::var("SHEAF_FLIGHT_SECONDS").ok().map(|text| text.parse());
    let time = Duration::from_secs(seconds.transpose()?.unwrap_or(SECONDS));
    let parts = std::env::var("SHEAF_FLIGHT_PARTS").unwrap_or_else(|_| PARTS.join(","));
    if let Some(unknown) = parts.split(',').find(|part| !PARTS.contains(part)) {
        return Err(format!("there is no part '{unknown}', only {}", PARTS.join(", ")).into());
    }
    let wants = |part: &str| parts.split(',').any(|wanted| wanted == part);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("db");
    let mut report = Report::new("flight");
    let runtime = tokio::runtime::Runtime::new()?;

    let (batches, inside) = rows::in_process(&path, &mut report)?;
    let duckdb = match wants("peers") {
        true => Some(peers::fetch(folder.path(), &path, &mut report)?),
        false => None,
    };
    let served = Served::start(&path)?;
    if wants("fetch") {
        runtime.block_on(fetch::run(&served, inside, duckdb, &mut report))?;
    }
    if wants("points") {
        // One client with nothing else to do needs no second thread to hand its answers to.
        let alone = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        alone.block_on(points::run(&served, &mut report))?;
    }
    if wants("held") {
        runtime.block_on(held::run(&served, &mut report))?;
    }
    if wants("load") {
        runtime.block_on(load::run(&served, time, &mut report))?;
    }
    drop(served);
    if wants("ingest") {
        runtime.block_on(ingest::run(folder.path(), batches, &mut report))?;
    }
    report.finish()
}

/// How long each of `count` runs takes, sorted.
fn sampled(
    count: usize,
    mut run: impl FnMut() -> Result<(), Failure>,
) -> Result<Vec<Duration>, Failure> {
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        run()?;
        samples.push(start.elapsed());
    }
    samples.sort();
    Ok(samples)
}

/// The same of what is awaited.
async fn sampled_async(
    count: usize,
    mut run: impl AsyncFnMut() -> Result<(), Failure>,
) -> Result<Vec<Duration>, Failure> {
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        run().await?;
        samples.push(start.elapsed());
    }
    samples.sort();
    Ok(samples)
}

fn expect_all(count: u64) -> Result<(), Failure> {
    match count {
        ROWS => Ok(()),
        other => Err(format!("{other} of {ROWS} rows came").into()),
    }
}

fn expect_one(count: u64) -> Result<(), Failure> {
    match count {
        1 => Ok(()),
        other => Err(format!("{other} rows have one key").into()),
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn shown(time: Duration) -> String {
    match time.as_micros() {
        short @ ..10_000 => format!("{short} us"),
        _ => format!("{:.1} ms", ms(time)),
    }
}
