//! `cargo xtask bench`: the benchmarks, in release.

use std::process::ExitCode;

use crate::steps::Steps;
use crate::workspace::cargo;

/// Runs one benchmark, or all.
pub fn run(name: Option<&str>) -> ExitCode {
    let mut steps = Steps::default();
    let mut command = cargo(&["bench", "--package", "sheaf-benches", "--features", "peers"]);
    if let Some(name) = name {
        command.args(["--bench", name]);
    }
    steps.command(name.unwrap_or("all benchmarks"), &mut command);
    steps.finish()
}
