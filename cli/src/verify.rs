//! `sheaf verify`: reads every file of a database and says what was found.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use sheafdb::core::inspect::VerifyReport;
use sheafdb::{Database, OpenOptions};

use crate::message::Failure;
use crate::output::grouped;

/// Verifies the database in `path`; problems are an error.
pub fn run(path: &Path) -> Result<(), Failure> {
    let started = Instant::now();
    let database = Database::open_with(path, OpenOptions::new().create(false).read_only(true))?;
    let report = database.store().verify()?;
    write_report(&report, started.elapsed(), &mut std::io::stdout())?;
    database.close()?;
    match report.problems.len() {
        0 => Ok(()),
        n => Err(Failure::Other(format!(
            "{n} problem{} found: restore the database from a copy",
            if n == 1 { "" } else { "s" }
        ))),
    }
}

/// What was looked at, then each problem on a line.
pub fn write_report(
    report: &VerifyReport,
    elapsed: Duration,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let found = if report.problems.is_empty() { "no problems" } else { "PROBLEMS" };
    writeln!(
        out,
        "{} files · {} bytes · {} rows read and checked in {:.3} s: {found}",
        grouped(report.files),
        grouped(report.bytes),
        grouped(report.rows),
        elapsed.as_secs_f64()
    )?;
    for problem in &report.problems {
        writeln!(out, "  {problem}")?;
    }
    Ok(())
}
