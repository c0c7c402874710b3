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
    /// Makes the folder, in place of one from an earlier tour.
    pub fn make(path: &Path) -> Result<Self, Failure> {
        let folder = Self { path: path.to_owned() };
        if path.symlink_metadata().is_ok() {
            if !path.join(MARK).is_file() {
                return Err(Failure::Other(format!(
                    "{} exists and no tour made it: nothing was touched. Give another place with --path",
                    path.display()
                )));
            }
            folder.remove_files()?;
        }
        std::fs::create_dir_all(path)
            .and_then(|()| std::fs::write(path.join(MARK), MARK_TEXT))
            .map_err(|e| Failure::Other(format!("cannot make {}: {e}", path.display())))?;
        Ok(folder)
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
        assert!(Folder::make(dir.path()).is_err());
        assert!(dir.path().join("precious").exists());
    }

    #[test]
    fn a_folder_of_an_earlier_tour_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tour.sheaf");
        std::fs::write(Folder::make(&path).unwrap().path().join("old"), "x").unwrap();
        let folder = Folder::make(&path).unwrap();
        assert!(!path.join("old").exists());
        folder.remove().unwrap();
        assert!(!path.exists());
    }
}
