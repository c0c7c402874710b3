//! A folder of files that is there with all of them, or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::target::{NewFile, folder_of, sync_folder, temporary_name};
use crate::external::io_error;
use crate::{Error, Result};

/// A folder on its way to its name. Dropped before [`NewFolder::commit`] it leaves
/// nothing.
#[derive(Debug)]
pub struct NewFolder {
    path: PathBuf,
    temporary: PathBuf,
}

impl NewFolder {
    /// Starts a folder at `path`. One that is there already must be empty, unless
    /// `overwrite` says that this one replaces it and all that is in it.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self> {
        let name = path.display().to_string();
        let io_error = io_error(&name);
        match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
            Ok(false) if !overwrite => {
                return Err(Error::Invalid(format!(
                    "{name} is a folder with files in it: name another, or overwrite it"
                )));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error(error)),
        }
        // Without the slash that a folder's name may end with.
        let path: PathBuf = path.components().collect();
        let temporary = temporary_name(&path)?;
        fs::create_dir(&temporary).map_err(&io_error)?;
        Ok(Self { path, temporary })
    }

    /// Starts a file in the folder; folders on the way are made.
    pub fn file(&self, relative: &str) -> Result<NewFile> {
        let path = self.temporary.join(relative);
        let folder = folder_of(&path);
        fs::create_dir_all(folder).map_err(io_error(&folder.display().to_string()))?;
        NewFile::create(&path)
    }

    /// Gives the folder its name.
    pub fn commit(self) -> Result<()> {
        let name = self.path.display().to_string();
        let io_error = io_error(&name);
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                let old = temporary_name(&self.path)?;
                fs::rename(&self.path, &old).map_err(&io_error)?;
                fs::rename(&self.temporary, &self.path).map_err(&io_error)?;
                fs::remove_dir_all(&old).map_err(&io_error)?;
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
            _ => fs::rename(&self.temporary, &self.path).map_err(&io_error)?,
        }
        sync_folder(folder_of(&self.path)).map_err(&io_error)
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        // Nothing is there when the folder has its name. Otherwise there is nobody to
        // tell; the name says that it is left over.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::Target;
    use super::*;

    fn write(folder: &NewFolder, relative: &str) {
        let mut file = folder.file(relative).unwrap();
        file.write_all(b"x").unwrap();
        Box::new(file).commit().unwrap();
    }

    #[test]
    fn a_folder_is_there_as_a_whole() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out/");
        let folder = NewFolder::create(&path, false).unwrap();
        write(&folder, "a=1/b=2/data.csv");
        assert!(!path.exists());
        drop(folder);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        let folder = NewFolder::create(&path, false).unwrap();
        write(&folder, "a=1/b=2/data.csv");
        folder.commit().unwrap();
        assert!(path.join("a=1/b=2/data.csv").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_that_are_there_are_replaced_on_demand_only() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        fs::create_dir(&path).unwrap();
        let folder = NewFolder::create(&path, false).unwrap();
        write(&folder, "old.csv");
        folder.commit().unwrap();
        let error = NewFolder::create(&path, false).unwrap_err().to_string();
        assert!(error.contains("with files in it"), "{error}");
        let folder = NewFolder::create(&path, true).unwrap();
        write(&folder, "new.csv");
        assert!(path.join("old.csv").exists());
        folder.commit().unwrap();
        assert!(!path.join("old.csv").exists() && path.join("new.csv").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
