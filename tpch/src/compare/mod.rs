//! Sheaf and its peers, each in a process of its own, asked the same questions.
//!
//! ```text
//!   engine     which processes there are, how they are loaded and opened
//!   process    one of them: requests, replies, time limit, memory
//!   protocol   what is said to it          serve   Sheaf's side of it
//!   venv       Python with the peers       peers/  their side of it
//!   reference  the right answers: DuckDB over the same Parquet files
//!   outcome    what came of it
//! ```
//!
//! A query that fails or answers wrong on Sheaf, or answers wrong on a peer, makes the
//! comparison fail. One that a peer cannot run is shown and does not: what SQL a peer
//! speaks is not ours to repair.

mod engine;
mod memory;
mod outcome;
mod process;
mod protocol;
mod reference;
mod serve;
pub mod venv;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

pub use engine::{Engine, LoadFigures};
pub use outcome::{Comparison, EngineOutcome, QueryOutcome, State, geomean, ratios};
pub use serve::serve;

use crate::answer::{Answer, Ordering, Verdict, differ};
use crate::args::Peer;
use crate::benchmark::Benchmark;
use crate::failure::Result;
use crate::folders;
use crate::load::Source;
use crate::queries::Query;
use process::Process;
use protocol::Request;
use reference::References;

/// What every engine does.
#[derive(Debug)]
pub struct Plan {
    /// The benchmark.
    pub benchmark: Benchmark,
    /// Its scale factor.
    pub sf: f64,
    /// The folder of the Parquet files.
    pub data: PathBuf,
    /// The tables with their files.
    pub sources: Vec<Source>,
    /// Whether primary keys are declared.
    pub keys: bool,
    /// Threads of each engine.
    pub threads: usize,
    /// Memory that each engine may take.
    pub memory_limit: Option<String>,
    /// Whether databases that are there are loaded again.
    pub reload: bool,
    /// The queries.
    pub queries: Vec<Query>,
    /// Hot runs of each query, after the cold one.
    pub runs: usize,
    /// How long a query may take, all its runs together.
    pub patience: Duration,
}

/// Runs the plan on Sheaf and then on each peer, telling what it is at.
pub fn compare(plan: &Plan, peers: &[Peer], told: &mut dyn FnMut(&str)) -> Result<Comparison> {
    told("right answers: duckdb over the Parquet files");
    let references = reference::answers(plan)?;
    let mut engines = Vec::new();
    let sheaf = [Engine::Sheaf].into_iter();
    for engine in sheaf.chain(peers.iter().map(|peer| Engine::Peer(*peer))) {
        told(&format!("{}: loading", engine.name()));
        let mut outcome = EngineOutcome::new(engine);
        match engine.load(plan) {
            Ok(load) => {
                outcome.load = load;
                told(&format!("{}: {} queries", engine.name(), plan.queries.len()));
                run(engine, plan, &references, &mut outcome)?;
            }
            Err(failure) => outcome.fail_from(&plan.queries, &format!("loading: {failure}")),
        }
        engines.push(outcome);
    }
    Ok(Comparison { engines })
}

/// Asks one engine everything. A process that ends or hangs is replaced by a new one for
/// the next query.
fn run(
    engine: Engine,
    plan: &Plan,
    references: &References,
    outcome: &mut EngineOutcome,
) -> Result<()> {
    let answers = folders::root()?.join("answers").join("last").join(engine.name());
    fs::create_dir_all(&answers)?;
    let mut process: Option<Process> = None;
    for (at, query) in plan.queries.iter().enumerate() {
        let running = match &mut process {
            Some(running) => running,
            None => match engine.open(plan) {
                Ok((opened, reply)) => {
                    outcome.version = reply.version;
                    outcome.notes = reply.notes;
                    process.insert(opened)
                }
                Err(failure) => {
                    outcome.fail_from(&plan.queries[at..], &format!("opening: {failure}"));
                    return Ok(());
                }
            },
        };
        let answer = answers.join(format!("q{:02}.arrow", query.number));
        let request =
            Request::Query { sql: query.sql.clone(), runs: plan.runs + 1, answer: answer.clone() };
        let reply = running.ask(&request, plan.patience);
        outcome.peak_bytes = outcome.peak_bytes.max(running.peak_bytes());
        let mut done = QueryOutcome::new(query.number);
        match reply {
            Ok(reply) => {
                done.state = match reply.error {
                    Some(error) => State::Failed(error),
                    None => judge(query, &Answer::read(&answer)?, references)?,
                };
                done.seconds = reply.seconds;
                done.rows = reply.rows;
            }
            Err(failure) => {
                done.state = State::Failed(failure.to_string());
                process = None;
            }
        }
        outcome.queries.push(done);
    }
    match process {
        Some(process) => process.close(Duration::from_secs(60)),
        None => Ok(()),
    }
}

fn judge(query: &Query, answer: &Answer, references: &References) -> Result<State> {
    let right = references.answer(query.number)?;
    let ordering = Ordering::of(&query.sql, &right.names)?;
    Ok(match differ(&ordering, answer, &right) {
        Verdict::Same { tied } => State::Right { tied },
        Verdict::Different(difference) => State::Wrong(difference),
    })
}
