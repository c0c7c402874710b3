//! `cargo xtask bench`: the benchmarks, in release, beside their peers.
//!
//! Each run leaves `benches/results/NAME-DATE.json`. `--check` compares the ratios of
//! a new run with those of the newest file that is there: times differ between
//! machines, ratios of two engines in one run much less.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::python;
use crate::steps::Steps;
use crate::workspace::cargo;

const BENCHMARKS: &str = "benches/benches";
const RESULTS: &str = "benches/results";
/// The benchmark beside key-value stores.
const KEY_VALUE: &str = "keyvalue";
/// The benchmark of the Python package.
const PACKAGE: &str = "python";
/// A ratio may be this part of the committed one: these machines are noisy.
const NOISE: f64 = 0.8;

/// Runs one benchmark, or all.
pub fn run(name: Option<&str>) -> ExitCode {
    let mut steps = Steps::default();
    for name in names(name) {
        steps.check(&name, || {
            let date = today()?;
            measure(&name, &Path::new(RESULTS).join(format!("{name}-{date}.json"))).map(drop)
        });
    }
    steps.finish()
}

/// Runs one benchmark, or all, and compares.
pub fn check(name: Option<&str>) -> ExitCode {
    let mut steps = Steps::default();
    for name in names(name) {
        let Some(committed) = newest(&name) else {
            steps.skip(&name, "nothing to compare with: run it without --check first");
            continue;
        };
        steps.check(&name, || {
            let measured = std::env::temp_dir().join(format!("sheaf-bench-{name}.json"));
            let new = measure(&name, &measured)?;
            compare(&ratios(&read(&committed)?), &ratios(&new))
        });
    }
    steps.finish()
}

fn names(name: Option<&str>) -> Vec<String> {
    if let Some(name) = name {
        return vec![name.to_owned()];
    }
    let mut names: Vec<String> = files(Path::new(BENCHMARKS))
        .iter()
        .filter(|path| path.is_dir() || path.extension().is_some_and(|ending| ending == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.push(KEY_VALUE.to_owned());
    names.sort();
    names
}

fn measure(name: &str, json: &Path) -> Result<Value, String> {
    std::fs::create_dir_all(RESULTS).map_err(|e| format!("{RESULTS}: {e}"))?;
    // Benchmarks run in the folder of their package.
    let json = std::path::absolute(json).map_err(|e| e.to_string())?;
    let mut command = if name == KEY_VALUE {
        // A package of its own, so that RocksDB is built for it alone.
        cargo(&["run", "--release", "--package", "sheaf-bench-keyvalue", "--features", "peers"])
    } else {
        let mut command = cargo(&["bench", "--package", "sheaf-benches", "--features", "peers"]);
        command.args(["--bench", name]);
        command
    };
    if name == PACKAGE {
        let (python, modules) = python::to_measure()?;
        command.env("SHEAF_PYTHON", python).env("PYTHONPATH", modules);
    }
    let status = command
        .env("SHEAF_BENCH_JSON", &json)
        .status()
        .map_err(|e| format!("cargo did not start: {e}"))?;
    match status.success() {
        true => read(&json),
        false => Err(format!("the benchmark ended with {status}")),
    }
}

/// The newest committed result: dates sort as text.
fn newest(name: &str) -> Option<PathBuf> {
    let of_name = |path: &PathBuf| {
        let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        file.strip_prefix(name).is_some_and(|rest| rest.starts_with("-2"))
    };
    files(Path::new(RESULTS)).into_iter().filter(of_name).max()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// The ratio of each figure that has a peer.
fn ratios(report: &Value) -> BTreeMap<String, f64> {
    let figures = report["figures"].as_array().into_iter().flatten();
    figures
        .filter_map(|figure| {
            let (name, peer) = (figure["name"].as_str()?, figure["peer"]["name"].as_str()?);
            Some((format!("{name} / {peer}"), figure["peer"]["ratio"].as_f64()?))
        })
        .collect()
}

fn compare(before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> Result<(), String> {
    let mut worse = Vec::new();
    for (name, before) in before {
        match now.get(name) {
            None => worse.push(format!("{name}: no longer measured")),
            Some(now) if *now < before * NOISE => {
                worse.push(format!("{name}: {before:.2}x before, {now:.2}x now"));
            }
            Some(_) => {}
        }
    }
    match worse.is_empty() {
        true => Ok(()),
        false => Err(worse.join("\n")),
    }
}

fn today() -> Result<String, String> {
    let output = Command::new("date").arg("+%Y-%m-%d").output().map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_that_falls_is_found() {
        let report = |ratio: f64| {
            ratios(&serde_json::json!({"figures": [
                {"name": "load", "ours": "1 ms", "peer": {"name": "duckdb", "ratio": ratio}},
                {"name": "size", "ours": "1 MB"},
            ]}))
        };
        assert_eq!(report(1.5).len(), 1);
        assert!(compare(&report(1.5), &report(1.3)).is_ok());
        assert!(compare(&report(1.5), &report(1.0)).unwrap_err().contains("load / duckdb"));
        assert!(compare(&report(1.5), &BTreeMap::new()).is_err());
    }
}
