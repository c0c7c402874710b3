//! `cargo xtask test`: everything that must pass before a change is shared.

use std::process::ExitCode;

use crate::steps::Steps;
use crate::workspace::{FEATURES, cargo, works};
use crate::{lint, pytest, python, readme};

/// Runs the lints, then the tests; `quick` leaves out what is slow to build or run.
pub fn run(quick: bool) -> ExitCode {
    let mut steps = Steps::default();
    lint::add(&mut steps);
    let rust_tests = if works(&mut cargo(&["nextest", "--version"])) {
        ["nextest", "run", "--workspace", "--no-fail-fast"].as_slice()
    } else {
        &["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]
    };
    steps.command("Rust tests", cargo(rust_tests).args(FEATURES));
    if !quick {
        steps.command("doc tests", cargo(&["test", "--workspace", "--doc"]).args(FEATURES));
        steps.command("build", cargo(&["build", "--workspace"]).args(FEATURES));
        // As those who want nothing but the binary build it, without the features that others need.
        steps.command("the binary alone", &mut cargo(&["check"]));
        readme::add(&mut steps);
        pytest::add(&mut steps, "clients", "flight/clients");
        python::add(&mut steps);
        pytest::add(&mut steps, "zoo", "engine/tests/zoo");
    }
    steps.finish()
}
