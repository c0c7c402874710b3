//! The file that is being written: under a temporary name beside its own, which it
//! gets at the end, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::external::io_error;
use crate::{Error, Result};

/// Tells the temporary files of one process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A file on its way to its name. Dropped before [`Target::commit`] it leaves nothing.
pub trait Target: Write + Send {
    /// Its name in messages, which also tells the format.
    fn name(&self) -> &str;

    /// Makes the file durable and gives it its name. Returns its length in bytes.
    fn commit(self: Box<Self>) -> Result<u64>;
}

/// A file of this machine.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    name: String,
    path: PathBuf,
    /// `None` once it has its name, and for pipes and terminals, which cannot be
    /// replaced.
    temporary: Option<PathBuf>,
    bytes: u64,
}

impl NewFile {
    /// Starts a file at `path` that replaces one that is there when it is committed.
    pub fn create(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let there = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Error::Invalid(format!("{name} is a folder: name a file in it")));
            }
            Ok(metadata) => Some(metadata),
            Err(_) => None,
        };
        if there.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            let file = OpenOptions::new().write(true).open(path).map_err(io_error(&name))?;
            return Ok(Self { file, name, path: path.to_owned(), temporary: None, bytes: 0 });
        }
        // A link stays one: the file behind it is replaced.
        let path = match there {
            Some(_) => fs::canonicalize(path).map_err(io_error(&name))?,
            None => path.to_owned(),
        };
        let temporary = temporary_name(&path)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary);
        let file = file.map_err(|source| {
            let folder = folder_of(&path);
            if source.kind() == io::ErrorKind::NotFound && !folder.exists() {
                return Error::Invalid(format!(
                    "{name}: the folder {} does not exist",
                    folder.display()
                ));
            }
            io_error(&name)(source)
        })?;
        Ok(Self { file, name, path, temporary: Some(temporary), bytes: 0 })
    }
}

impl Target for NewFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn commit(mut self: Box<Self>) -> Result<u64> {
        if let Some(temporary) = &self.temporary {
            let io_error = io_error(&self.name);
            self.file.sync_all().map_err(&io_error)?;
            fs::rename(temporary, &self.path).map_err(&io_error)?;
            self.temporary = None;
            sync_folder(folder_of(&self.path)).map_err(&io_error)?;
        }
        Ok(self.bytes)
    }
}

/// A name beside `path` that nobody else uses.
pub(super) fn temporary_name(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(Error::Invalid(format!("'{}' is not the name of a file", path.display())));
    };
    Ok(path.with_file_name(format!(
        ".{}.{}-{}.tmp",
        name.to_string_lossy(),
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    )))
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.file.write(bytes)?;
        self.bytes += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // There is nobody to tell; the name says that it is left over.
            let _ = fs::remove_file(temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_replaced_at_the_end_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        fs::write(&path, "old").unwrap();
        let mut target = NewFile::create(&path).unwrap();
        target.write_all(b"new").unwrap();
        drop(target);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let mut target = NewFile::create(&path).unwrap();
        target.write_all(b"newer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(Box::new(target).commit().unwrap(), 5);
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut target = NewFile::create(&link).unwrap();
        target.write_all(b"new").unwrap();
        Box::new(target).commit().unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn errors_say_what_is_wrong_with_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = NewFile::create(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is a folder"), "{error}");
        let error = NewFile::create(&folder.path().join("no/x.csv")).unwrap_err().to_string();
        assert!(error.contains("no does not exist"), "{error}");
        assert!(NewFile::create(Path::new("/dev/null")).unwrap().temporary.is_none());
    }
}
