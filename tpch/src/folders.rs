//! Where data, databases and Python environments are kept: in the user's cache, out
//! of the repository, because they are large and can be made again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::benchmark::Benchmark;
use crate::failure::{Failure, Result};

/// The folder of everything: `SHEAF_TPC_DIR`, or `sheaf/tpc` in the user's cache.
pub fn root() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set("SHEAF_TPC_DIR") {
        return Ok(std::path::absolute(folder)?);
    }
    let cache = match set("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(
            set("HOME")
                .ok_or_else(|| Failure::new("set SHEAF_TPC_DIR to a folder for the data"))?,
        )
        .join(".cache"),
    };
    Ok(cache.join("sheaf").join("tpc"))
}

/// A benchmark at a scale factor, as part of a path: `tpch-sf1`.
pub fn label(benchmark: Benchmark, sf: f64) -> String {
    format!("{}-sf{sf}", benchmark.name())
}

/// Where the Parquet files of a benchmark are.
pub fn data(benchmark: Benchmark, sf: f64) -> Result<PathBuf> {
    Ok(root()?.join("data").join(label(benchmark, sf)))
}

/// Where an engine keeps what it loaded.
pub fn database(engine: &str, benchmark: Benchmark, sf: f64, keys: bool) -> Result<PathBuf> {
    let keys = if keys { "-keys" } else { "" };
    Ok(root()?.join("databases").join(engine).join(format!("{}{keys}", label(benchmark, sf))))
}

/// Bytes of all files in a folder, or of one file.
pub fn bytes(path: &Path) -> Result<u64> {
    if !path.is_dir() {
        return Ok(fs::metadata(path)?.len());
    }
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        sum += bytes(&entry?.path())?;
    }
    Ok(sum)
}
