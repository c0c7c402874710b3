//! Figures as JSON, with what is needed to judge and to repeat them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::machine::circumstances;
use crate::args::{Data, Work};
use crate::compare::{Comparison, EngineOutcome, Plan, QueryOutcome, State, geomean, ratios};
use crate::failure::{During, Result};

/// Writes a comparison.
pub fn write(path: &Path, plan: &Plan, comparison: &Comparison) -> Result<()> {
    let Some((sheaf, peers)) = comparison.sides() else { return Ok(()) };
    let means = peers.iter().map(|peer| {
        let ratios = ratios(sheaf, peer);
        json!({ "peer": peer.engine.name(), "geomean": geomean(&ratios), "ratios": ratios })
    });
    let document = json!({
        "circumstances": circumstances(),
        "benchmark": plan.benchmark.name(),
        "scale_factor": plan.sf,
        "threads": plan.threads,
        "keys": plan.keys,
        "memory_limit": plan.memory_limit,
        "hot_runs": plan.runs,
        "passed": comparison.passed(),
        "geomeans": means.collect::<Vec<_>>(),
        "engines": comparison.engines.iter().map(engine).collect::<Vec<_>>(),
    });
    save(path, &document)
}

/// Writes what `run` measured.
pub fn write_run(path: &Path, data: &Data, work: &Work, outcome: &EngineOutcome) -> Result<()> {
    let document = json!({
        "circumstances": circumstances(),
        "benchmark": data.benchmark.name(),
        "scale_factor": data.sf,
        "threads": work.threads(),
        "keys": work.keys,
        "memory_limit": work.memory_limit,
        "hot_runs": work.runs,
        "queries": outcome.queries.iter().map(query).collect::<Vec<_>>(),
    });
    save(path, &document)
}

fn save(path: &Path, document: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    fs::write(path, text).during(format!("writing {}", path.display()))
}

fn engine(outcome: &EngineOutcome) -> Value {
    json!({
        "engine": outcome.engine.name(),
        "version": outcome.version,
        "notes": outcome.notes,
        "load": outcome.load,
        "peak_bytes": outcome.peak_bytes,
        "queries": outcome.queries.iter().map(query).collect::<Vec<_>>(),
    })
}

fn query(outcome: &QueryOutcome) -> Value {
    let (state, detail) = match &outcome.state {
        State::Right { tied } => ("right", json!({ "tied_rows": tied })),
        State::Wrong(what) => ("wrong", json!(what)),
        State::Failed(why) => ("failed", json!(why)),
    };
    json!({
        "query": outcome.number,
        "state": state,
        "detail": detail,
        "rows": outcome.rows,
        "cold_seconds": outcome.cold(),
        "hot_seconds": outcome.hot(),
        "seconds": outcome.seconds,
    })
}
