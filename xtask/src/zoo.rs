//! The zoo: odd files that the debug binary and its peers read, compared in Python.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::steps::Steps;
use crate::workspace::{debug_dir, sheaf, works};

const TESTS: &str = "engine/tests/zoo";

/// Adds the steps; the environment is made once, and again when its packages change.
pub fn add(steps: &mut Steps) {
    if !works(Command::new("python3").args(["-m", "venv", "--help"])) {
        steps.skip("zoo", "python3 with its venv module is not installed");
        return;
    }
    let environment = debug_dir().join("zoo-environment");
    let python = environment.join("bin/python");
    let wanted = Path::new(TESTS).join("requirements.txt");
    let installed = environment.join("requirements.txt");
    if fs::read(&wanted).ok() != fs::read(&installed).ok() {
        steps.command(
            "zoo environment",
            Command::new("python3").args(["-m", "venv"]).arg(&environment),
        );
        let mut pip = Command::new(&python);
        if !works(pip.args(["-m", "pip", "install", "--quiet", "-r"]).arg(&wanted)) {
            return steps.skip("zoo", "pip cannot install engine/tests/zoo/requirements.txt");
        }
        // Last, so that what was interrupted is done again.
        steps.check("zoo packages", || match fs::copy(&wanted, &installed) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("cannot write {}: {error}", installed.display())),
        });
    }
    let sheaf = match fs::canonicalize(sheaf()) {
        Ok(sheaf) => sheaf,
        Err(_) => return steps.skip("zoo", "the debug binary was not built"),
    };
    steps.command(
        "zoo",
        Command::new(&python)
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SHEAF_BIN", sheaf),
    );
}
