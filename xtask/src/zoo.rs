//! The zoo: odd files that the debug binary and its peers read, compared in Python.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::environment;
use crate::steps::Steps;
use crate::workspace::sheaf;

const TESTS: &str = "engine/tests/zoo";

/// Adds the steps; the environment is made once, and again when its packages change.
pub fn add(steps: &mut Steps) {
    let requirements = Path::new(TESTS).join("requirements.txt");
    let Some(python) = environment::python(steps, "zoo", &requirements) else { return };
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
