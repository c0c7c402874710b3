//! What README.md shows works: its `sh` and `sql` blocks are run. Its `rust` blocks
//! are doc tests of the engine. A block that must not run is fenced as `console`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::steps::Steps;
use crate::workspace::{debug_dir, forget_us, sheaf};

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
struct Block<'a> {
    language: &'a str,
    /// Line number of its first line of code.
    line: usize,
    code: String,
}

/// Adds one step per shell block and one for all SQL.
pub fn add(steps: &mut Steps) {
    let text = match std::fs::read_to_string("README.md") {
        Ok(text) => text,
        Err(error) => {
            return steps.check("README", || Err(format!("cannot read README.md: {error}")));
        }
    };
    let blocks = blocks(&text);
    for block in blocks.iter().filter(|b| b.language == "sh") {
        steps.check(&format!("README line {} (sh)", block.line), || run_sh(&block.code));
    }
    let sql: Vec<&str> =
        blocks.iter().filter(|b| b.language == "sql").map(|b| b.code.as_str()).collect();
    if !sql.is_empty() {
        steps.check("README (sql)", || run_sql(&sql.concat()));
    }
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (i, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (open.take(), fence) {
            (None, Some(language)) => {
                open = Some(Block { language: language.trim(), line: i + 2, code: String::new() })
            }
            (None, None) => {}
            (Some(block), Some(_)) => blocks.push(block),
            (Some(mut block), None) => {
                block.code.push_str(line);
                block.code.push('\n');
                open = Some(block);
            }
        }
    }
    blocks
}

/// Shell as a reader would type it, except that it finds the `sheaf` of the dev profile first,
/// which is built already, and runs that for `cargo run`.
fn run_sh(code: &str) -> Result<(), String> {
    if code.contains("cargo xtask") {
        return Err(
            "a sh block of README.md runs cargo xtask, which runs the block: fence it as console"
                .into(),
        );
    }
    let script = code
        .replace("cargo run --release --", "sheaf")
        .replace("target/release/", &format!("{}/", debug_dir().display()));
    println!("{script}");
    let mut path: Vec<PathBuf> = vec![std::path::absolute(debug_dir()).map_err(|e| e.to_string())?];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path = std::env::join_paths(path).map_err(|e| e.to_string())?;
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &script]).env("PATH", path).stdin(Stdio::null());
    forget_us(&mut bash);
    let status = bash.status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the block ended with {status}")),
        Err(error) => Err(format!("bash did not start: {error}")),
    }
}

/// All blocks in order in one database in memory, so that they can build on each
/// other.
fn run_sql(sql: &str) -> Result<(), String> {
    let binary: &Path = &sheaf();
    let failed = |e: std::io::Error| format!("cannot run {}: {e}", binary.display());
    let mut child = Command::new(binary).stdin(Stdio::piped()).spawn().map_err(failed)?;
    let mut input = child.stdin.take().ok_or("the shell has no standard input")?;
    // When a statement fails the shell stops reading: its exit code tells.
    let _ = input.write_all(sql.as_bytes());
    drop(input);
    let status = child.wait().map_err(failed)?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("SQL of README.md failed: sheaf ended with {status}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_a_language_and_a_line() {
        let text =
            "# Title\n```sh\nls\n```\ntext\n\n```sql\nselect 1;\nselect 2;\n```\n```\nplain\n```\n";
        let found = blocks(text);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], Block { language: "sh", line: 3, code: "ls\n".into() });
        assert_eq!(
            found[1],
            Block { language: "sql", line: 8, code: "select 1;\nselect 2;\n".into() }
        );
        assert_eq!(found[2].language, "");
    }
}
