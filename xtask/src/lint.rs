//! `cargo xtask lint`: what is checked without running the product.

use std::process::ExitCode;

use crate::steps::Steps;
use crate::workspace::cargo;
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
    steps.command(
        "clippy",
        &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    );
    deny::add(steps);
}
