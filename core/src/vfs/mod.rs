//! The file system as the store sees it.
//!
//! Paths are relative to the database, with `/` between parts. Nothing above this
//! module touches `std::fs`, so that a memory file system with power cuts
//! ([`MemoryVfs`]) can stand in for the real one ([`LocalVfs`]) in every test.
//!
//! Durability contract: bytes are on stable storage after [`WriteFile::sync`], and
//! a *name* is after [`Vfs::sync_dir`] of its folder; [`Vfs::put_if_absent`] does
//! both.

mod local;
mod local_file;
mod memory;

use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use sheaf_formats::io::ReadAt;

pub use local::LocalVfs;
pub use memory::MemoryVfs;

/// A file being written.
pub trait WriteFile: Write + Send {
    /// Writes at a place, also over what is there or past the end. Not to be mixed with
    /// [`Write`], which goes on where it was.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file; durable after the next sync.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Returns when everything written so far is on stable storage.
    fn sync(&mut self) -> io::Result<()>;
}

/// A lock that is held until it is dropped.
pub trait FileLock: Send + Sync {
    /// Replaces the first bytes of the lock file, for other processes to read.
    /// Not durable: it only means something while the lock is held.
    fn publish(&self, bytes: &[u8]) -> io::Result<()>;
}

/// The outcome of asking for a lock.
pub enum LockOutcome {
    /// It is ours.
    Acquired(Box<dyn FileLock>),
    /// Another holds it; these are the bytes it published.
    Held(Bytes),
}

/// A folder tree that the store lives in.
pub trait Vfs: Debug + Send + Sync + 'static {
    /// Makes a folder and its parents, durably.
    fn create_dir_all(&self, dir: &str) -> io::Result<()>;

    /// Makes a new file for writing; `AlreadyExists` when there is one.
    fn create(&self, path: &str) -> io::Result<Box<dyn WriteFile>>;

    /// Opens a file that is there for writing over it.
    fn reopen(&self, path: &str) -> io::Result<Box<dyn WriteFile>>;

    /// Gives a file another name, which nothing has; durable after [`Self::sync_dir`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Opens a finished, immutable file for random access.
    fn open(&self, path: &str) -> io::Result<Arc<dyn ReadAt>>;

    /// Reads what a file holds now.
    fn read(&self, path: &str) -> io::Result<Bytes>;

    /// Makes `path` with `bytes`, atomically and durably; false when it was there.
    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<bool>;

    /// Names (not paths) of the files and folders in `dir`; none when it is missing.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Removes a file. A file that is not there is not an error.
    fn delete(&self, path: &str) -> io::Result<()>;

    /// Cuts a file to `len` bytes, durably.
    fn truncate(&self, path: &str, len: u64) -> io::Result<()>;

    /// Makes names in `dir` durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Whether the file or folder is there.
    fn exists(&self, path: &str) -> io::Result<bool>;

    /// Tries to take an exclusive lock on a file that is made when missing.
    fn lock(&self, path: &str) -> io::Result<LockOutcome>;

    /// What the holder of a lock published; `None` when nobody holds it. Does not
    /// stand in the way of a holder, and only for a moment in that of a new one.
    fn holder(&self, path: &str) -> io::Result<Option<Bytes>>;
}

/// The folder part of a path.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
