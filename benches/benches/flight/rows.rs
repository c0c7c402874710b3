//! The tables, and what reading them takes inside of the process.

use std::path::Path;
use std::time::Duration;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use sheaf_benches::{Failure, Report, percentile};
use sheafdb::core::compact_views;
use sheafdb::{Database, Output, ScalarValue};

use crate::{ALL, POINT, POINTS, ROWS, RUNS, WHOLE_ROW, expect_all, expect_one, sampled, shown};

const COLUMNS: &str = "value AS k, CAST(value * 7919 % 1000003 AS INTEGER) AS a, \
    CAST(value % 1000 AS INTEGER) AS b, CAST(value AS DOUBLE) * 0.25 AS x, \
    'the name of row ' || value % 100000 AS name, value % 3 = 0 AS is_third, \
    CAST(value % 10000 AS DECIMAL(12, 2)) AS price, \
    to_timestamp_micros(value * 1000000) AS at";

/// The rows, made, and read as often as is measured; and the median time.
pub fn in_process(
    path: &Path,
    report: &mut Report,
) -> Result<(Vec<RecordBatch>, Duration), Failure> {
    let database = Database::open(path)?;
    let session = database.session();
    session.execute_blocking(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, a INTEGER, b INTEGER, x DOUBLE, name TEXT, \
         is_third BOOLEAN, price DECIMAL(12, 2), at TIMESTAMP)",
    )?;
    session.execute_blocking(&format!(
        "INSERT INTO t SELECT {COLUMNS} FROM generate_series(1, {ROWS})"
    ))?;
    session.execute_blocking(
        "CREATE TABLE r (k BIGINT PRIMARY KEY, b INTEGER, x DOUBLE, name TEXT) \
         WITH (row_store = true); \
         INSERT INTO r SELECT k, b, x, name FROM t",
    )?;
    database.store().flush(None)?;
    let times = sampled(RUNS, || {
        let Output::Rows { mut stream, .. } = session.query_blocking(ALL, vec![])? else {
            return Err("a query gives rows".into());
        };
        let count = async {
            let mut count = 0;
            while let Some(batch) = stream.try_next().await? {
                count += batch.num_rows() as u64;
            }
            Ok::<_, sheafdb::Error>(count)
        };
        expect_all(session.block_on(count)??)
    })?;
    let time = percentile(&times, 50.0);
    report.figure(&format!("{ROWS} rows of 8 columns, in process"), shown(time));
    for (name, sql) in [("", POINT), (", row_store", WHOLE_ROW)] {
        let prepared = session.prepare(sql)?;
        let mut keys = Keys::new(1);
        let samples = sampled(POINTS, || {
            let key = vec![ScalarValue::Int64(Some(keys.next()))];
            let rows = session.block_on(prepared.run_blocking(key)?.collect())??;
            expect_one(rows.iter().map(|batch| batch.num_rows() as u64).sum())
        })?;
        let name = format!("prepared point SELECT{name}, in process, p50");
        report.figure(&name, shown(percentile(&samples, 50.0)));
    }
    let batches = session.block_on(session.query_blocking(ALL, vec![])?.collect())??;
    // Views of texts are into buffers that many batches share; a client has its own.
    let batches = batches.iter().map(compact_views).collect::<Result<_, _>>()?;
    drop(session);
    database.close()?;
    Ok((batches, time))
}

/// Keys of rows, one as likely as the other.
pub struct Keys(u64);

impl Keys {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn next(&mut self) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % ROWS) as i64 + 1
    }
}
