//! The real file system: POSIX calls, fsync where durability is promised.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use memmap2::Mmap;
use rustix::fs::{FlockOperation, flock};
use sheaf_formats::io::ReadAt;

use super::local_file::LocalFile;
use super::{FileLock, LockOutcome, Vfs, WriteFile, parent};

/// A folder of the real file system.
#[derive(Debug)]
pub struct LocalVfs {
    root: PathBuf,
    temporary: AtomicU64,
}

impl LocalVfs {
    /// The folder `root`; it need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), temporary: AtomicU64::new(0) }
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Vfs for LocalVfs {
    fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        let target = self.path(dir);
        if target.is_dir() {
            return Ok(());
        }
        // Each new name is made durable in its parent, or a power cut could lose a
        // whole branch whose files were synced with care.
        let mut missing = vec![target.clone()];
        let mut up = target.parent();
        while let Some(dir) = up {
            if dir.as_os_str().is_empty() || dir.is_dir() {
                break;
            }
            missing.push(dir.to_path_buf());
            up = dir.parent();
        }
        for dir in missing.iter().rev() {
            match fs::create_dir(dir) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
            let above = dir.parent().filter(|p| !p.as_os_str().is_empty());
            sync_folder(above.unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).open(self.path(path))?;
        Ok(Box::new(LocalFile::new(file, 0)))
    }

    fn reopen(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(path))?;
        let len = file.metadata()?.len();
        Ok(Box::new(LocalFile::new(file, len)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn ReadAt>> {
        let file = File::open(self.path(path))?;
        let len = file.metadata()?.len();
        let bytes = if len == 0 {
            Bytes::new()
        } else {
            // SAFETY: only finished files are opened here, and the store never writes
            // to a finished file. Cutting one from outside while it is open is
            // outside what the store can survive, as with every mapped database.
            let map = unsafe { Mmap::map(&file)? };
            Bytes::from_owner(map)
        };
        Ok(Arc::new(MappedFile { name: path.to_owned(), bytes }))
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        read_all(&mut File::open(self.path(path))?)
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<bool> {
        let count = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.path(&format!("{path}.{}-{count}.tmp", std::process::id()));
        let made = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            // A link fails when the name is taken; a rename would replace it.
            match fs::hard_link(&temporary, self.path(path)) {
                Ok(()) => Ok(true),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
                Err(e) => Err(e),
            }
        })();
        let removed = fs::remove_file(&temporary);
        let made = made?;
        removed?;
        if made {
            self.sync_dir(parent(path))?;
        }
        Ok(made)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(dir)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // A name that is not UTF-8 is not one of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        match fs::remove_file(self.path(path)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path(path))?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        sync_folder(&self.path(dir))
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.path(path).try_exists()
    }

    fn lock(&self, path: &str) -> io::Result<LockOutcome> {
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(self.path(path))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // The file may have been removed between opening and locking it: then
                // this lock is one that nobody else can see.
                Ok(()) if !is_at(&file, &self.path(path))? => {}
                Ok(()) => return Ok(LockOutcome::Acquired(Box::new(LocalLock(file)))),
                Err(e) if e == rustix::io::Errno::WOULDBLOCK => {
                    return Ok(LockOutcome::Held(read_all(&mut file)?));
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn holder(&self, path: &str) -> io::Result<Option<Bytes>> {
        let mut file = match File::open(self.path(path)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(e) if e == rustix::io::Errno::WOULDBLOCK => read_all(&mut file).map(Some),
            Err(e) => Err(e.into()),
        }
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        there => Ok(there?.ino() == file.metadata()?.ino()),
    }
}

fn read_all(file: &mut File) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The kernel drops the lock with the file descriptor, even after SIGKILL.
struct LocalLock(File);

impl FileLock for LocalLock {
    fn publish(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, 0)
    }
}

#[derive(Debug)]
struct MappedFile {
    name: String,
    bytes: Bytes,
}

impl ReadAt for MappedFile {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let start = usize::try_from(offset).map_err(|_| ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(len).ok_or(ErrorKind::UnexpectedEof)?;
        if end > self.bytes.len() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(self.bytes.slice(start..end))
    }

    fn name(&self) -> &str {
        &self.name
    }
}
