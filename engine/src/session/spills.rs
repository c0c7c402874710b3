//! Files that queries spill to.
//!
//! A file is open while it is written and while it is read, not while it waits: a plan may
//! have thousands that wait, and the store opens files too.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::{Stream, stream};
use parking_lot::Mutex;
use tempfile::TempDir;

/// Bytes that queries may spill at most.
const SPILL_MAX: u64 = 1 << 40;

/// Bytes that are read at a time. Batches may be slices of them and hold them all.
const READ_BYTES: u64 = 128 << 10;

/// A folder of spilled files, which goes with the last of them.
#[derive(Debug)]
pub(super) struct SpillFolder(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    parent: PathBuf,
    /// Made when something is spilled.
    made: Mutex<Option<TempDir>>,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// A file of it.
#[derive(Debug)]
struct Spilled {
    folder: Arc<Folder>,
    path: PathBuf,
    bytes: Arc<AtomicU64>,
}

struct Writer {
    file: File,
    folder: Arc<Folder>,
    bytes: Arc<AtomicU64>,
}

impl SpillFolder {
    /// One in `parent` with a name of its own.
    pub(super) fn new(parent: PathBuf) -> Self {
        let (made, files, bytes) = (Mutex::default(), AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Folder { parent, made, files, bytes }))
    }
}

impl TempFileFactory for SpillFolder {
    fn create_temp_file(&self, _description: &str) -> Result<Arc<dyn SpillFile>> {
        let folder = Arc::clone(&self.0);
        let name = folder.files.fetch_add(1, Ordering::Relaxed).to_string();
        let path = folder.path()?.join(name);
        File::create_new(&path)?;
        Ok(Arc::new(Spilled { folder, path, bytes: Arc::default() }))
    }
}

impl SpillFile for Spilled {
    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn size(&self) -> Option<u64> {
        Some(self.bytes.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        // Opened when it is read first: many are asked for together.
        let (path, file) = (self.path.clone(), None::<File>);
        Ok(Box::pin(stream::try_unfold((path, file), |(path, file)| async move {
            let read = tokio::task::spawn_blocking(move || -> io::Result<_> {
                let mut file = file.map_or_else(|| File::open(&path), Ok)?;
                let left = file.metadata()?.len().saturating_sub(file.stream_position()?);
                let mut bytes = Vec::with_capacity(left.clamp(1, READ_BYTES) as usize);
                (&mut file).take(READ_BYTES).read_to_end(&mut bytes)?;
                Ok((bytes, path, file))
            });
            let (bytes, path, file) =
                read.await.map_err(|error| DataFusionError::External(Box::new(error)))??;
            Ok((!bytes.is_empty()).then(|| (bytes.into(), (path, Some(file)))))
        })))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        let file = File::options().append(true).open(&self.path)?;
        let (folder, bytes) = (Arc::clone(&self.folder), Arc::clone(&self.bytes));
        Ok(Box::new(Writer { file, folder, bytes }))
    }
}

impl Drop for Spilled {
    fn drop(&mut self) {
        self.folder.bytes.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        // What cannot be removed now goes at the next opening.
        let _ = fs::remove_file(&self.path);
    }
}

impl Folder {
    fn path(&self) -> io::Result<PathBuf> {
        let mut made = self.made.lock();
        let folder = match made.take() {
            Some(folder) => folder,
            None => {
                fs::create_dir_all(&self.parent)?;
                tempfile::Builder::new().prefix("sheaf-").tempdir_in(&self.parent)?
            }
        };
        Ok(made.insert(folder).path().to_owned())
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        let all = self.folder.bytes.fetch_add(written as u64, Ordering::Relaxed);
        if all + written as u64 > SPILL_MAX {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "queries spill too much"));
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn open_files() -> usize {
        fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
    }

    #[tokio::test]
    async fn files_that_wait_are_not_open_and_go_when_they_are_read() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path().join("tmp");
        let folder = SpillFolder::new(parent.clone());
        let before = open_files();
        let write = |i: u64| {
            let file = folder.create_temp_file("a test").unwrap();
            let mut writer = file.open_writer().unwrap();
            writer.write_all(&i.to_le_bytes().repeat(200_000)).unwrap();
            writer.finish().unwrap();
            file
        };
        let mut files: Vec<_> = (0..3).map(write).collect();
        files.extend((0..300).map(|_| folder.create_temp_file("a test").unwrap()));
        assert!(open_files() < before + 50);
        assert_eq!(files[2].size(), Some(1_600_000));
        let read: Vec<Bytes> = files[2].read_stream().unwrap().try_collect().await.unwrap();
        assert_eq!(read.concat(), 2_u64.to_le_bytes().repeat(200_000));
        assert_eq!(folder.0.bytes.load(Ordering::Relaxed), 4_800_000);
        drop(files);
        assert_eq!(folder.0.bytes.load(Ordering::Relaxed), 0);
        assert_eq!(fs::read_dir(folder.0.path().unwrap()).unwrap().count(), 0);
        drop(folder);
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    }
}
