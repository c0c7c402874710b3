//! Primary key to ordinal: a filter, and behind it a hash index.
//!
//! ```text
//! rows u64 | directory bits u32 | fixed key length u32 (0 = lengths differ)
//! filter     32 bytes x blocks        see [`KeyFilter`]
//! directory  u32 x (2^bits + 1)       first entry of each hash prefix
//! entries    (tag u32, ordinal u32) x rows, by hash (xxh3 of the key)
//! ends       u32 x rows               with keys of different lengths
//! keys       bytes, in the order of the entries
//! footer     form | length of the least key u32 | least key | greatest key
//! ```
//!
//! A key outside the bounds costs two comparisons, one that is not there a look at the
//! filter. One that is there costs the
//! directory slot, about eight entries, and the key itself, which tells it from another
//! with the same tag. Where the segment has a row file, the keys are there and not
//! here. A key may stand in it more than once: versions of one row, of which at most
//! one is live.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use sheaf_formats::envelope::{self, FileKind};
use sheaf_formats::io::ReadAt;

use super::key_filter::KeyFilter;
use super::row_file::RowFile;
use crate::row::key_hash;
use crate::{Error, Result};

const HEADER_LEN: u64 = 16;

/// Entries per directory slot, on average.
const SLOT_ENTRIES: u64 = 8;

/// What the footer begins with: the form that is described above, and the one without
/// bounds.
const FORM: u8 = b'3';
const FORM_WITHOUT_BOUNDS: u8 = b'2';

/// An open key index.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    file: envelope::Reader,
    rows: u64,
    bits: u32,
    fixed_len: u64,
    /// The least and the greatest key.
    bounds: Option<(Bytes, Bytes)>,
    filter: KeyFilter,
    directory: Bytes,
    /// Where the entries begin.
    entries: u64,
}

impl KeyIndex {
    /// Writes the index of `keys`, whose i-th key is that of ordinal i. Without
    /// `with_keys` a row file has them.
    pub(crate) fn write<W: Write>(
        keys: &[&[u8]],
        with_keys: bool,
        out: &mut envelope::Writer<W>,
    ) -> std::io::Result<()> {
        let mut entries: Vec<(u64, u32)> =
            keys.iter().enumerate().map(|(i, key)| (key_hash(key), i as u32)).collect();
        entries.sort_unstable();
        let fixed_len = match keys.first() {
            Some(first) if keys.iter().all(|k| k.len() == first.len()) => first.len() as u32,
            _ => 0,
        };
        let bits = directory_bits(keys.len() as u64);
        out.write_all(&(keys.len() as u64).to_le_bytes())?;
        out.write_all(&bits.to_le_bytes())?;
        out.write_all(&fixed_len.to_le_bytes())?;
        out.write_all(&KeyFilter::build(entries.iter().map(|(hash, _)| *hash)))?;
        let mut next = 0;
        for slot in 0..=(1_u64 << bits) {
            while next < entries.len() && slot_of(entries[next].0, bits) < slot {
                next += 1;
            }
            out.write_all(&(next as u32).to_le_bytes())?;
        }
        for (hash, ordinal) in &entries {
            out.write_all(&tag_of(*hash, bits).to_le_bytes())?;
            out.write_all(&ordinal.to_le_bytes())?;
        }
        if !with_keys {
            return Ok(());
        }
        if fixed_len == 0 {
            let mut end = 0_usize;
            for (_, ordinal) in &entries {
                end += keys[*ordinal as usize].len();
                let end = u32::try_from(end)
                    .map_err(|_| std::io::Error::other("keys of one segment exceed 4 GiB"))?;
                out.write_all(&end.to_le_bytes())?;
            }
        }
        for (_, ordinal) in &entries {
            out.write_all(keys[*ordinal as usize])?;
        }
        Ok(())
    }

    /// The bytes that follow what [`Self::write`] writes.
    pub(crate) fn footer(keys: &[&[u8]]) -> Vec<u8> {
        let least = keys.iter().min().copied().unwrap_or_default();
        let greatest = keys.iter().max().copied().unwrap_or_default();
        let mut footer = vec![FORM];
        footer.extend((least.len() as u32).to_le_bytes());
        footer.extend(least);
        footer.extend(greatest);
        footer
    }

    /// Opens the index of the segment `id` with `rows` rows.
    pub(crate) fn open(file: Arc<dyn ReadAt>, id: u128, rows: u64) -> Result<Self> {
        Self::of(envelope::Reader::open(file, FileKind::KeyIndex, Some(id))?, rows)
    }

    fn of(file: envelope::Reader, rows: u64) -> Result<Self> {
        let name = file.name().to_owned();
        match file.footer().first() {
            Some(&FORM) => {
                let bounds = bounds_of(file.footer()).ok_or_else(|| Error::Corrupt {
                    file: name,
                    what: "its footer is cut".into(),
                })?;
                Self::open_payload(file, rows, Some(bounds))
            }
            Some(&FORM_WITHOUT_BOUNDS) => Self::open_payload(file, rows, None),
            None => Self::of(super::key_index_v1::rewritten(&file, rows)?, rows),
            Some(_) => Err(Error::Incompatible(format!(
                "{name} has a form that this version does not know"
            ))),
        }
    }

    fn open_payload(
        file: envelope::Reader,
        rows: u64,
        bounds: Option<(Bytes, Bytes)>,
    ) -> Result<Self> {
        let corrupt =
            |what: &str| Error::Corrupt { file: file.name().to_owned(), what: what.into() };
        let header = file.read(0, HEADER_LEN as usize)?;
        let (bits, fixed_len) = (u32_at(&header, 8), u32_at(&header, 12));
        if header[..8] != rows.to_le_bytes() || bits != directory_bits(rows) {
            return Err(corrupt("it belongs to a segment of another size"));
        }
        let filter_len = KeyFilter::len(rows);
        let filter = KeyFilter::new(file.read(HEADER_LEN, filter_len)?);
        let directory_at = HEADER_LEN + filter_len as u64;
        let directory = file.read(directory_at, ((1 << bits) + 1) * 4)?;
        let entries = directory_at + directory.len() as u64;
        Ok(Self {
            rows,
            bits,
            fixed_len: fixed_len.into(),
            bounds,
            filter,
            directory,
            entries,
            file,
        })
    }

    /// False when no row has this key, whose hash is `hash`.
    pub(crate) fn may_hold(&self, key: &[u8], hash: u64) -> bool {
        let within = |(least, greatest): &(Bytes, Bytes)| **least <= *key && *key <= **greatest;
        self.bounds.as_ref().is_none_or(within) && self.filter.may_hold(hash)
    }

    /// Ordinals of the rows with this key, whose hash is `hash`.
    pub(crate) fn find(&self, key: &[u8], hash: u64, rows: Option<&RowFile>) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        if self.rows == 0 || !self.may_hold(key, hash) {
            return Ok(found);
        }
        let slot = slot_of(hash, self.bits) as usize * 4;
        let (from, to) = (u32_at(&self.directory, slot), u32_at(&self.directory, slot + 4));
        if from >= to || u64::from(to) > self.rows {
            return Ok(found);
        }
        let len = (to - from) as usize * 8;
        let entries = self.file.read(self.entries + u64::from(from) * 8, len)?;
        let tag = tag_of(hash, self.bits);
        for (i, entry) in entries.chunks_exact(8).enumerate() {
            if u32_at(entry, 0) != tag {
                continue;
            }
            let ordinal = u32_at(entry, 4);
            let same = match rows {
                Some(rows) => rows.key_is(ordinal, key)?,
                None => self.key_is(u64::from(from) + i as u64, key)?,
            };
            if same {
                found.push(ordinal);
            }
        }
        Ok(found)
    }

    /// Every key with its ordinal, by hash.
    pub(crate) fn keys(&self, rows: Option<&RowFile>) -> Result<Vec<(Bytes, u32)>> {
        (0..self.rows)
            .map(|entry| {
                let ordinal = u32_at(&self.file.read(self.entries + entry * 8 + 4, 4)?, 0);
                Ok(match rows {
                    Some(rows) => (rows.key(ordinal)?, ordinal),
                    None => {
                        let (start, len) = self.key_range(entry)?;
                        (self.file.read(start, len)?, ordinal)
                    }
                })
            })
            .collect()
    }

    /// Checks every byte.
    pub(crate) fn verify(&self) -> Result<u64> {
        Ok(self.file.verify_all()?)
    }

    fn key_is(&self, entry: u64, key: &[u8]) -> Result<bool> {
        let (start, len) = self.key_range(entry)?;
        Ok(len == key.len() && self.file.read(start, len)? == key)
    }

    fn key_range(&self, entry: u64) -> Result<(u64, usize)> {
        let ends = self.entries + self.rows * 8;
        if self.fixed_len > 0 {
            return Ok((ends + entry * self.fixed_len, self.fixed_len as usize));
        }
        let blob = ends + self.rows * 4;
        let end = u64::from(u32_at(&self.file.read(ends + entry * 4, 4)?, 0));
        let start = match entry {
            0 => 0,
            _ => u64::from(u32_at(&self.file.read(ends + (entry - 1) * 4, 4)?, 0)),
        };
        Ok((blob + start, end.saturating_sub(start) as usize))
    }
}

/// The least and the greatest key, of a footer.
fn bounds_of(footer: &Bytes) -> Option<(Bytes, Bytes)> {
    let least = u32::from_le_bytes(footer.get(1..5)?.try_into().ok()?) as usize;
    let end = 5_usize.checked_add(least)?;
    (end <= footer.len()).then(|| (footer.slice(5..end), footer.slice(end..)))
}

fn directory_bits(rows: u64) -> u32 {
    (rows / SLOT_ENTRIES).next_power_of_two().trailing_zeros()
}

fn slot_of(hash: u64, bits: u32) -> u64 {
    hash.checked_shr(64 - bits).unwrap_or(0)
}

/// The bits of the hash that follow those of the slot.
fn tag_of(hash: u64, bits: u32) -> u32 {
    ((hash << bits) >> 32) as u32
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use sheaf_formats::envelope::{FileIdentity, Writer};
    use sheaf_formats::io::MemoryFile;

    use super::*;

    fn build(keys: &[&[u8]]) -> KeyIndex {
        let identity = FileIdentity { file_id: 7, ..FileIdentity::default() };
        let mut writer = Writer::new(Vec::new(), FileKind::KeyIndex, identity).unwrap();
        KeyIndex::write(keys, true, &mut writer).unwrap();
        let bytes = writer.finish(&KeyIndex::footer(keys)).unwrap();
        KeyIndex::open(Arc::new(MemoryFile::new("k", bytes)), 7, keys.len() as u64).unwrap()
    }

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        for len in [1_usize, 7, 100, 5000] {
            let fixed: Vec<Vec<u8>> = (0..len as u32).map(|i| i.to_be_bytes().to_vec()).collect();
            let varied: Vec<Vec<u8>> =
                (0..len).map(|i| format!("{}{i}", "x".repeat(i % 5)).into_bytes()).collect();
            for keys in [fixed, varied] {
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                let index = build(&keys);
                for (i, key) in keys.iter().enumerate() {
                    assert_eq!(index.find(key, key_hash(key), None).unwrap(), [i as u32]);
                    assert!(index.may_hold(key, key_hash(key)));
                }
                // The filter has its hash, and the bounds leave it out.
                assert!(!index.may_hold(b"\xff\xff\xff\xff\xff", key_hash(keys[0])));
                assert!(!index.may_hold(b"", key_hash(keys[0])) || keys[0].is_empty());
                assert!(index.find(b"absent", key_hash(b"absent"), None).unwrap().is_empty());
                assert_eq!(index.keys(None).unwrap().len(), len);
            }
        }
    }

    #[test]
    fn versions_of_one_key_are_all_found() {
        let mut found = build(&[b"a", b"b", b"a"]).find(b"a", key_hash(b"a"), None).unwrap();
        found.sort_unstable();
        assert_eq!(found, [0, 2]);
    }
}
