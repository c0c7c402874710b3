//! Garbage collection: deleting files that nobody can need (I5).

use std::collections::HashSet;

pub(crate) use crate::lock::oldest_lease;

use crate::commit::Garbage;
use crate::manifest::ManifestState;
use crate::vfs::Vfs;
use crate::{Error, Result};

/// Deletes garbage that no snapshot of this process and no reading process needs;
/// returns the rest.
pub(crate) fn delete_garbage(
    vfs: &dyn Vfs,
    garbage: Vec<Garbage>,
    oldest_reader: u64,
) -> Result<Vec<Garbage>> {
    let mut kept = Vec::new();
    for item in garbage {
        let pinned = item.pinned_by.as_ref().is_some_and(|weak| weak.strong_count() > 0);
        if pinned || item.version > oldest_reader {
            kept.push(item);
            continue;
        }
        for path in &item.paths {
            vfs.delete(path).map_err(|source| Error::Io { path: path.clone(), source })?;
        }
    }
    Ok(kept)
}

/// Deletes files that no manifest version names: what a crash left of a flush, a
/// load or a collection. Only for a writer that has just taken the lock; while
/// another process reads, it waits for a later opening.
pub(crate) fn delete_orphans(vfs: &dyn Vfs, state: &ManifestState) -> Result<u64> {
    if oldest_lease(vfs)?.is_some() {
        return Ok(0);
    }
    let fail = |path: &str| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    let known: HashSet<String> = state
        .tables
        .iter()
        .flat_map(|(id, files)| files.segments.values().flat_map(|meta| meta.paths(*id)))
        .collect();
    let mut deleted = 0;
    for table in vfs.list("t").map_err(fail("t"))? {
        let table = format!("t/{table}");
        for bucket in vfs.list(&table).map_err(fail(&table))? {
            let bucket = format!("{table}/{bucket}");
            for name in vfs.list(&bucket).map_err(fail(&bucket))? {
                let path = format!("{bucket}/{name}");
                if !known.contains(&path) {
                    vfs.delete(&path).map_err(fail(&path))?;
                    deleted += 1;
                }
            }
        }
    }
    for name in vfs.list("manifest").map_err(fail("manifest"))? {
        if name.ends_with(".tmp") {
            let path = format!("manifest/{name}");
            vfs.delete(&path).map_err(fail(&path))?;
            deleted += 1;
        }
    }
    Ok(deleted)
}
