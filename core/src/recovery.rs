//! From files to a running state: manifest, delete vectors, log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ulid::Ulid;

use crate::commit::replay;
use crate::log::{self, LogFileInfo, LogPosition};
use crate::manifest::ManifestState;
use crate::memtable::Memtable;
use crate::segment::SegmentHandle;
use crate::state::{State, TableState};
use crate::vfs::Vfs;
use crate::{Error, Result};

/// What recovery found.
pub(crate) struct Recovered {
    pub state: State,
    /// The largest sequence number of log and manifest.
    pub last_seq: u64,
    pub log_files: Vec<LogFileInfo>,
    /// Where the log ended.
    pub end: Option<LogPosition>,
    pub store_id: u128,
}

/// The state as the manifest alone describes it. Open segments of `before` are used
/// again, because their files are immutable.
pub(crate) fn state_of(
    vfs: &Arc<dyn Vfs>,
    manifest: &ManifestState,
    before: Option<&State>,
) -> Result<State> {
    let mut state = State {
        catalog: Arc::clone(&manifest.catalog),
        manifest_version: manifest.version,
        ..State::default()
    };
    for (id, def) in &manifest.catalog.tables {
        let files = manifest.tables.get(id).cloned().unwrap_or_default();
        let known: HashMap<u128, &Arc<SegmentHandle>> = before
            .and_then(|s| s.tables.get(id))
            .map(|t| t.segments.iter().map(|s| (s.meta.id, s)).collect())
            .unwrap_or_default();
        let mut segments = Vec::with_capacity(files.segments.len());
        for meta in files.segments.into_values() {
            segments.push(match known.get(&meta.id) {
                Some(handle) if meta.deletes == handle.meta.deletes => Arc::clone(handle),
                _ => SegmentHandle::open(vfs, def, meta)?,
            });
        }
        let table = TableState {
            def: Arc::clone(def),
            active: Memtable::new(def)?,
            immutable: Vec::new(),
            segments,
            flushed_seq: files.flushed_seq,
            truncated_seq: 0,
            next_rowid: Arc::new(AtomicU64::new(files.next_rowid.max(1))),
            unresolved: Arc::default(),
        };
        state.tables.insert(*id, Arc::new(table));
    }
    Ok(state)
}

/// Replays the log on top of the manifest. A writer cuts a torn tail off; a reader
/// stops at `durable`, where the writer beside it says that it is.
pub(crate) fn recover(
    vfs: &Arc<dyn Vfs>,
    manifest: &ManifestState,
    writer: bool,
    durable: Option<(u64, u64)>,
) -> Result<Recovered> {
    let state = state_of(vfs, manifest, None)?;
    let files = log::list_files(vfs.as_ref())?;
    let mut last_seq = manifest.seq;
    let mut log_files = Vec::with_capacity(files.len());
    let mut end = None;
    for (i, first_seq) in files.iter().enumerate() {
        let path = log::file_path(*first_seq);
        let until = match durable {
            Some((file, offset)) if file == *first_seq => Some(offset),
            // The writer is not there yet.
            Some((file, _)) if file < *first_seq => break,
            _ => None,
        };
        let mut info = LogFileInfo { path: path.clone(), ..LogFileInfo::default() };
        let from = LogPosition { first_seq: *first_seq, offset: log::HEADER_LEN };
        let outcome = log::read_from(vfs.as_ref(), from, until, |record| {
            last_seq = last_seq.max(record.seq);
            info.note(&record);
            replay(&state, &record)
        })?;
        if outcome.after > 0 && i + 1 < files.len() && durable.is_none() {
            // The next file is only made after this one is durable as a whole.
            return Err(Error::Corrupt {
                file: path,
                what: format!("it is damaged at byte {}, and a later file follows", outcome.end),
            });
        }
        if writer && i + 1 == files.len() {
            if outcome.after > 0 {
                tracing::info!(path, bytes = outcome.after, "cutting off what follows the log");
            }
            if outcome.end < log::HEADER_LEN {
                vfs.delete(&path).map_err(|source| Error::Io { path, source })?;
                continue;
            }
            // Also without a tail to cut: a writer that was killed may have left
            // records that no sync has reached, and what is built on them now must
            // not outlive them (I10).
            vfs.truncate(&path, outcome.end).map_err(|source| Error::Io { path, source })?;
        }
        info.bytes = outcome.end;
        log_files.push(info);
        end = Some(LogPosition { first_seq: *first_seq, offset: outcome.end.max(log::HEADER_LEN) });
    }
    let store_id = Ulid::from_string(&manifest.store_id)
        .map_err(|e| Error::Incompatible(format!("the manifest's store id is not a ULID: {e}")))?
        .0;
    Ok(Recovered { state, last_seq, log_files, end, store_id })
}
