//! Sheaf as a key-value store beside RocksDB and fjall: keys of 16 bytes, values of 100.
//!
//! Each engine runs each workload in a process of its own. `cargo xtask bench keyvalue`.

mod data;
mod engines;
mod report;
mod workloads;

use std::path::Path;
use std::process::Command;

use clap::Parser;
use report::Report;
use serde::{Deserialize, Serialize};
use sheaf_allocator as _;

/// An error that ends the benchmark.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs key-value workloads.
#[derive(Parser)]
struct Arguments {
    /// Workloads to run; all without one.
    #[arg(long, value_delimiter = ',')]
    workload: Vec<String>,
    /// Engines to run; all without one.
    #[arg(long, value_delimiter = ',')]
    engine: Vec<String>,
    /// Millions of keys.
    #[arg(long, default_value_t = 5.0)]
    millions: f64,
    /// Where the databases are made.
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    /// Runs one workload of one engine and prints its figures as JSON.
    #[arg(long, hide = true)]
    child: bool,
}

/// One measured figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: String,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let keys = (arguments.millions * 1e6) as u64;
    let workloads: Vec<String> = match arguments.workload.is_empty() {
        true => workloads::NAMES.iter().map(|name| (*name).to_owned()).collect(),
        false => arguments.workload.clone(),
    };
    let engines: Vec<String> = match arguments.engine.is_empty() {
        true => engines::names().into_iter().map(str::to_owned).collect(),
        false => arguments.engine.clone(),
    };
    if arguments.child {
        let folder = arguments.folder.ok_or("a child needs a folder")?;
        let figures = workloads::run(&workloads[0], &engines[0], &folder, keys)?;
        println!("{}", serde_json::to_string(&figures)?);
        return Ok(());
    }
    let mut report = Report::new(engines.clone());
    for workload in &workloads {
        let mut columns = Vec::new();
        for engine in &engines {
            let parent = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
            let folder = tempfile::tempdir_in(parent)?;
            columns.push(child(workload, engine, folder.path(), arguments.millions)?);
        }
        report.add(workload, &columns);
    }
    report.finish()
}

fn child(
    workload: &str,
    engine: &str,
    folder: &Path,
    millions: f64,
) -> Result<Vec<Figure>, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--child", "--workload", workload, "--engine", engine])
        .args(["--millions", &millions.to_string()])
        .arg("--folder")
        .arg(folder)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{engine} {workload}: {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(serde_json::from_str(text.lines().last().ok_or("no figures")?)?)
}
