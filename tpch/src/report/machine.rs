//! Where and when figures were measured, so that they can be judged later.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::temporal_conversions::timestamp_s_to_datetime;
use serde_json::{Value, json};

/// The machine, the time, this revision and this command, as JSON.
pub fn circumstances() -> Value {
    let line = |file: &str, field: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(field))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    json!({
        "date": now(),
        "machine": {
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "cpu": line("/proc/cpuinfo", "model name"),
            "memory": line("/proc/meminfo", "MemTotal"),
            "system": std::env::consts::OS,
        },
        "revision": revision(),
        "command": format!("sheaf-tpch {}", arguments.join(" ")),
    })
}

/// Seconds are enough: `2026-11-21T10:00:00Z`.
fn now() -> Option<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let at = timestamp_s_to_datetime(i64::try_from(since.as_secs()).ok()?)?;
    Some(format!("{}Z", at.format("%Y-%m-%dT%H:%M:%S")))
}

/// The commit that the folder of the command is at, when that is a checkout.
fn revision() -> Option<String> {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    if output.status.success() { Some(text.trim().to_owned()) } else { None }
}
