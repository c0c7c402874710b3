//! Starts the built binary.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a finished run left.
pub struct Ran {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Exit code.
    pub code: Option<i32>,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }
}

/// `sheaf` with these arguments and nothing on standard input.
pub fn sheaf(arguments: &[&str]) -> Ran {
    command(arguments).stdin(Stdio::null()).output().unwrap().into()
}

/// `sheaf` on the database in `path`, running `sql` with CSV output.
pub fn csv(path: &Path, sql: &str) -> Ran {
    sheaf(&[path.to_str().unwrap(), "--format", "csv", "-c", sql])
}

/// `sheaf` with these arguments, not started yet.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sheaf"));
    command.args(arguments);
    command
}

/// Output with the elapsed times, which differ from run to run, written as `T s`.
pub fn without_times(text: &str) -> String {
    let line = |line: &str| match line.rsplit_once(" · ") {
        Some((before, time)) if time.ends_with(" s") => format!("{before} · T s\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}
