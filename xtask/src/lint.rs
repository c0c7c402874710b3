//! `cargo xtask lint`: what is checked without running the product.

use std::process::ExitCode;

use crate::steps::Steps;
use crate::workspace::{FEATURES, cargo};
use crate::{deny, tidy};

/// Runs all lints.
pub fn run() -> ExitCode {
    let mut steps = Steps::default();
    add(&mut steps);
    steps.finish()
}

/// Adds the lints to a longer run, cheapest first.
pub fn add(steps: &mut Steps) {
    steps.command("format", &mut cargo(&["fmt", "--all", "--check"]));
    steps.check("tidy", tidy::check);
    let mut clippy = cargo(&["clippy", "--workspace", "--all-targets"]);
    // With what only benchmarks use, so that they go on compiling.
    clippy.args(FEATURES).args(["--features", "sheaf-core/internals"]);
    steps.command("clippy", clippy.args(["--", "-D", "warnings"]));
    deny::add(steps);
}
