//! Runs and prints the tour's steps: what is run, the result, the time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use nu_ansi_term::Style;
use sheafdb::core::catalog::TableDef;
use sheafdb::core::{BulkLoad, Store};
use sheafdb::{Database, Session};

use super::data;
use crate::message::Failure;
use crate::output::{Format, View, grouped};
use crate::terminal;

/// Rows of a result that the tour shows.
const ROWS_SHOWN: usize = 12;
/// Width of a result where there is no terminal to ask.
const WIDTH: usize = 100;
/// Rows handed to a bulk load at a time.
const BULK_ROWS: usize = 1 << 16;

/// The tour's database, and how it is shown.
pub struct Guide {
    /// The database.
    pub database: Database,
    session: Session,
    view: View,
}

impl Guide {
    /// Opens the database.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let database = Database::open(path)?;
        let session = database.session();
        let mut view = terminal::view(ROWS_SHOWN);
        view.width.get_or_insert(WIDTH);
        Ok(Self { database, session, view })
    }

    /// Starts a chapter.
    pub fn chapter(&self, title: &str, text: &str) {
        let title = self.paint(Style::new().bold(), title);
        println!("\n━━ {title} ━━\n{text}");
    }

    /// Prints code that is about to run.
    pub fn code(&self, code: &str) {
        println!();
        for line in code.lines() {
            println!("  {}", self.paint(Style::new().bold(), line));
        }
    }

    /// Prints a measurement.
    pub fn measured(&self, what: &str, figures: &str) {
        println!("  → {what:<52} {figures}");
    }

    /// `rows` in `elapsed`, as a rate.
    pub fn rate(&self, what: &str, rows: u64, elapsed: Duration) {
        self.measured(
            what,
            &format!("{:.3} s · {} rows/s", elapsed.as_secs_f64(), per_second(rows, elapsed)),
        );
    }

    /// Shows a query and its result. `reads` is how many rows it looks at, for
    /// a rate.
    pub fn query(&self, sql: &str, reads: Option<u64>) -> Result<Vec<RecordBatch>, Failure> {
        self.code(sql);
        let started = Instant::now();
        let output = self.session.query_blocking(sql, Vec::new())?;
        let schema = output
            .schema()
            .cloned()
            .ok_or_else(|| Failure::Other(format!("the tour expected rows from {sql}")))?;
        let batches = self.session.block_on(output.collect())??;
        let elapsed = started.elapsed();
        let mut out = std::io::stdout();
        let mut sink = Format::Box.begin(&schema, &self.view, &mut out)?;
        for batch in &batches {
            sink.push(batch)?;
        }
        sink.finish(elapsed)?;
        if let Some(reads) = reads {
            self.rate(&format!("over {} rows", grouped(reads)), reads, elapsed);
        }
        Ok(batches)
    }

    /// Shows and runs statements without results; returns how long they took.
    pub fn execute(&self, sql: &str) -> Result<Duration, Failure> {
        self.code(sql);
        self.execute_silently(sql)
    }

    /// Runs statements without results.
    pub fn execute_silently(&self, sql: &str) -> Result<Duration, Failure> {
        let started = Instant::now();
        for output in self.session.execute_blocking(sql)? {
            self.session.block_on(output.collect())??;
        }
        Ok(started.elapsed())
    }

    /// The only number of a query's only row.
    pub fn number(&self, sql: &str) -> Result<i64, Failure> {
        use arrow::array::AsArray;
        use arrow::datatypes::Int64Type;
        let output = self.session.query_blocking(sql, Vec::new())?;
        let batches = self.session.block_on(output.collect())??;
        let first = batches.iter().find(|b| b.num_rows() == 1);
        first
            .and_then(|b| b.column(0).as_primitive_opt::<Int64Type>())
            .map(|column| column.value(0))
            .ok_or_else(|| Failure::Other(format!("the tour expected one number from {sql}")))
    }

    /// The store below.
    pub fn store(&self) -> &Store {
        self.database.store()
    }

    /// A table's definition.
    pub fn table(&self, name: &str) -> Result<Arc<TableDef>, Failure> {
        let snapshot = self.store().snapshot()?;
        let table = snapshot.catalog().tables.values().find(|t| t.name == name).cloned();
        table.ok_or_else(|| Failure::Other(format!("the tour's table {name} is not there")))
    }

    /// Loads rows into segments, in one commit.
    pub fn load(&self, table: &str, rows: &RecordBatch) -> Result<(), Failure> {
        let table = self.table(table)?;
        let rows = data::fit(rows, table.arrow_schema())?;
        let mut load: BulkLoad = self.store().bulk_load(table.id)?;
        for start in (0..rows.num_rows()).step_by(BULK_ROWS) {
            load.push(rows.slice(start, BULK_ROWS.min(rows.num_rows() - start)))?;
        }
        load.finish()?;
        Ok(())
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.view.color { style.paint(text).to_string() } else { text.to_owned() }
    }
}

/// A rate as a count.
pub fn per_second(n: u64, elapsed: Duration) -> String {
    grouped((n as f64 / elapsed.as_secs_f64().max(1e-9)) as u64)
}
