//! Which files a name stands for: one file, a glob, a list of them, here or at a URL.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sheaf_formats::external::{Input, LocalFile, Source};

use super::{FileAccess, remote};
use crate::error::{Error, ErrorKind, Result};
use crate::session::blocking;

/// Files that one statement reads, at most: each of them is opened once to know its
/// size.
const FILES_MAX: usize = 100_000;

/// The files that `names` stand for, those of a glob in the order of their names.
pub(super) async fn inputs(access: &FileAccess, names: &[String]) -> Result<Vec<Input>> {
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for name in names {
        if remote::is_url(name) {
            sources.extend(remote::sources(name).await?);
        } else {
            sources.extend(blocking(|| local(access, name))?);
        }
        if sources.len() > FILES_MAX {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("'{name}' stands for more than {FILES_MAX} files"),
            ));
        }
    }
    Ok(sources.into_iter().map(Input::new).collect())
}

/// Whether a name has characters that make it a pattern.
pub(super) fn is_glob(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

fn local(access: &FileAccess, name: &str) -> Result<Vec<Arc<dyn Source>>> {
    let paths = paths(name)?;
    let mut sources: Vec<Arc<dyn Source>> = Vec::with_capacity(paths.len());
    for path in paths {
        access.check(&path)?;
        sources.push(Arc::new(LocalFile::open(&path)?));
    }
    Ok(sources)
}

/// The local files that a name or a glob stands for.
pub(super) fn paths(name: &str) -> Result<Vec<PathBuf>> {
    // A file may have such a name.
    if !is_glob(name) || Path::new(name).exists() {
        return Ok(vec![PathBuf::from(name)]);
    }
    let options = glob::MatchOptions {
        require_literal_separator: true,
        require_literal_leading_dot: true,
        ..glob::MatchOptions::default()
    };
    let invalid = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::InvalidParameter, format!("the pattern '{name}': {error}"))
    };
    let mut found = Vec::new();
    for path in glob::glob_with(name, options).map_err(|error| invalid(&error))? {
        let path = path.map_err(|error| Error::new(ErrorKind::Io, error.to_string()))?;
        if path.is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(no_files(name));
    }
    Ok(found)
}

pub(super) fn no_files(name: &str) -> Error {
    Error::new(ErrorKind::Io, format!("no file matches '{name}'"))
}
