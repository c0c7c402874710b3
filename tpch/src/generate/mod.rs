//! Parquet files of a benchmark: planned as parts, made on all cores, each under a
//! temporary name until it is whole. A file that is there is therefore complete.

mod tpcds;
mod tpch;
mod write;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use crate::benchmark::Benchmark;
use crate::failure::{Failure, Result};
use crate::tables::Table;

/// Rows of a part, about: enough files to share among cores, few enough to list.
const PART_ROWS: u64 = 2_000_000;

/// Batches of a part, as they are made.
type Batches = Box<dyn Iterator<Item = std::result::Result<RecordBatch, ArrowError>>>;

/// One file to be made.
struct Part {
    table: Table,
    /// From 1.
    number: u64,
    of: u64,
    path: PathBuf,
}

/// What a call of [`generate`] made.
#[derive(Debug, Default)]
pub struct Generated {
    /// Files it wrote; those that were there already are not counted.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Writes what is missing of the benchmark's files at scale factor `sf` to `folder`.
pub fn generate(benchmark: Benchmark, sf: f64, folder: &Path, threads: usize) -> Result<Generated> {
    let start = Instant::now();
    fs::create_dir_all(folder)?;
    let missing: Vec<Part> = benchmark
        .tables()
        .iter()
        .flat_map(|table| parts(benchmark, table, sf, folder))
        .filter(|part| !part.path.exists())
        .collect();
    let files = missing.len();
    // The first failure empties the queue, so that the other threads stop.
    let queue = Mutex::new(missing.into_iter());
    let rows = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1).min(files.max(1)))
            .map(|_| scope.spawn(|| work(benchmark, sf, &queue)))
            .collect();
        workers
            .into_iter()
            .map(|worker| match worker.join() {
                Ok(rows) => rows,
                Err(_) => Err(Failure::new("a generating thread panicked")),
            })
            .sum::<Result<u64>>()
    })?;
    Ok(Generated { files, rows, seconds: start.elapsed().as_secs_f64() })
}

/// The files of a table, in the order of their rows. Fails when one is missing.
pub fn files(benchmark: Benchmark, table: &Table, sf: f64, folder: &Path) -> Result<Vec<PathBuf>> {
    let paths: Vec<PathBuf> =
        parts(benchmark, table, sf, folder).into_iter().map(|part| part.path).collect();
    match paths.iter().find(|path| !path.exists()) {
        Some(path) => Err(Failure::new(format!(
            "{} is not there: run sheaf-tpch gen --benchmark {} --sf {sf} first",
            path.display(),
            benchmark.name()
        ))),
        None => Ok(paths),
    }
}

fn parts(benchmark: Benchmark, table: &Table, sf: f64, folder: &Path) -> Vec<Part> {
    let rows = match benchmark {
        Benchmark::Tpch => tpch::rows(table.name, sf),
        Benchmark::Tpcds => tpcds::rows(table.name, sf),
    };
    let of = rows.div_ceil(PART_ROWS).max(1);
    (1..=of)
        .map(|number| {
            let name = match of {
                1 => format!("{}.parquet", table.name),
                _ => format!("{}.{number:03}-of-{of:03}.parquet", table.name),
            };
            Part { table: table.clone(), number, of, path: folder.join(name) }
        })
        .collect()
}

fn work(benchmark: Benchmark, sf: f64, queue: &Mutex<impl Iterator<Item = Part>>) -> Result<u64> {
    let next = || match queue.lock() {
        Ok(mut queue) => queue.next(),
        Err(_) => None,
    };
    let mut rows = 0;
    while let Some(part) = next() {
        let made = batches(benchmark, sf, &part)
            .and_then(|batches| write::parquet(&part.path, &part.table.schema, batches));
        match made {
            Ok(written) => rows += written,
            Err(failure) => {
                while next().is_some() {}
                return Err(failure);
            }
        }
    }
    Ok(rows)
}

fn batches(benchmark: Benchmark, sf: f64, part: &Part) -> Result<Batches> {
    match benchmark {
        Benchmark::Tpch => tpch::batches(part.table.name, sf, part.number, part.of),
        Benchmark::Tpcds => tpcds::batches(part.table.name, sf, part.number, part.of),
    }
}
