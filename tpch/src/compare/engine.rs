//! An engine of a comparison: how its process is started, its database, its answers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Plan;
use super::process::Process;
use super::protocol::{Reply, Request, Setup};
use super::venv;
use crate::args::Peer;
use crate::failure::{Failure, Result};
use crate::folders;

/// No load takes longer.
const LOAD_PATIENCE: Duration = Duration::from_secs(4 * 3600);
const OPEN_PATIENCE: Duration = Duration::from_secs(120);

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// This crate's binary, started again.
    Sheaf,
    /// One of those beside it.
    Peer(Peer),
    /// DuckDB over the Parquet files: what the right answers are taken from.
    Reference,
}

/// What loading took, kept beside the database for as long as that is used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoadFigures {
    /// How long it took.
    pub seconds: f64,
    /// The most memory of the process that loaded.
    pub peak_bytes: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// The engine's version.
    pub version: String,
}

impl Engine {
    /// Its name in commands, paths and figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sheaf => "sheaf",
            Self::Peer(peer) => peer.name(),
            Self::Reference => "duckdb-parquet",
        }
    }

    /// Whether it has a database of its own, or reads the Parquet files.
    pub fn loads(self) -> bool {
        !matches!(self, Self::Reference | Self::Peer(Peer::Polars | Peer::DatafusionParquet))
    }

    /// Starts a process of it.
    fn start(self, plan: &Plan) -> Result<Process> {
        let mut command = match self {
            Self::Sheaf => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("engine");
                command
            }
            Self::Peer(_) | Self::Reference => venv::peer(self.name())?,
        };
        // Those that have no setting for it size their pools by these.
        let threads = plan.threads.to_string();
        for name in ["TOKIO_WORKER_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS"] {
            command.env(name, &threads);
        }
        let logs = folders::root()?.join("logs");
        fs::create_dir_all(&logs)?;
        Process::start(&mut command, File::create(logs.join(format!("{}.log", self.name())))?)
    }

    /// Loads the database unless it is there, and says what that took.
    pub fn load(self, plan: &Plan) -> Result<LoadFigures> {
        if !self.loads() {
            return Ok(LoadFigures {
                bytes: folders::bytes(&plan.data)?,
                ..LoadFigures::default()
            });
        }
        let database = self.database(plan)?;
        let figures_file = PathBuf::from(format!("{}.json", database.display()));
        if !plan.reload
            && database.exists()
            && let Ok(text) = fs::read_to_string(&figures_file)
        {
            return Ok(serde_json::from_str(&text)?);
        }
        remove(&figures_file)?;
        remove(&database)?;
        if let Some(parent) = database.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut process = self.start(plan)?;
        let request = Request::Load { tables: plan.sources.clone(), setup: self.setup(plan)? };
        let reply = accepted(process.ask(&request, LOAD_PATIENCE)?)?;
        let peak_bytes = process.peak_bytes();
        process.close(OPEN_PATIENCE)?;
        let figures = LoadFigures {
            seconds: reply.seconds.first().copied().unwrap_or(0.0),
            peak_bytes,
            bytes: folders::bytes(&database)?,
            version: reply.version,
        };
        fs::write(&figures_file, serde_json::to_string(&figures)?)?;
        Ok(figures)
    }

    /// Starts a process that has the database open. The reply says what it is.
    pub fn open(self, plan: &Plan) -> Result<(Process, Reply)> {
        let mut process = self.start(plan)?;
        let request = Request::Open { tables: plan.sources.clone(), setup: self.setup(plan)? };
        let reply = accepted(process.ask(&request, OPEN_PATIENCE)?)?;
        Ok((process, reply))
    }

    fn database(self, plan: &Plan) -> Result<PathBuf> {
        folders::database(self.name(), plan.benchmark, plan.sf, plan.keys)
    }

    fn setup(self, plan: &Plan) -> Result<Setup> {
        Ok(Setup {
            database: self.database(plan)?,
            threads: plan.threads,
            memory_limit: plan.memory_limit.clone(),
        })
    }
}

fn accepted(reply: Reply) -> Result<Reply> {
    match reply.error {
        Some(error) => Err(Failure::new(error)),
        None => Ok(reply),
    }
}

fn remove(path: &Path) -> Result<()> {
    match path {
        path if path.is_dir() => fs::remove_dir_all(path)?,
        path if path.exists() => fs::remove_file(path)?,
        _ => {}
    }
    Ok(())
}
