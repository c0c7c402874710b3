//! The tour's folder: never one that holds anything else.

use std::path::{Path, PathBuf};

use crate::message::Failure;

/// A file in the folder that says who made it.
const MARK: &str = "MADE_BY_SHEAF_TOUR";
const MARK_TEXT: &str = "sheaf tour made this folder and removes it when it runs again.\n";

/// A folder that only the tour writes to.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Claims a path where nothing is, or removes the folder of an earlier tour from
    /// it. The database that is made there then wants [`Self::mark`]ing.
    pub fn claim(path: &Path) -> Result<Self, Failure> {
        let folder = Self { path: path.to_owned() };
        if path.symlink_metadata().is_err() {
            return Ok(folder);
        }
        if !path.join(MARK).is_file() {
            return Err(Failure::Other(format!(
                "{} exists and no tour made it: nothing was touched. Give another place with --path",
                path.display()
            )));
        }
        folder.remove_files()?;
        Ok(folder)
    }

    /// Says in the folder that a tour made it. A database refuses to be made beside
    /// other files, so this comes after it.
    pub fn mark(&self) -> Result<(), Failure> {
        std::fs::write(self.path.join(MARK), MARK_TEXT)
            .map_err(|e| Failure::Other(format!("cannot write into {}: {e}", self.path.display())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with everything in it.
    pub fn remove(self) -> Result<(), Failure> {
        self.remove_files()
    }

    fn remove_files(&self) -> Result<(), Failure> {
        std::fs::remove_dir_all(&self.path)
            .map_err(|e| Failure::Other(format!("cannot remove {}: {e}", self.path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_else_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("precious"), "x").unwrap();
        assert!(Folder::claim(dir.path()).is_err());
        assert!(dir.path().join("precious").exists());
    }

    #[test]
    fn a_folder_of_an_earlier_tour_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tour.sheaf");
        let folder = Folder::claim(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("old"), "x").unwrap();
        folder.mark().unwrap();
        let folder = Folder::claim(&path).unwrap();
        assert!(!path.exists());
        std::fs::create_dir(&path).unwrap();
        folder.remove().unwrap();
        assert!(!path.exists());
    }
}
