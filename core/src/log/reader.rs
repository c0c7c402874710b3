//! Reading the log back: recovery, read-only openers, verification.

use std::io;

use super::format::{ALIGNMENT, FrameKind, HEADER_LEN, decode_header, frame_at};
use super::{Record, file_path};
use crate::vfs::Vfs;
use crate::{Error, Result};

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogPosition {
    /// The file, by its first sequence number.
    pub first_seq: u64,
    /// Offset in it, in bytes.
    pub offset: u64,
}

/// How reading one file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadOutcome {
    /// The end of the last whole record.
    pub end: u64,
    /// Bytes after it: room for more, or a torn tail.
    pub after: u64,
}

/// First sequence numbers of the log files, in order.
pub(crate) fn list_files(vfs: &dyn Vfs) -> Result<Vec<u64>> {
    let names = vfs.list("wal").map_err(|source| Error::Io { path: "wal".into(), source })?;
    Ok(names.iter().filter_map(|n| n.strip_suffix(".wal")?.parse().ok()).collect())
}

/// Reads the records of one file from `from` on, up to `until` where the caller
/// knows how far the file is durable. Fails with [`Error::Corrupt`] on damage
/// below an offset that the file itself, or `until`, calls durable.
pub(crate) fn read_from(
    vfs: &dyn Vfs,
    from: LogPosition,
    until: Option<u64>,
    mut each: impl FnMut(Record) -> Result<()>,
) -> Result<ReadOutcome> {
    let path = file_path(from.first_seq);
    let mut bytes =
        vfs.read(&path).map_err(|source: io::Error| Error::Io { path: path.clone(), source })?;
    if let Some(until) = until {
        bytes.truncate(until as usize);
    }
    if bytes.len() < HEADER_LEN as usize {
        // Files are made durable with their header before the first record, so a
        // shorter one never held any.
        return Ok(ReadOutcome { end: 0, after: bytes.len() as u64 });
    }
    let (identity, first_seq) = decode_header(&path, &bytes)?;
    if first_seq != from.first_seq {
        return Err(corrupt(&path, format!("it starts at {first_seq}")));
    }
    let mut offset = from.offset.max(HEADER_LEN) as usize;
    while let Some((kind, body, next)) = frame_at(&bytes, identity.file_id, offset) {
        if kind == FrameKind::Record {
            each(Record::decode(body)?)?;
        }
        offset = next.min(bytes.len());
    }
    // What follows is no frame of this file: zeros, what is left of the file that it was
    // before, or damage. Then a later mark may tell that it was acknowledged.
    let known = match until {
        Some(until) => until,
        None => last_mark(&bytes, identity.file_id, offset),
    };
    if known > offset as u64 {
        return Err(corrupt(
            &path,
            format!("byte {offset} is damaged, and bytes up to {known} were acknowledged"),
        ));
    }
    let after = (bytes.len() - offset) as u64;
    Ok(ReadOutcome { end: offset as u64, after })
}

/// The largest durable offset that a whole mark after `offset` speaks of.
fn last_mark(bytes: &bytes::Bytes, file_id: u128, offset: usize) -> u64 {
    (offset..bytes.len())
        .step_by(ALIGNMENT)
        .filter_map(|at| match frame_at(bytes, file_id, at)? {
            (FrameKind::Mark, body, _) => Some(u64::from_le_bytes(body.as_ref().try_into().ok()?)),
            _ => None,
        })
        .max()
        .unwrap_or(0)
}

fn corrupt(file: &str, what: String) -> Error {
    Error::Corrupt { file: file.to_owned(), what }
}
