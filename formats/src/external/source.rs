//! Where the bytes of a file come from.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::dataset::Progress;
use super::format::Compression;
use crate::{Error, Result};

/// A file somewhere. Its bytes must not change while it is read.
pub trait Source: Debug + Send + Sync {
    /// Its name in messages, which also tells the format.
    fn name(&self) -> &str;

    /// Its length in bytes.
    fn size(&self) -> u64;

    /// All bytes from the begin.
    fn stream(&self) -> io::Result<Box<dyn Read + Send>>;

    /// The bytes from `offset`, exactly `len` of them.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;
}

/// A file of this machine.
#[derive(Debug)]
pub struct LocalFile {
    name: String,
    file: File,
    size: u64,
}

impl LocalFile {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let io_error = |source| Error::Io { file: name.clone(), source };
        let file = File::open(path).map_err(io_error)?;
        let metadata = file.metadata().map_err(io_error)?;
        if metadata.is_dir() {
            return Err(Error::Invalid(format!(
                "{name} is a folder: name its files, as in '{}/*.parquet'",
                name.trim_end_matches('/')
            )));
        }
        Ok(Self { size: metadata.len(), name, file })
    }
}

impl Source for LocalFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn stream(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor { file: self.file.try_clone()?, at: 0 }))
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}

/// Reads a file from a position of its own, so that streams do not share one.
struct Cursor {
    file: File,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(out, self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

/// The decompressed bytes of a stream.
pub(super) fn decompressed(
    stream: Box<dyn Read + Send>,
    compression: Compression,
) -> io::Result<Box<dyn Read + Send>> {
    Ok(match compression {
        Compression::None => stream,
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(stream)),
        Compression::Zstd => Box::new(zstd::Decoder::new(stream)?),
    })
}

/// Counts what is read of a source.
#[derive(Debug)]
pub(super) struct Counted {
    source: Arc<dyn Source>,
    progress: Arc<Progress>,
}

impl Counted {
    pub(super) fn new(source: Arc<dyn Source>, progress: Arc<Progress>) -> Self {
        Self { source, progress }
    }
}

impl Source for Counted {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn size(&self) -> u64 {
        self.source.size()
    }

    fn stream(&self) -> io::Result<Box<dyn Read + Send>> {
        let progress = Arc::clone(&self.progress);
        Ok(Box::new(CountedStream { stream: self.source.stream()?, progress }))
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.progress.add(len as u64);
        self.source.read_at(offset, len)
    }
}

struct CountedStream {
    stream: Box<dyn Read + Send>,
    progress: Arc<Progress>,
}

impl Read for CountedStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.stream.read(out)?;
        self.progress.add(len as u64);
        Ok(len)
    }
}
