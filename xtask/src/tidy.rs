//! House rules that neither rustfmt nor clippy knows. Each problem is one line that
//! says where and what to do.

use std::path::Path;
use std::process::ExitCode;

use crate::workspace::files;

const LINES_MAX: usize = 700;
/// Names that say nothing about what is inside.
const VAGUE_NAMES: [&str; 5] = ["utils.rs", "util.rs", "helpers.rs", "misc.rs", "common.rs"];
/// Folders of one machine.
const MACHINE_PATHS: [&str; 4] = ["home/", "root/", "work/", "Users/"];
/// Files that people write, by extension.
const TEXT: [&str; 10] = ["rs", "md", "toml", "sql", "slt", "sh", "py", "pyi", "yml", "yaml"];
/// Unfinished work; split, or this file would report itself.
const UNFINISHED: [&str; 3] =
    [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("db", "g!(")];

/// `cargo xtask tidy`.
pub fn run() -> ExitCode {
    match check() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::FAILURE
        }
    }
}

/// Checks every file that git knows or would add. The error lists all problems.
pub fn check() -> Result<(), String> {
    let mut problems = Vec::new();
    let files = files()?;
    for path in files.iter().map(Path::new) {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        if !TEXT.contains(&extension) && !path.starts_with(".ci") {
            continue;
        }
        // Files that were deleted but not yet committed are still listed.
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let mut report =
            |line: usize, what: String| problems.push(format!("{}:{line}: {what}", path.display()));
        check_text(&text, &mut report);
        match extension {
            "rs" => check_rust(path, &text, &mut report),
            "md" => check_links(path, &text, &mut report),
            _ => {}
        }
    }
    if problems.is_empty() {
        println!("{} files are tidy", files.len());
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

fn check_text(text: &str, report: &mut dyn FnMut(usize, String)) {
    for (i, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t']) {
            report(i + 1, "white space at the end of the line".into());
        }
        if let Some(path) = machine_path(line) {
            report(i + 1, format!("{path} exists on one machine only"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        report(text.lines().count(), "no newline at the end of the file".into());
    }
}

/// A path under a folder of one machine, where a path begins.
fn machine_path(line: &str) -> Option<String> {
    line.match_indices('/').find_map(|(at, _)| {
        let begins = line[..at]
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || "\"'`(=:<[".contains(c));
        let folder = MACHINE_PATHS.iter().find(|folder| line[at + 1..].starts_with(**folder))?;
        begins.then(|| format!("/{folder}…"))
    })
}

fn check_rust(path: &Path, text: &str, report: &mut dyn FnMut(usize, String)) {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
    if !text.starts_with("//!") && name != "build.rs" && !path.starts_with("patches") {
        report(1, "the first line must say the file's one subject: //! …".into());
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        report(lines, format!("{lines} lines, at most {LINES_MAX}: split the file by subject"));
    }
    if VAGUE_NAMES.contains(&name) {
        report(1, "name the file after its subject".into());
    }
    for (i, line) in text.lines().enumerate() {
        for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
            report(i + 1, format!("unfinished: {word}…)"));
        }
    }
}

/// Relative links must lead to a file.
fn check_links(path: &Path, text: &str, report: &mut dyn FnMut(usize, String)) {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut in_code = false;
    for (i, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in links(line) {
            let file = target.split('#').next().unwrap_or("");
            if !file.is_empty() && !folder.join(file).exists() {
                report(i + 1, format!("the link {target} leads nowhere"));
            }
        }
    }
}

/// Targets of a line's links into this repository.
fn links(line: &str) -> Vec<&str> {
    line.split("](")
        .skip(1)
        .filter_map(|after| after.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(check: impl Fn(&mut dyn FnMut(usize, String))) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        check(&mut |line, what| found.push((line, what)));
        found
    }

    #[test]
    fn white_space_and_missing_newlines_are_found() {
        let found = problems(|report| check_text("a \nb", report));
        assert_eq!(found.iter().map(|p| p.0).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn paths_of_one_machine_are_found_where_paths_begin() {
        let home = concat!("see \"/ho", "me/ada/x\"");
        assert!(machine_path(home).is_some());
        let inside = concat!("https://example.org/ho", "me/x and a/wo", "rk/b");
        assert_eq!(machine_path(inside), None);
    }

    #[test]
    fn rust_files_say_their_subject_and_are_finished() {
        let found = problems(|report| {
            check_rust(Path::new("a/utils.rs"), concat!("fn f() { to", "do!() }\n"), report)
        });
        assert_eq!(found.len(), 3);
        assert!(problems(|report| check_rust(Path::new("a/b.rs"), "//! B.\n", report)).is_empty());
    }

    #[test]
    fn links_out_of_the_repository_are_not_followed() {
        assert_eq!(links("[a](b.md#c) [d](https://e.f) [g](mailto:h) [i](#j)"), ["b.md#c", "#j"]);
    }
}
