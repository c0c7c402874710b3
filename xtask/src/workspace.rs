//! Where things are: the workspace's root, the build's output, installed tools.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Makes the workspace's root the current folder, so that every path and every
/// command starts there. Cargo tells where that is: this program may have been compiled
/// in another clone.
pub fn enter() -> Result<(), String> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).join("..");
    std::env::set_current_dir(&root)
        .map_err(|e| format!("cannot enter the workspace {}: {e}", root.display()))
}

/// What is not built by default and tested all the same. Each command that builds the workspace
/// asks for it, so that they share what they compile.
pub const FEATURES: [&str; 2] = ["--features", "sheafdb/polars"];

/// `cargo` with these arguments; the one that runs us, so that toolchains agree.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_us(&mut command);
    command.args(arguments);
    command
}

/// Keeps what cargo told this program about itself from a command. Build scripts that look at
/// it (ring's) would run again, and everything above be compiled again, whenever it is another.
pub fn forget_us(command: &mut Command) {
    let about_us = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| about_us.iter().any(|it| name.starts_with(it))) {
            command.env_remove(name);
        }
    }
}

/// The folder of dev-profile binaries.
pub fn debug_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from("target"), PathBuf::from)
        .join("debug")
}

/// The dev-profile `sheaf`, built by the step before.
pub fn sheaf() -> PathBuf {
    debug_dir().join(format!("sheaf{}", std::env::consts::EXE_SUFFIX))
}

/// The files that are in the repository, or are to be.
pub fn files() -> Result<Vec<String>, String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .map_err(|e| format!("git did not start: {e}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Whether a command can be run.
pub fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}
