//! Files of the log that nothing needs any more, kept to be written again.
//!
//! ```text
//! wal/{n}.wal    nothing needs it
//!    │  renamed
//! wal/{n}.spare
//!    │  the folder synced, so that the old name is gone for good; a new header over the
//!    │  old one, synced; renamed, and the folder synced
//! wal/{m}.wal    records of {m}; after them what is left of {n}
//! ```
//!
//! What is left can be told from records: the checksum of a frame covers the identity of
//! its file. A spare means nothing after a crash, and is deleted by the next opening.

use std::io;
use std::sync::Arc;

use super::LogFileInfo;
use crate::lock::oldest_lease;
use crate::vfs::{Vfs, WriteFile};
use crate::{Error, Result};

/// Spares that are kept: what a flush frees at a time.
const SPARES_MAX: usize = 2;

/// See the module's documentation.
pub(crate) struct SpareFiles {
    vfs: Arc<dyn Vfs>,
    /// Smaller files are not worth it.
    bytes_min: u64,
    spares: Vec<Spare>,
}

struct Spare {
    path: String,
    bytes: u64,
}

/// A file to be written from the start.
pub(super) struct Reused {
    pub file: Box<dyn WriteFile>,
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

impl SpareFiles {
    /// Keeps files of `bytes_min` and more. Spares of an earlier opening are deleted.
    pub(crate) fn new(vfs: Arc<dyn Vfs>, bytes_min: u64) -> Result<Self> {
        let names = vfs.list("wal").map_err(|source| fail("wal", source))?;
        for name in names.iter().filter(|name| name.ends_with(".spare")) {
            let path = format!("wal/{name}");
            vfs.delete(&path).map_err(|source| fail(&path, source))?;
        }
        Ok(Self { vfs, bytes_min, spares: Vec::new() })
    }

    /// Takes a file that nothing needs any more out of the log.
    pub(crate) fn retire(&mut self, info: &LogFileInfo) -> Result<()> {
        if info.bytes < self.bytes_min || self.spares.len() >= SPARES_MAX {
            return self.vfs.delete(&info.path).map_err(|source| fail(&info.path, source));
        }
        let path = info.path.replace(".wal", ".spare");
        self.vfs.rename(&info.path, &path).map_err(|source| fail(&info.path, source))?;
        self.spares.push(Spare { path, bytes: info.bytes });
        Ok(())
    }

    /// A spare, if there is one. While another process reads there is none: it may be at a
    /// file that was renamed. One that comes later finds no such name.
    pub(super) fn take(&mut self) -> Result<Option<Reused>> {
        if self.spares.is_empty() {
            return Ok(None);
        }
        if oldest_lease(self.vfs.as_ref())?.is_some() {
            self.delete_all()?;
            return Ok(None);
        }
        let Some(Spare { path, bytes }) = self.spares.pop() else { return Ok(None) };
        // Or the old name could come back to what is written under the new one.
        self.vfs.sync_dir("wal").map_err(|source| fail("wal", source))?;
        let file = self.vfs.reopen(&path).map_err(|source| fail(&path, source))?;
        Ok(Some(Reused { file, path, bytes }))
    }

    /// Deletes the spares: a closed database holds what it needs.
    pub(crate) fn delete_all(&mut self) -> Result<()> {
        for Spare { path, .. } in self.spares.drain(..) {
            self.vfs.delete(&path).map_err(|source| fail(&path, source))?;
        }
        Ok(())
    }
}

fn fail(path: &str, source: io::Error) -> Error {
    Error::Io { path: path.to_owned(), source }
}
