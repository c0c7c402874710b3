//! Stock clients of Flight SQL, in an environment of their own, against the built server.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::environment;
use crate::steps::Steps;
use crate::workspace::sheaf;

const TESTS: &str = "flight/clients";

/// Adds the steps.
pub fn add(steps: &mut Steps) {
    let requirements = Path::new(TESTS).join("requirements.txt");
    let Some(python) = environment::python(steps, "clients", &requirements) else { return };
    let Ok(sheaf) = fs::canonicalize(sheaf()) else {
        return steps.skip("clients", "the debug binary was not built");
    };
    steps.command(
        "clients",
        Command::new(python)
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SHEAF_BIN", sheaf),
    );
}
