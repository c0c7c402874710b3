//! Sheaf as one of the compared processes.

use std::io::{BufRead, Write};

use super::protocol::{Reply, Request};
use crate::answer;
use crate::failure::{During, Failure, Result};
use crate::load;
use crate::measure::Engine;

/// Answers requests until the input ends or says so.
pub fn serve(input: impl BufRead, mut output: impl Write) -> Result<()> {
    let mut engine = None;
    for line in input.lines() {
        let request = serde_json::from_str(&line?).during("reading a request")?;
        if matches!(request, Request::Close) {
            break;
        }
        let reply = handle(request, &mut engine).unwrap_or_else(|failure| Reply {
            error: Some(failure.to_string()),
            ..Reply::default()
        });
        serde_json::to_writer(&mut output, &reply)?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
    engine.map_or(Ok(()), Engine::close)
}

fn handle(request: Request, engine: &mut Option<Engine>) -> Result<Reply> {
    match request {
        Request::Load { tables, setup } => {
            let loaded = load::load(&tables, &setup.database, |_| ())?;
            let version = version();
            Ok(Reply {
                seconds: vec![loaded.seconds],
                rows: loaded.rows,
                version,
                ..Reply::default()
            })
        }
        Request::Open { setup, .. } => {
            let opened = Engine::open(&setup.database, setup.threads)?;
            let mut notes = Vec::new();
            if let Some(limit) = &setup.memory_limit
                && let Err(failure) = opened.limit_memory(limit)
            {
                notes.push(failure.to_string());
            }
            *engine = Some(opened);
            Ok(Reply { version: version(), notes, ..Reply::default() })
        }
        Request::Query { sql, runs, answer } => {
            let engine = engine.as_ref().ok_or_else(|| Failure::new("nothing is open"))?;
            let measured = engine.measure(&sql, runs)?;
            answer::write(&answer, &measured.schema, &measured.batches)?;
            let seconds = measured.times.iter().map(|time| time.as_secs_f64()).collect();
            Ok(Reply { seconds, rows: measured.rows() as u64, ..Reply::default() })
        }
        Request::Close => Ok(Reply::default()),
    }
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
