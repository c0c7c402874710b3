//! A comparison as text: times per query, then what each engine needed, then the means.

use std::fmt::Write;

use super::bytes;
use crate::compare::{Comparison, EngineOutcome, QueryOutcome, State, geomean, ratios};

/// The whole report. Its last line is the mean for the first peer.
pub fn text(comparison: &Comparison) -> String {
    let Some((sheaf, peers)) = comparison.sides() else { return String::new() };
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = queries(&mut out, sheaf, peers);
    let _ = problems(&mut out, comparison);
    let _ = engines(&mut out, comparison);
    let _ = means(&mut out, sheaf, peers);
    out
}

fn queries(out: &mut String, sheaf: &EngineOutcome, peers: &[EngineOutcome]) -> std::fmt::Result {
    write!(out, "\n{:<5}{:>8} {:>10} {:>10}", "query", "rows", "sheaf cold", "hot s")?;
    for peer in peers {
        write!(
            out,
            " | {:>22} {:>10} {:>7}",
            format!("{} cold", peer.engine.name()),
            "hot s",
            "ratio"
        )?;
    }
    writeln!(out)?;
    let ratios: Vec<_> = peers.iter().map(|peer| ratios(sheaf, peer)).collect();
    for (at, query) in sheaf.queries.iter().enumerate() {
        write!(out, "Q{:<4}{:>8} {}", query.number, query.rows, times(query, 10))?;
        for (peer, ratios) in peers.iter().zip(&ratios) {
            let ratio = ratios[at].map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            write!(out, " | {} {ratio:>7}", times(&peer.queries[at], 22))?;
        }
        writeln!(out)?;
    }
    write!(out, "{:<13} {:>10} {:>10.4}", "right, hot", "", sheaf.hot_total())?;
    for peer in peers {
        write!(out, " | {:>22} {:>10.4} {:>7}", "", peer.hot_total(), "")?;
    }
    writeln!(out)
}

fn times(query: &QueryOutcome, width: usize) -> String {
    let seconds = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time:.4}"));
    match query.state {
        State::Right { .. } => {
            format!("{:>width$} {:>10}", seconds(query.cold()), seconds(query.hot()))
        }
        State::Wrong(_) => format!("{:>width$} {:>10}", "", "wrong"),
        State::Failed(_) => format!("{:>width$} {:>10}", "", "failed"),
    }
}

fn problems(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(out)?;
    for engine in &comparison.engines {
        let name = engine.engine.name();
        for query in &engine.queries {
            match &query.state {
                State::Right { tied: 0 } => {}
                State::Right { tied } => {
                    writeln!(out, "{name} Q{}: {tied} rows tie at the limit", query.number)?;
                }
                State::Wrong(what) => {
                    writeln!(out, "{name} Q{} is wrong: {}", query.number, short(what))?;
                }
                State::Failed(why) => {
                    writeln!(out, "{name} Q{} failed: {}", query.number, short(why))?;
                }
            }
        }
        for note in &engine.notes {
            writeln!(out, "{name}: {note}")?;
        }
    }
    Ok(())
}

/// The start of a long message: all of it is in the JSON.
fn short(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 240 { line.chars().take(240).chain(['…']).collect() } else { line }
}

fn engines(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(
        out,
        "\n{:<20} {:>12} {:>12} {:>10} {:>12} {:>12}",
        "engine", "version", "peak memory", "load s", "peak, load", "on disk"
    )?;
    for engine in &comparison.engines {
        let load = &engine.load;
        let loads = engine.engine.loads();
        let seconds = if loads { format!("{:.2}", load.seconds) } else { "-".into() };
        let peak = if loads { bytes(load.peak_bytes) } else { "-".into() };
        writeln!(
            out,
            "{:<20} {:>12} {:>12} {:>10} {:>12} {:>12}",
            engine.engine.name(),
            engine.version,
            bytes(engine.peak_bytes),
            seconds,
            peak,
            bytes(load.bytes)
        )?;
    }
    writeln!(out)
}

fn means(out: &mut String, sheaf: &EngineOutcome, peers: &[EngineOutcome]) -> std::fmt::Result {
    writeln!(out, "peer's time / Sheaf's time, hot, where both are right: above 1 Sheaf is ahead")?;
    for peer in peers {
        let ratios = ratios(sheaf, peer);
        let (both, all) = (ratios.iter().flatten().count(), ratios.len());
        let least = ratios.iter().flatten().copied().min_by(f64::total_cmp);
        let name = peer.engine.name();
        match (geomean(&ratios), least) {
            (Some(mean), Some(least)) => writeln!(
                out,
                "geomean {name} {mean:.2} ({both} of {all} queries, worst {least:.2})"
            )?,
            _ => writeln!(out, "geomean {name} - (no query that both answer right)")?,
        }
    }
    let first = peers.first().and_then(|peer| geomean(&ratios(sheaf, peer)));
    writeln!(out, "geomean {}", first.map_or("-".to_owned(), |mean| format!("{mean:.2}")))
}
