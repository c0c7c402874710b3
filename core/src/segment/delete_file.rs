//! Delete vectors on their way to disk.

use std::sync::Arc;

use super::{DeleteVectorRef, SegmentHandle, WriteContext};
use crate::{Error, Result};

/// A file that was written for a segment and that the manifest does not name yet.
pub(crate) struct WrittenDeletes {
    pub segment: Arc<SegmentHandle>,
    pub file: DeleteVectorRef,
}

impl WrittenDeletes {
    pub(crate) fn path(&self) -> String {
        self.segment.meta.delete_vector_path(self.segment.table, self.file.version)
    }
}

/// Writes which rows of a segment ended at or before `until`, durably; `None` when its
/// newest file says so already. No snapshot is older than `horizon`, and no record of the
/// log up to it is replayed any more: replay must tell what ended before a record from what
/// the record ended.
pub(crate) fn write_deletes(
    context: &WriteContext,
    segment: &Arc<SegmentHandle>,
    horizon: u64,
    until: u64,
) -> Result<Option<WrittenDeletes>> {
    let rows = segment.deletes.count_at(until);
    let newest = segment.deletes_file();
    if rows <= newest.map_or(0, |file| file.rows) {
        return Ok(None);
    }
    let bytes = segment.deletes.encode(context.identity(), horizon, until);
    let mut version = newest.map_or(1, |file| file.version + 1);
    loop {
        let file = DeleteVectorRef { version, rows, bytes: bytes.len() as u64 };
        let written = WrittenDeletes { segment: Arc::clone(segment), file };
        let path = written.path();
        let made = context.vfs.put_if_absent(&path, &bytes);
        if made.map_err(|source| Error::Io { path, source })? {
            return Ok(Some(written));
        }
        // What a job that failed has left.
        version += 1;
    }
}
