//! Tests in Python that drive the debug binary: a folder of them, and its requirements.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::Steps;
use crate::workspace::{debug_dir, sheaf, works};

/// Adds the steps of the tests in `folder`.
pub fn add(steps: &mut Steps, name: &str, folder: &str) {
    let Some(python) = environment(steps, name, &Path::new(folder).join("requirements.txt")) else {
        return;
    };
    let Ok(sheaf) = fs::canonicalize(sheaf()) else {
        return steps.skip(name, "the debug binary was not built");
    };
    steps.command(
        name,
        Command::new(python)
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", folder])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SHEAF_BIN", sheaf),
    );
}

/// The interpreter of an environment in the target folder with required packages; made
/// once, and again when the packages change. `None` when it cannot be made, which is noted
/// as skipped.
pub fn environment(steps: &mut Steps, name: &str, requirements: &Path) -> Option<PathBuf> {
    if !works(Command::new("python3").args(["-m", "venv", "--help"])) {
        steps.skip(name, "python3 with its venv module is not installed");
        return None;
    }
    let environment = debug_dir().join(format!("{name}-environment"));
    let python = environment.join("bin/python");
    let installed = environment.join("requirements.txt");
    if fs::read(requirements).ok() != fs::read(&installed).ok() {
        steps.command(
            &format!("{name} environment"),
            Command::new("python3").args(["-m", "venv"]).arg(&environment),
        );
        let mut pip = Command::new(&python);
        if !works(pip.args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements)) {
            steps.skip(name, "pip cannot install its requirements.txt");
            return None;
        }
        // Last, so that what was interrupted is done again.
        steps.check(&format!("{name} packages"), || match fs::copy(requirements, &installed) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("cannot write {}: {error}", installed.display())),
        });
    }
    Some(python)
}
