//! Work that is measured in a process of its own: nothing is warm from what was
//! measured before, and the most memory it had is its own.
//!
//! The process gets a [`Task`] as JSON in its last argument and prints an [`Outcome`]
//! as JSON in its last line.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::Failure;

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// The engine.
    pub engine: String,
    /// What it does: the benchmark knows.
    pub action: String,
    /// The format of `file`.
    pub format: String,
    /// Rows of a commit, and how many commits.
    pub commits: (usize, usize),
    /// The file that is read or written.
    pub file: String,
    /// The folder of the engine's database.
    pub database: String,
    /// Threads that the engine may use.
    pub threads: usize,
    /// The statement that creates the table.
    pub create: String,
    /// A query whose answer tells that the rows are right.
    pub check: String,
}

/// What it did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// How long the measured part took.
    pub seconds: f64,
    /// The answer of the check; without one, nothing was to be checked.
    pub answer: Vec<String>,
    /// The most resident memory, in bytes.
    pub peak_bytes: u64,
}

impl Task {
    /// The task of this process; `None` in the one that measures.
    pub fn of_this_process() -> Result<Option<Self>, Failure> {
        match std::env::args().skip_while(|argument| argument != "--task").nth(1) {
            Some(json) => Ok(Some(serde_json::from_str(&json)?)),
            None => Ok(None),
        }
    }

    /// Runs the task in a process of `command`, and waits for it.
    pub fn run(&self, mut command: Command) -> Result<Outcome, Failure> {
        let output = command
            .args(["--task", &serde_json::to_string(self)?])
            .stderr(std::process::Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("{} {}: {}", self.engine, self.action, output.status).into());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().ok_or("the process printed nothing")?;
        Ok(serde_json::from_str(last)?)
    }

    /// Runs the task on a database that is not there yet: in a process of the peers' program
    /// with `python`, else of this one.
    pub fn run_anew(&self, python: Option<&Path>) -> Result<Outcome, Failure> {
        if Path::new(&self.database).exists() {
            std::fs::remove_dir_all(&self.database)?;
        }
        let Some(python) = python else { return self.run_here() };
        let mut command = Command::new(python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/peers.py"));
        self.run(command)
    }

    /// Runs the task in a process of this program.
    pub fn run_here(&self) -> Result<Outcome, Failure> {
        self.run(Command::new(std::env::current_exe()?))
    }
}

impl Outcome {
    /// Of this process, which ends now.
    pub fn print(seconds: f64, answer: Vec<String>) -> Result<(), Failure> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        let outcome = Self { seconds, answer, peak_bytes: kib.unwrap_or(0) * 1024 };
        println!("{}", serde_json::to_string(&outcome)?);
        Ok(())
    }
}
