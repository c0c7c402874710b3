//! The Python package: built into an environment of its own and tested there.

use std::path::Path;
use std::process::Command;

use crate::steps::Steps;
use crate::workspace::{debug_dir, works};

/// Adds the Python steps when the package is part of this checkout.
pub fn add(steps: &mut Steps) {
    if !Path::new("python/Cargo.toml").exists() {
        return;
    }
    if !works(Command::new("python3").args(["-m", "venv", "--help"])) {
        steps.skip("Python", "python3 with its venv module is not installed");
        return;
    }
    let environment = debug_dir().join("python-environment");
    let bin = environment.join("bin");
    if !bin.join("python").exists() {
        steps.command(
            "Python environment",
            Command::new("python3").args(["-m", "venv"]).arg(&environment),
        );
    }
    let python = bin.join("python");
    let packages = ["maturin", "pytest", "pyarrow"];
    steps.command(
        "Python tools",
        Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages),
    );
    steps.command(
        "Python build",
        Command::new(bin.join("maturin"))
            .args(["develop", "--quiet", "--manifest-path", "python/Cargo.toml"])
            .env("VIRTUAL_ENV", &environment),
    );
    steps.command(
        "Python tests",
        Command::new(&python).args(["-m", "pytest", "--quiet", "python/tests"]),
    );
}
