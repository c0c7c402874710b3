//! The Python package: its wheel is built, installed into an environment of its own, and tested
//! there.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::pytest::environment;
use crate::steps::Steps;
use crate::workspace::{debug_dir, files, sheaf};

const FOLDER: &str = "python";

/// The smallest wheel that every installer can unpack.
const SMALL: [&str; 2] = ["--compression-level", "9"];

/// `cargo xtask wheel`: builds the wheel to give away into `target/wheels`, for CPython 3.10 and
/// later; and one more for each of these interpreters, which is for free-threaded ones.
pub fn wheel(interpreters: &[&str]) -> ExitCode {
    let mut steps = Steps::default();
    if let Some(python) = interpreter(&mut steps) {
        let out = wheels();
        steps.command("wheel", maturin(&python, "dist", &out).args(SMALL));
        for interpreter in interpreters {
            let mut maturin = maturin(&python, "dist", &out);
            maturin.args(SMALL).args(["--interpreter", interpreter]);
            steps.command(&format!("wheel of {interpreter}"), &mut maturin);
        }
    }
    steps.finish()
}

/// An interpreter, and the folder with the modules of the wheel to give away.
pub fn to_measure() -> Result<(PathBuf, PathBuf), String> {
    let python = interpreter(&mut Steps::default()).ok_or("there is no Python to measure with")?;
    let python = std::path::absolute(python).map_err(|e| e.to_string())?;
    let modules = std::path::absolute(wheels().join("unpacked")).map_err(|e| e.to_string())?;
    let found = std::fs::read_dir(wheels()).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    // One beside it may be for free-threaded interpreters.
    found.retain(|path| path.to_string_lossy().ends_with(".whl") && !is_free_threaded(path));
    let [wheel] = found.as_slice() else {
        return Err(format!(
            "{} has {} wheels, not one: build it with `cargo xtask wheel`",
            wheels().display(),
            found.len()
        ));
    };
    if let Some(newer) = newer_source(wheel)? {
        return Err(format!("{newer} is newer than the wheel: build it with `cargo xtask wheel`"));
    }
    let _ = std::fs::remove_dir_all(&modules);
    run(Command::new(&python).args(["-m", "zipfile", "-e"]).args([wheel, &modules]))?;
    Ok((python, modules))
}

/// Whether a wheel is for interpreters without a lock: `sheafdb-0.1.0-cp314-cp314t-….whl`.
fn is_free_threaded(wheel: &Path) -> bool {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    name.split('-').any(|tag| tag.starts_with("cp3") && tag.ends_with('t'))
}

/// A source of the wheel that was changed after it was built.
fn newer_source(wheel: &Path) -> Result<Option<String>, String> {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let built = changed(wheel).map_err(|e| format!("{}: {e}", wheel.display()))?;
    let rooms = ["allocator", "core", "formats", "vector", "timeseries", "engine", "python"];
    let is_source = |file: &String| {
        let folders: Vec<_> = file.split('/').collect();
        match folders.as_slice() {
            ["Cargo.toml" | "Cargo.lock"] => true,
            [room, "src" | "sheafdb" | "Cargo.toml" | "build.rs", ..] => rooms.contains(room),
            _ => false,
        }
    };
    let sources = files()?.into_iter().filter(is_source);
    let mut newer = sources.filter(|file| changed(Path::new(file)).is_ok_and(|at| at > built));
    Ok(newer.next())
}

/// Where the wheel to give away is.
fn wheels() -> PathBuf {
    debug_dir().with_file_name("wheels")
}

/// The Python that has what the package is tested and measured with.
fn interpreter(steps: &mut Steps) -> Option<PathBuf> {
    environment(steps, "python", &Path::new(FOLDER).join("tests").join("requirements.txt"))
}

fn maturin(python: &Path, profile: &str, out: &Path) -> Command {
    let mut maturin = Command::new(python);
    maturin.args(["-m", "maturin", "build", "--quiet", "--profile", profile]);
    maturin.args(["--manifest-path", "python/Cargo.toml", "--out"]).arg(out);
    maturin
}

/// Adds the Python steps.
pub fn add(steps: &mut Steps) {
    let folder = Path::new(FOLDER);
    let tests = folder.join("tests");
    let Some(python) = interpreter(steps) else { return };
    for check in [["check", "--quiet"].as_slice(), &["format", "--check", "--quiet"]] {
        let mut ruff = Command::new(&python);
        ruff.args(["-m", "ruff"]).args(check).arg("--no-cache").arg(FOLDER);
        steps.command(&format!("Python {}", check[0]), &mut ruff);
    }
    let wheels = debug_dir().join("wheels");
    // Only the wheel that is built now is to be there.
    let _ = std::fs::remove_dir_all(&wheels);
    steps.command("Python wheel", &mut maturin(&python, "dev", &wheels));
    steps.check("Python installation", || install(&python, &wheels));
    // The docstrings' examples of the installed package, and the tests.
    steps.command(
        "Python tests",
        Command::new(&python)
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules"])
            .args(["--pyargs", "sheafdb"])
            .arg(&tests)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SHEAF_BIN", std::path::absolute(sheaf()).unwrap_or_default()),
    );
    steps.command(
        "Python types",
        Command::new(&python)
            .args(["-m", "mypy", "--strict", "--config-file", "python/pyproject.toml"])
            .arg("--cache-dir")
            .arg(debug_dir().join("mypy-cache"))
            .args(["-p", "sheafdb"]),
    );
}

fn install(python: &Path, wheels: &Path) -> Result<(), String> {
    let entries = std::fs::read_dir(wheels).map_err(|e| format!("{}: {e}", wheels.display()))?;
    let built: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let [wheel] = built.as_slice() else {
        return Err(format!("{} has {} wheels, not one", wheels.display(), built.len()));
    };
    let install = ["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps"];
    run(Command::new(python).args(install).arg(wheel))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} ended with {status}")),
        Err(error) => Err(format!("{program} did not start: {error}")),
    }
}
