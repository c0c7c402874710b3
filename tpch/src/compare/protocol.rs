//! What is said to an engine's process: one JSON object per line, one reply per
//! request, in order. `peers/peers.py` speaks it as well.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::load::Source;

/// A request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Make a database of Parquet files; the reply has the seconds that it took.
    Load {
        /// The tables.
        tables: Vec<Source>,
        /// How to work.
        setup: Setup,
    },
    /// Open what was loaded.
    Open {
        /// The tables, for engines that read the files themselves.
        tables: Vec<Source>,
        /// How to work.
        setup: Setup,
    },
    /// Run a query; the reply has the seconds of each run and the rows of the answer.
    Query {
        /// Its text.
        sql: String,
        /// How often to run it.
        runs: usize,
        /// Where the answer of the last run is written as an Arrow IPC file.
        answer: PathBuf,
    },
    /// End the process.
    Close,
}

/// How an engine works.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Where it keeps its database.
    pub database: PathBuf,
    /// Threads that it may use.
    pub threads: usize,
    /// Memory that it may take, in the spelling of its user.
    pub memory_limit: Option<String>,
}

/// A reply. An error ends the request, not the process.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// What went wrong.
    pub error: Option<String>,
    /// Of a load one figure, of a query one per run.
    pub seconds: Vec<f64>,
    /// Rows of the answer.
    pub rows: u64,
    /// The engine's version, when it opens.
    pub version: String,
    /// What the engine could not do as it was told, when it opens.
    pub notes: Vec<String>,
}
