//! Reading and extending the manifest on disk.

use std::sync::Arc;

use sheaf_formats::envelope::{FileKind, decode_small, encode_small};

use super::{Edit, EditOp, ManifestState};
use crate::segment::WriteContext;
use crate::vfs::Vfs;
use crate::{Error, Result};

/// Edits between checkpoints.
const CHECKPOINT_EVERY: u64 = 64;

/// The manifest of a database open for writing. Used by the committer alone.
pub(crate) struct ManifestLog {
    context: WriteContext,
    state: ManifestState,
    checkpointed: u64,
}

impl ManifestLog {
    /// Takes over at `state`.
    pub(crate) fn new(context: WriteContext, state: ManifestState) -> Self {
        let checkpointed = state.version - state.version % CHECKPOINT_EVERY;
        Self { context, state, checkpointed }
    }

    pub(crate) fn state(&self) -> &ManifestState {
        &self.state
    }

    /// Makes an edit durable. Fails with [`Error::Stopped`] when another writer has
    /// taken the version: this one has been fenced off.
    pub(crate) fn commit(&mut self, seq: u64, ops: Vec<EditOp>) -> Result<u64> {
        let edit = Edit {
            version: self.state.version + 1,
            seq,
            writer_epoch: self.context.writer_epoch,
            timestamp_us: self.context.clock.now_us(),
            ops,
        };
        let path = edit_path(edit.version);
        let bytes = encode(&self.context, FileKind::ManifestEdit, &edit)?;
        let made = self
            .context
            .vfs
            .put_if_absent(&path, &bytes)
            .map_err(|source| Error::Io { path: path.clone(), source })?;
        if !made {
            return Err(Error::Stopped(format!("another writer made {path}")));
        }
        self.state.apply(&edit);
        Ok(edit.version)
    }

    /// Writes a checkpoint when enough edits have gathered; returns its version.
    pub(crate) fn checkpoint_if_due(&mut self) -> Result<Option<u64>> {
        if self.state.version < self.checkpointed + CHECKPOINT_EVERY {
            return Ok(None);
        }
        let path = checkpoint_path(self.state.version);
        let bytes = encode(&self.context, FileKind::Checkpoint, &self.state)?;
        self.context
            .vfs
            .put_if_absent(&path, &bytes)
            .map_err(|source| Error::Io { path, source })?;
        self.checkpointed = self.state.version;
        Ok(Some(self.checkpointed))
    }
}

/// Removes what a reader at `keep_from` or later does not need: everything below
/// the newest checkpoint at or before it.
pub(crate) fn collect(vfs: &dyn Vfs, keep_from: u64) -> Result<u64> {
    let files = list(vfs)?;
    let Some(checkpoint) = files.checkpoints.iter().rev().find(|v| **v <= keep_from) else {
        return Ok(0);
    };
    let old =
        files.edits.iter().filter(|v| *v <= checkpoint).map(|v| edit_path(*v)).chain(
            files.checkpoints.iter().filter(|v| *v < checkpoint).map(|v| checkpoint_path(*v)),
        );
    let mut removed = 0;
    for path in old {
        vfs.delete(&path).map_err(|source| Error::Io { path, source })?;
        removed += 1;
    }
    Ok(removed)
}

struct Files {
    edits: Vec<u64>,
    checkpoints: Vec<u64>,
}

fn list(vfs: &dyn Vfs) -> Result<Files> {
    let names =
        vfs.list("manifest").map_err(|source| Error::Io { path: "manifest".into(), source })?;
    let versions =
        |suffix: &str| names.iter().filter_map(|n| n.strip_suffix(suffix)?.parse().ok()).collect();
    Ok(Files { edits: versions(".edit"), checkpoints: versions(".ckpt") })
}

/// The newest state, or `None` when there is no manifest.
pub(crate) fn load(vfs: &dyn Vfs) -> Result<Option<ManifestState>> {
    let files = list(vfs)?;
    let mut state = match files.checkpoints.last() {
        Some(version) => {
            let path = checkpoint_path(*version);
            Some(decode::<ManifestState>(vfs, &path, FileKind::Checkpoint)?)
        }
        None => None,
    };
    for version in files.edits {
        if state.as_ref().is_some_and(|s| version <= s.version) {
            continue;
        }
        let path = edit_path(version);
        let edit: Edit = decode(vfs, &path, FileKind::ManifestEdit)?;
        let expected = state.as_ref().map_or(1, |s| s.version + 1);
        if edit.version != version || version != expected {
            return Err(Error::Corrupt {
                file: path,
                what: format!("it is version {}, and {expected} is missing", edit.version),
            });
        }
        let current = match &mut state {
            Some(current) => current,
            None => state.insert(ManifestState::new(store_id_of(vfs, &path)?)),
        };
        current.apply(&edit);
    }
    Ok(state)
}

/// Whether an edit after `version` is there.
pub(crate) fn next_exists(vfs: &dyn Vfs, version: u64) -> Result<bool> {
    let path = edit_path(version + 1);
    vfs.exists(&path).map_err(|source| Error::Io { path, source })
}

/// Reads every file of the manifest; returns files and bytes.
pub(crate) fn verify(vfs: &dyn Vfs) -> Result<(u64, u64)> {
    let files = list(vfs)?;
    let mut bytes = 0;
    let count = files.edits.len() + files.checkpoints.len();
    for version in files.checkpoints {
        let path = checkpoint_path(version);
        decode::<ManifestState>(vfs, &path, FileKind::Checkpoint)?;
        bytes += read(vfs, &path)?.len() as u64;
    }
    for version in files.edits {
        let path = edit_path(version);
        decode::<Edit>(vfs, &path, FileKind::ManifestEdit)?;
        bytes += read(vfs, &path)?.len() as u64;
    }
    Ok((count as u64, bytes))
}

fn edit_path(version: u64) -> String {
    format!("manifest/{version:020}.edit")
}

fn checkpoint_path(version: u64) -> String {
    format!("manifest/{version:020}.ckpt")
}

fn encode<T: serde::Serialize>(
    context: &WriteContext,
    kind: FileKind,
    body: &T,
) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(body)
        .map_err(|e| Error::Invalid(format!("the manifest cannot be encoded: {e}")))?;
    Ok(encode_small(kind, context.identity(), &json))
}

fn read(vfs: &dyn Vfs, path: &str) -> Result<bytes::Bytes> {
    vfs.read(path).map_err(|source| Error::Io { path: path.to_owned(), source })
}

fn decode<T: serde::de::DeserializeOwned>(vfs: &dyn Vfs, path: &str, kind: FileKind) -> Result<T> {
    let (_, body) = decode_small(path, read(vfs, path)?, kind)?;
    serde_json::from_slice(&body).map_err(|e| {
        Error::Incompatible(format!("{path} has a form that this version does not know: {e}"))
    })
}

fn store_id_of(vfs: &dyn Vfs, path: &str) -> Result<String> {
    let (identity, _) = decode_small(path, read(vfs, path)?, FileKind::ManifestEdit)?;
    Ok(ulid::Ulid(identity.store_id).to_string())
}

/// The first edit of a new database.
pub(crate) fn create(context: &WriteContext) -> Result<ManifestState> {
    let state = ManifestState::new(ulid::Ulid(context.store_id).to_string());
    let mut log = ManifestLog::new(context.clone(), state);
    let catalog = Arc::clone(&log.state.catalog);
    log.commit(0, vec![EditOp::SetCatalog(catalog)])?;
    Ok(log.state)
}
