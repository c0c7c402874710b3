//! `cargo xtask test`: everything that must pass before a change is shared.

use std::process::ExitCode;

use crate::steps::Steps;
use crate::workspace::{cargo, works};
use crate::{lint, pytest, python, readme};

/// Runs the lints, then the tests; `quick` leaves out what is slow to build or run.
pub fn run(quick: bool) -> ExitCode {
    let mut steps = Steps::default();
    lint::add(&mut steps);
    if works(&mut cargo(&["nextest", "--version"])) {
        steps.command(
            "Rust tests",
            &mut cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]),
        );
    } else {
        steps.command(
            "Rust tests",
            &mut cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]),
        );
    }
    if !quick {
        steps.command("doc tests", &mut cargo(&["test", "--workspace", "--doc"]));
        steps.command("build", &mut cargo(&["build", "--workspace"]));
        readme::add(&mut steps);
        pytest::add(&mut steps, "clients", "flight/clients");
        python::add(&mut steps);
        pytest::add(&mut steps, "zoo", "engine/tests/zoo");
    }
    steps.finish()
}
