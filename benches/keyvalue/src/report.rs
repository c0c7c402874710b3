//! Figures of all engines side by side, printed and kept as JSON.

use serde_json::{Value, json};

use crate::{Failure, Figure};

/// What was measured so far.
pub struct Report {
    engines: Vec<String>,
    figures: Vec<Value>,
}

impl Report {
    /// The first engine is compared with each of the others.
    pub fn new(engines: Vec<String>) -> Self {
        Self { engines, figures: Vec::new() }
    }

    /// Adds what a workload measured, a column per engine.
    pub fn add(&mut self, workload: &str, columns: &[Vec<Figure>]) {
        for (i, ours) in columns[0].iter().enumerate() {
            let name = format!("{workload}: {}", ours.name);
            print!("{name:<52} {:>12.1} {:<10}", ours.value, ours.unit);
            let shown = |figure: &Figure| format!("{:.1} {}", figure.value, figure.unit);
            if columns.len() == 1 {
                self.figures.push(json!({ "name": name, "ours": shown(ours) }));
            }
            for (engine, column) in self.engines.iter().zip(columns).skip(1) {
                let peer = &column[i];
                let ratio = match ours.unit.ends_with("per s") {
                    true => ours.value / peer.value,
                    // Of times and bytes less is better.
                    false => peer.value / ours.value,
                };
                print!("  {engine} {:>12.1} ({ratio:.2}x)", peer.value);
                self.figures.push(json!({
                    "name": name,
                    "ours": shown(ours),
                    "peer": { "name": engine, "value": shown(peer), "ratio": ratio },
                }));
            }
            println!();
        }
    }

    /// Writes the JSON, when somebody wants it.
    pub fn finish(self) -> Result<(), Failure> {
        if self.engines.len() > 1 {
            println!("in parentheses how much better Sheaf is: above 1 it is better");
        }
        if let Some(path) = std::env::var_os("SHEAF_BENCH_JSON") {
            let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
            let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name"));
            let report = json!({
                "benchmark": "keyvalue",
                "machine": {
                    "cores": std::thread::available_parallelism().map_or(1, usize::from),
                    "cpu": cpu.unwrap_or_default().trim_start_matches([' ', '\t', ':']),
                },
                "figures": self.figures,
            });
            std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
        }
        Ok(())
    }
}
