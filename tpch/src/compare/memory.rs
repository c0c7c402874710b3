//! The most memory that a process has had, by what Linux keeps of it. Elsewhere nothing
//! is known and the figure is zero.

use std::fs;

/// The peaks of the resident memory of a process and of those that it started, added up:
/// one of the engines is a server of its own.
pub fn peak_bytes(process: u32) -> u64 {
    let mut sum = 0;
    let mut waiting = vec![process];
    while let Some(process) = waiting.pop() {
        sum += high_water_mark(process).unwrap_or(0);
        waiting.extend(children(process));
    }
    sum
}

fn high_water_mark(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let lists = threads
        .filter_map(Result::ok)
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}
