//! Queries on a Sheaf database, timed from the text to the last row.

use std::path::Path;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use sheafdb::{Database, OpenOptions, Session};

use crate::failure::{During, Failure, Result};

/// An open database to be measured.
pub struct Engine {
    database: Database,
    session: Session,
}

/// The answer of a query, and how long each run took.
pub struct Measured {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows of the last run.
    pub batches: Vec<RecordBatch>,
    /// The first run, which reads files for the first time, and the others.
    pub times: Vec<Duration>,
}

impl Measured {
    /// Rows of the answer.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

impl Engine {
    /// Opens a database that must be there, for queries on `threads` threads.
    pub fn open(path: &Path, threads: usize) -> Result<Self> {
        let database = Database::open_with(path, OpenOptions::new().create(false))
            .during(format!("opening {}", path.display()))?;
        let session = database.session();
        let partitions = format!("SET datafusion.execution.target_partitions = {threads}");
        session.execute_blocking(&partitions)?;
        Ok(Self { database, session })
    }

    /// Bounds the memory of queries.
    pub fn limit_memory(&self, limit: &str) -> Result<()> {
        let sql = format!("SET memory_limit = '{}'", limit.replace('\'', "''"));
        self.session.execute_blocking(&sql).during("limiting memory")?;
        Ok(())
    }

    /// Runs a query `runs` times.
    pub fn measure(&self, sql: &str, runs: usize) -> Result<Measured> {
        let mut measured =
            Measured { schema: Schema::empty().into(), batches: Vec::new(), times: Vec::new() };
        for _ in 0..runs {
            let start = Instant::now();
            let output = self.session.query_blocking(sql, Vec::new())?;
            let schema = output.schema().ok_or_else(|| Failure::new("the query has no rows"))?;
            measured.schema = schema.clone();
            measured.batches = self.session.block_on(output.collect())??;
            measured.times.push(start.elapsed());
        }
        Ok(measured)
    }

    /// Closes the database.
    pub fn close(self) -> Result<()> {
        drop(self.session);
        Ok(self.database.close()?)
    }
}
