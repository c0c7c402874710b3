//! What the benchmarks share: real data at a chosen size, processes, timing, reports.
//!
//! The allocator is that of the `sheaf` binary for every engine of a benchmark: the
//! crate `sheaf_tpch` sets it, and must be used for that.

mod process;
mod report;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::FileReader;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use sheaf_tpch as _;
use sheafdb::Session;
use sheafdb::core::Store;
use sheafdb::core::catalog::TableDef;

pub use process::{Outcome, Task};
pub use report::Report;

/// An error that ends a benchmark.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The flights of 2013 (336,776 rows), `times` times over, in batches of about 64 Ki
/// rows. Each copy has a year of its own, so that keys stay unique.
pub fn flights(times: usize) -> Result<Vec<RecordBatch>, Failure> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/data/nycflights13/flights.parquet");
    let file = std::fs::File::open(path)?;
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(1 << 16).build()?;
    let once = reader.collect::<Result<Vec<RecordBatch>, _>>()?;
    let mut all = Vec::with_capacity(once.len() * times);
    for copy in 0..times as i32 {
        for batch in &once {
            let years: ArrayRef = Arc::new(Int32Array::from(vec![2013 + copy; batch.num_rows()]));
            let at = batch.schema().index_of("year")?;
            let mut columns = batch.columns().to_vec();
            columns[at] = cast(&years, columns[at].data_type())?;
            all.push(RecordBatch::try_new(batch.schema(), columns)?);
        }
    }
    Ok(all)
}

/// The rows of an Arrow file, with the types of `schema`.
pub fn read_arrow(file: &Path, schema: &SchemaRef) -> Result<RecordBatch, Failure> {
    let reader = FileReader::try_new(std::fs::File::open(file)?, None)?;
    let found = reader.schema();
    let rows = concat_batches(&found, &reader.collect::<Result<Vec<_>, _>>()?)?;
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(|(array, field)| cast(array, field.data_type()));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)?)
}

/// The definition of a table.
pub fn table_named(store: &Store, name: &str) -> Result<Arc<TableDef>, Failure> {
    let snapshot = store.snapshot()?;
    let found = snapshot.catalog().tables.values().find(|table| table.name == name);
    Ok(Arc::clone(found.ok_or("the table is missing")?))
}

/// The first row of a query's answer, as text.
pub fn answer(session: &Session, sql: &str) -> Result<Vec<String>, Failure> {
    let batches = session.block_on(session.query_blocking(sql, vec![])?.collect())??;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0).ok_or("no answer")?;
    let options = FormatOptions::default();
    let text = |column| Ok(ArrayFormatter::try_new(column, &options)?.value(0).to_string());
    batch.columns().iter().map(|column| text(column.as_ref())).collect()
}

/// The memory of a process, by its number or `self`, without what is mapped from files.
pub fn anonymous_bytes(process: impl std::fmt::Display) -> Result<usize, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|rest| rest.trim().split(' ').next()?.parse::<usize>().ok());
    Ok(kib.ok_or("the system does not tell how much memory is anonymous")? << 10)
}

/// Runs `f` and returns its result with the time it took.
pub fn timed<T>(f: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Duration), Failure> {
    let start = Instant::now();
    let result = f()?;
    Ok((result, start.elapsed()))
}

/// The value that `percent` of the sorted `samples` do not exceed.
pub fn percentile(samples: &[Duration], percent: f64) -> Duration {
    let at = ((samples.len() as f64 * percent / 100.0) as usize).min(samples.len() - 1);
    samples[at]
}

/// `count` per second as text with separators.
pub fn rate(count: u64, time: Duration) -> String {
    let per_second = (count as f64 / time.as_secs_f64()).round() as u64;
    let digits = per_second.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    format!("{out}/s")
}
