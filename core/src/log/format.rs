//! Frames of the log: header, checksums, alignment.

use bytes::Bytes;
use sheaf_formats::envelope::{
    FileIdentity, FileKind, SMALL_HEADER_LEN, decode_small, encode_small,
};

use crate::Result;

/// Bytes before the first frame.
pub(crate) const HEADER_LEN: u64 = SMALL_HEADER_LEN as u64 + 8;

/// Frames start at multiples of this, so that a search for one can stride.
pub(crate) const ALIGNMENT: usize = 8;

/// magic u32, kind u32, body length u32, CRC32C u32.
pub(crate) const FRAME_HEADER_LEN: usize = 16;

const MAGIC: [u8; 4] = *b"SHFR";

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// The offset known durable when the following group was written.
    Mark = 1,
    /// A transaction.
    Record = 2,
}

/// The name of the log file that starts at `first_seq`.
pub(crate) fn file_path(first_seq: u64) -> String {
    format!("wal/{first_seq:020}.wal")
}

/// The bytes before the first frame.
pub(crate) fn encode_header(identity: FileIdentity, first_seq: u64) -> Vec<u8> {
    encode_small(FileKind::Log, identity, &first_seq.to_le_bytes())
}

/// Identity and first sequence number of a log file.
pub(crate) fn decode_header(name: &str, bytes: &Bytes) -> Result<(FileIdentity, u64)> {
    let head = bytes.slice(..bytes.len().min(HEADER_LEN as usize));
    let (identity, payload) = decode_small(name, head, FileKind::Log)?;
    let first = payload.as_ref().try_into().map(u64::from_le_bytes).map_err(|_| {
        crate::Error::Corrupt { file: name.to_owned(), what: "its header is cut".into() }
    })?;
    Ok((identity, first))
}

/// Appends a frame that will stand at `offset` of the file `file_id`; `body` appends what
/// it holds.
pub(crate) fn push_frame(
    out: &mut Vec<u8>,
    file_id: u128,
    offset: u64,
    kind: FrameKind,
    body: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&(kind as u32).to_le_bytes());
    let rest = out.len();
    out.extend_from_slice(&[0; 8]);
    let start = out.len();
    body(out);
    let len = (out.len() - start) as u32;
    let sum = checksum(file_id, offset, kind as u32, &out[start..]);
    out[rest..rest + 4].copy_from_slice(&len.to_le_bytes());
    out[rest + 4..start].copy_from_slice(&sum.to_le_bytes());
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

/// The frame at `offset`, and the offset after it; `None` when there is no whole,
/// undamaged frame.
pub(crate) fn frame_at(
    bytes: &Bytes,
    file_id: u128,
    offset: usize,
) -> Option<(FrameKind, Bytes, usize)> {
    let header = bytes.get(offset..offset.checked_add(FRAME_HEADER_LEN)?)?;
    if header[..4] != MAGIC {
        return None;
    }
    let word =
        |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
    let (kind, len, crc) = (word(4), word(8) as usize, word(12));
    let start = offset + FRAME_HEADER_LEN;
    let end = start.checked_add(len)?;
    if end > bytes.len() {
        return None;
    }
    let body = bytes.slice(start..end);
    if checksum(file_id, offset as u64, kind, &body) != crc {
        return None;
    }
    let kind = match kind {
        1 => FrameKind::Mark,
        2 => FrameKind::Record,
        _ => return None,
    };
    Some((kind, body, end.next_multiple_of(ALIGNMENT)))
}

fn checksum(file_id: u128, offset: u64, kind: u32, body: &[u8]) -> u32 {
    let mut place = [0; 32];
    place[..16].copy_from_slice(&file_id.to_le_bytes());
    place[16..24].copy_from_slice(&offset.to_le_bytes());
    place[24..28].copy_from_slice(&kind.to_le_bytes());
    place[28..].copy_from_slice(&(body.len() as u32).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), body)
}
