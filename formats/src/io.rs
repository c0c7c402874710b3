//! Random access to the bytes of an immutable file.

use std::fmt::Debug;
use std::io;

use bytes::Bytes;

/// An immutable file that can be read at any offset from any thread.
///
/// Reads return [`Bytes`], so that an implementation may hand out a mapping, a
/// cached page or a fresh buffer. A read past the end is `UnexpectedEof`.
pub trait ReadAt: Debug + Send + Sync + 'static {
    /// Length of the file in bytes.
    fn len(&self) -> u64;

    /// True when the file holds no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads exactly `len` bytes at `offset`.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;

    /// What to call the file in an error message.
    fn name(&self) -> &str;
}

/// A file that is wholly in memory.
#[derive(Clone, Debug)]
pub struct MemoryFile {
    name: String,
    bytes: Bytes,
}

impl MemoryFile {
    /// Wraps `bytes` under a `name` for messages.
    pub fn new(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

impl ReadAt for MemoryFile {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(len).ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.bytes.slice(start..end))
    }

    fn name(&self) -> &str {
        &self.name
    }
}
