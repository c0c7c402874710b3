//! The Python package beside DuckDB's, and beside the same statements from Rust.
//!
//! `python/benchmarks/figures.py` measures in a process of its own, and prints a figure a line;
//! the databases that it leaves are then asked the same from here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arrow::datatypes::DataType;
use serde::Deserialize;
use sheaf_benches::{Failure, Report, percentile};
use sheafdb::{Database, ScalarValue};

/// The interpreter that can import the package, as it is given away.
const PYTHON: &str = "SHEAF_PYTHON";

/// What the script found.
#[derive(Deserialize)]
#[serde(untagged)]
enum Found {
    Beside { name: String, ms: f64, duckdb_ms: f64 },
    BesideRust { name: String, ms: f64, call: Call },
    Alone { name: String, text: String },
}

/// A statement that the script ran so many times.
#[derive(Deserialize)]
struct Call {
    database: PathBuf,
    sql: String,
    /// Its parameter, if it has one.
    vector: Option<Vec<f64>>,
    runs: usize,
}

fn main() -> Result<(), Failure> {
    let python = std::env::var(PYTHON).map_err(|_| {
        format!("{PYTHON} is to be a Python that has the package: see `cargo xtask bench`")
    })?;
    let rows = std::env::var("SHEAF_PYTHON_ROWS").unwrap_or_else(|_| "10000000".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/benchmarks/figures.py");
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(python);
    command.arg(script).arg(folder.path()).arg(rows);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the script ended with {}", output.status).into());
    }
    let mut report = Report::new("python");
    for line in String::from_utf8(output.stdout)?.lines() {
        match serde_json::from_str(line)? {
            Found::Alone { name, text } => report.figure(&name, text),
            Found::Beside { name, ms, duckdb_ms } => report.times(&name, ms, "duckdb", duckdb_ms),
            Found::BesideRust { name, ms, call } => report.times(&name, ms, "rust", call.ms()?),
        }
    }
    report.finish()
}

impl Call {
    /// What it takes from here, in the median.
    fn ms(&self) -> Result<f64, Failure> {
        let database = Database::open(&self.database)?;
        let session = database.session();
        let mut times = Vec::with_capacity(self.runs);
        for _ in 0..self.runs {
            let start = Instant::now();
            let vector = self.vector.iter().map(|vector| {
                let values: Vec<_> = vector.iter().map(|&x| ScalarValue::from(x)).collect();
                let of = DataType::Float64;
                ScalarValue::List(ScalarValue::new_list_nullable(&values, &of))
            });
            let rows = session.query_blocking(&self.sql, vector.collect())?;
            let rows = session.block_on(rows.collect())??;
            times.push(start.elapsed());
            drop(rows);
        }
        times.sort();
        database.close()?;
        Ok(percentile(&times, 50.0).div_duration_f64(Duration::from_millis(1)))
    }
}
