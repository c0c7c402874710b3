//! The form that key indexes had at first: without a filter, with whole hashes.
//!
//! ```text
//! rows u64 | directory bits u32 | fixed key length u32 (0 = lengths differ)
//! directory  u32 x (2^bits + 1)
//! hashes     u64 x rows, sorted
//! ordinals   u32 x rows
//! ends       u32 x rows           only when lengths differ
//! keys       bytes, in the order of the hashes
//! ```
//!
//! Such a file is rewritten in memory when it is opened; compaction replaces it.

use std::sync::Arc;

use sheaf_formats::envelope::{self, FileKind};
use sheaf_formats::io::MemoryFile;

use super::KeyIndex;
use crate::{Error, Result};

/// The same index in the form of today.
pub(super) fn rewritten(file: &envelope::Reader, rows: u64) -> Result<envelope::Reader> {
    let damaged = || Error::Corrupt {
        file: file.name().to_owned(),
        what: "the key index does not fit its segment".into(),
    };
    let bytes = file.read(0, usize::try_from(file.payload_len()).map_err(|_| damaged())?)?;
    let keys = keys_by_ordinal(&bytes, rows).ok_or_else(damaged)?;
    let mut writer = envelope::Writer::new(Vec::new(), FileKind::KeyIndex, *file.identity())?;
    KeyIndex::write(&keys, true, &mut writer)
        .map_err(|source| Error::Io { path: file.name().to_owned(), source })?;
    let bytes = writer.finish(&KeyIndex::footer(&keys))?;
    let memory = Arc::new(MemoryFile::new(file.name(), bytes));
    Ok(envelope::Reader::open(memory, FileKind::KeyIndex, Some(file.identity().file_id))?)
}

fn keys_by_ordinal(bytes: &[u8], rows: u64) -> Option<Vec<&[u8]>> {
    let rows = usize::try_from(rows).ok()?;
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (bits, fixed_len) = (word(8)?, word(12)? as usize);
    let hashes = 16 + (1_usize.checked_shl(bits)? + 1).checked_mul(4)?;
    let ordinals = hashes.checked_add(rows.checked_mul(8)?)?;
    let ends = ordinals + rows * 4;
    let blob = if fixed_len > 0 { ends } else { ends + rows * 4 };
    let mut keys: Vec<&[u8]> = vec![&[]; rows];
    let mut start = 0;
    for entry in 0..rows {
        let end = match fixed_len {
            0 => word(ends + entry * 4)? as usize,
            len => start + len,
        };
        let ordinal = word(ordinals + entry * 4)? as usize;
        *keys.get_mut(ordinal)? = bytes.get(blob + start..blob + end)?;
        start = end;
    }
    Some(keys)
}
