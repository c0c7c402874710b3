//! Which files the statements of a session may read and write.

use std::borrow::Cow;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::inputs::is_glob;
use super::remote;
use crate::error::{Error, ErrorKind, Result};

/// Files that statements may read and write by name: COPY, `FROM 'file'`, `read_csv(…)`.
/// The database's own are not meant.
#[derive(Clone, Debug, Default)]
pub struct FileAccess(Files);

#[derive(Clone, Debug, Default)]
enum Files {
    #[default]
    All,
    Below(PathBuf),
    None,
}

impl FileAccess {
    /// All files and URLs that the process may: for whoever runs it.
    pub fn all() -> Self {
        Self(Files::All)
    }

    /// Files in a folder and below it; relative names begin there. Links do not lead out of
    /// it, and there are no URLs.
    pub fn below(folder: impl AsRef<Path>) -> io::Result<Self> {
        let folder = folder.as_ref();
        if !folder.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let folder = folder.canonicalize()?;
        match folder.to_str() {
            Some(_) => Ok(Self(Files::Below(folder))),
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "its path is not UTF-8")),
        }
    }

    /// None.
    pub fn none() -> Self {
        Self(Files::None)
    }

    /// The file, pattern or URL that a name stands for.
    pub(super) fn name<'a>(&self, name: &'a str) -> Result<Cow<'a, str>> {
        let folder = match &self.0 {
            Files::All => return Ok(Cow::Borrowed(name)),
            Files::None => return Err(self.refused(name)),
            Files::Below(folder) => folder,
        };
        let is_inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        let path = Path::new(name);
        let path = path.strip_prefix(folder).unwrap_or(path);
        if remote::is_url(name) || !path.components().all(is_inside) {
            return Err(self.refused(name));
        }
        let path = path.to_string_lossy();
        // A pattern such as `.*` would mean the folder above, too.
        if is_glob(&path) && path.split('/').any(|part| part.starts_with('.') && part != ".") {
            return Err(self.refused(name));
        }
        // The folder's own name is no pattern, whatever is in it.
        let folder = match is_glob(&path) && !folder.join(&*path).exists() {
            true => glob::Pattern::escape(&folder.to_string_lossy()),
            false => folder.to_string_lossy().into_owned(),
        };
        Ok(Cow::Owned(format!("{folder}/{path}")))
    }

    /// Refuses a path that [`Self::name`] let pass and that a link leads out of the folder,
    /// and the folder itself. Of a path that is not there yet, what is there of it counts.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        let Files::Below(folder) = &self.0 else { return Ok(()) };
        let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
        match there.and_then(|there| there.canonicalize().ok()) {
            Some(real) if real.starts_with(folder) && (real != *folder || there != Some(path)) => {
                Ok(())
            }
            // The client is not told where to.
            _ => Err(Error::new(
                ErrorKind::InsufficientPrivilege,
                "this session may not use what a link leads to",
            )),
        }
    }

    fn refused(&self, name: &str) -> Error {
        let error = Error::new(
            ErrorKind::InsufficientPrivilege,
            format!("this session may not use the file '{name}'"),
        );
        match &self.0 {
            Files::Below(folder) => {
                error.hint(format!("it may use those below {}", folder.display()))
            }
            _ => error.hint("whoever runs the server may give it a folder"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("in[side]");
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        std::fs::write(outside.path().join("secret.csv"), "a\n1\n").unwrap();
        std::fs::write(folder.join("deep/open.csv"), "a\n1\n").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.join("out")).unwrap();
        let access = FileAccess::below(&folder).unwrap();
        let folder = folder.canonicalize().unwrap();

        let name = access.name("deep/open.csv").unwrap();
        assert_eq!(Path::new(&*name), folder.join("deep/open.csv"));
        access.check(Path::new(&*name)).unwrap();
        let whole = format!("{}/deep/open.csv", folder.display());
        assert_eq!(access.name(&whole).unwrap(), name);
        access.check(&folder.join("deep/new/newer.csv")).unwrap();
        assert!(access.name("deep/*.csv").unwrap().contains("in[[]side[]]/deep/*.csv"));

        for name in
            ["../secret.csv", "deep/../../secret.csv", "/etc/passwd", "https://x/y.csv", ".*/x"]
        {
            let error = access.name(name).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InsufficientPrivilege, "{name}");
        }
        for link in ["out/secret.csv", "out/new.csv"] {
            let name = access.name(link).unwrap();
            assert!(access.check(Path::new(&*name)).is_err(), "{link}");
        }
        // To replace it would change the folder around it.
        assert!(access.check(Path::new(&*access.name(".").unwrap())).is_err());
        assert!(FileAccess::none().name("deep/open.csv").is_err());
        assert!(FileAccess::below(folder.join("deep/open.csv")).is_err());
    }
}
