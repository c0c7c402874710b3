//! What a benchmark found: a table for people, dated JSON for the repository.
//!
//! The JSON goes where the environment variable `SHEAF_BENCH_JSON` says; `cargo xtask
//! bench` sets it.

use std::time::SystemTime;

use serde::Serialize;

use crate::Failure;

/// Everything that one run of a benchmark found.
#[derive(Debug, Serialize)]
pub struct Report {
    benchmark: String,
    /// Seconds since the Unix epoch.
    measured_at: u64,
    machine: Machine,
    figures: Vec<Figure>,
}

#[derive(Debug, Serialize)]
struct Machine {
    cores: usize,
    cpu: String,
    memory_mib: u64,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    /// What was measured, as text with its unit.
    ours: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Peer>,
}

#[derive(Debug, Serialize)]
struct Peer {
    name: String,
    value: String,
    /// Above 1 is Sheaf ahead.
    ratio: f64,
}

impl Report {
    /// An empty report of the benchmark with this name.
    pub fn new(benchmark: &str) -> Self {
        let measured_at = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let machine = Machine::this();
        println!("{benchmark} · {} cores · {}", machine.cores, machine.cpu);
        Self { benchmark: benchmark.to_owned(), measured_at, machine, figures: Vec::new() }
    }

    /// A figure without a peer.
    pub fn figure(&mut self, name: &str, ours: impl std::fmt::Display) {
        println!("{name:<58} {ours:>22}");
        self.figures.push(Figure { name: name.to_owned(), ours: ours.to_string(), peer: None });
    }

    /// A time beside a peer's time for the same work.
    pub fn times(&mut self, name: &str, ours_ms: f64, peer: &str, peer_ms: f64) {
        let ratio = peer_ms / ours_ms;
        let shown = format!("{ours_ms:.1} ms · {peer} {peer_ms:.1} ms · {ratio:.2}x");
        println!("{name:<44} {shown:>36}");
        self.figures.push(Figure {
            name: name.to_owned(),
            ours: format!("{ours_ms:.1} ms"),
            peer: Some(Peer { name: peer.to_owned(), value: format!("{peer_ms:.1} ms"), ratio }),
        });
    }

    /// Writes the JSON, when somebody wants it.
    pub fn finish(self) -> Result<(), Failure> {
        if self.figures.iter().any(|figure| figure.peer.is_some()) {
            println!("peer's time / Sheaf's time; above 1 Sheaf is faster");
        }
        if let Some(path) = std::env::var_os("SHEAF_BENCH_JSON") {
            std::fs::write(path, serde_json::to_string_pretty(&self)? + "\n")?;
        }
        Ok(())
    }
}

impl Machine {
    fn this() -> Self {
        let line = |file: &str, key: &str| -> Option<String> {
            let text = std::fs::read_to_string(file).ok()?;
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = line("/proc/meminfo", "MemTotal");
        let kib = memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: line("/proc/cpuinfo", "model name").unwrap_or_default(),
            memory_mib: kib.unwrap_or(0) / 1024,
        }
    }
}
