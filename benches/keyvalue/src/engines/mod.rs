//! What is measured: Sheaf and its peers behind one face.

#[cfg(feature = "peers")]
mod fjall;
#[cfg(feature = "peers")]
mod rocksdb;
mod sheaf;

use std::path::Path;

use crate::Failure;

/// Bytes of a key.
pub const KEY_LEN: usize = 16;
/// Bytes of a value.
pub const VALUE_LEN: usize = 100;
/// Memory of a peer for what it read; Sheaf reads through mapped files.
#[cfg(feature = "peers")]
pub const CACHE_BYTES: usize = 1 << 30;
/// Memory of each engine for what it is to flush, per buffer; four of them at most.
pub const BUFFER_BYTES: usize = 128 << 20;

/// A store of keys and values. Nothing is compressed.
pub trait Engine: Sync {
    /// Puts a value; on stable storage when it returns, if `synced`.
    fn put(&self, key: &[u8; KEY_LEN], value: &[u8], synced: bool) -> Result<(), Failure>;

    /// Sum of the value's bytes, so that it must be read; `None` without one.
    fn get(&self, key: &[u8; KEY_LEN]) -> Result<Option<u64>, Failure>;

    /// Reads at most `limit` rows from `key` on; returns how many and a sum of bytes.
    fn scan(&self, key: &[u8; KEY_LEN], limit: usize) -> Result<(usize, u64), Failure>;

    /// Reads all rows into Arrow arrays; returns how many.
    fn to_arrow(&self) -> Result<usize, Failure>;

    /// Returns when nothing is left to flush or merge.
    fn drain(&self) -> Result<(), Failure>;
}

/// The engines of this build.
pub fn names() -> Vec<&'static str> {
    if cfg!(feature = "peers") { vec!["sheaf", "rocksdb", "fjall"] } else { vec!["sheaf"] }
}

/// Opens an engine's database in a folder.
pub fn open(name: &str, folder: &Path) -> Result<Box<dyn Engine>, Failure> {
    match name {
        "sheaf" => Ok(Box::new(sheaf::Sheaf::open(folder)?)),
        #[cfg(feature = "peers")]
        "rocksdb" => Ok(Box::new(rocksdb::RocksDb::open(folder)?)),
        #[cfg(feature = "peers")]
        "fjall" => Ok(Box::new(fjall::Fjall::open(folder)?)),
        other => Err(format!("no engine '{other}' in this build").into()),
    }
}

/// The sum of some bytes.
pub fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|b| u64::from(*b)).sum()
}
