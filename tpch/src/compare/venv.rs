//! Python environments with the peers in pinned versions, made on first use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{During, Failure, Result};
use crate::folders;

/// The peers, what they give their answers with, and clients of servers.
const PEERS: &[&str] = &[
    "duckdb==2.0.0",
    "polars==2.1.0",
    "chdb==4.4.0",
    "datafusion==55.0.0",
    "tableauhyperapi==0.0.26963",
    "pyarrow==26.0.1",
    "adbc-driver-flightsql==1.13.0",
    "adbc-driver-manager==1.13.0",
    "psycopg[binary]==3.3.9",
];
/// The text of the TPC-DS queries comes with this version's extension.
const TEXTS: &[&str] = &["duckdb==1.5.5", "duckdb-extensions", "duckdb-extension-tpcds"];

const PEERS_SCRIPT: &str = include_str!("../../peers/peers.py");
const TEXTS_SCRIPT: &str = include_str!("../../peers/tpcds_queries.py");

/// The command that starts a peer's process.
pub fn peer(engine: &str) -> Result<Command> {
    let mut command = Command::new(peers()?);
    command.arg(script("peers.py", PEERS_SCRIPT)?).arg(engine);
    Ok(command)
}

/// The Python that has the peers.
pub fn peers() -> Result<PathBuf> {
    environment("peers", PEERS)
}

/// The text of the TPC-DS queries in the order of their numbers.
pub fn tpcds_queries() -> Result<Vec<String>> {
    let kept = folders::root()?.join("queries").join("tpcds.json");
    let text = match fs::read_to_string(&kept) {
        Ok(text) => text,
        Err(_) => {
            let output = Command::new(environment("texts", TEXTS)?)
                .arg(script("tpcds_queries.py", TEXTS_SCRIPT)?)
                .stderr(Stdio::inherit())
                .output()
                .during("asking for the TPC-DS queries")?;
            if !output.status.success() {
                return Err(Failure::new("the TPC-DS queries cannot be had"));
            }
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            write(&kept, &text)?;
            text
        }
    };
    let texts: Vec<String> = serde_json::from_str(&text).during("reading the TPC-DS queries")?;
    Ok(texts.iter().map(|text| text.trim().trim_end_matches(';').to_owned()).collect())
}

/// The Python of an environment that has `packages`. It is made again when they change.
fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = folders::root()?.join("python").join(name);
    let python = folder.join("bin").join("python");
    let marker = folder.join("packages");
    let wanted = packages.join("\n");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    eprintln!("installing {} into {}", packages.join(" "), folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    step(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    step(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
    write(&marker, &wanted)?;
    Ok(python)
}

fn step(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let status = command.stdout(Stdio::null()).status().during(&name)?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{name} ended with {status}"))) }
}

fn script(name: &str, text: &str) -> Result<PathBuf> {
    let path = folders::root()?.join("python").join(name);
    write(&path, text)?;
    Ok(path)
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write(path, text)?)
}
