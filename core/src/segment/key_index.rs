//! Primary key to ordinal: a hash index with the keys beside it.
//!
//! ```text
//! rows u64 | directory bits u32 | fixed key length u32 (0 = lengths differ)
//! directory  u32 x (2^bits + 1)   first entry of each hash prefix
//! hashes     u64 x rows           sorted; xxh3 of the key
//! ordinals   u32 x rows
//! ends       u32 x rows           only when lengths differ
//! keys       bytes
//! ```
//!
//! A lookup reads one directory slot, about eight hashes, and on a hit one key, so
//! a miss touches two cache lines. A key may stand in it more than once: versions
//! of one row, of which at most one is live.

use std::io::Write;
use std::sync::Arc;

use sheaf_formats::envelope::{self, FileKind};
use sheaf_formats::io::ReadAt;
use xxhash_rust::xxh3::xxh3_64;

use crate::{Error, Result};

const HEADER_LEN: u64 = 16;

/// Entries per directory slot, on average.
const SLOT_ENTRIES: u64 = 8;

/// An open key index.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    file: envelope::Reader,
    rows: u64,
    bits: u32,
    fixed_len: u64,
}

impl KeyIndex {
    /// Writes the index of `keys`, whose i-th key is that of ordinal i.
    pub(crate) fn write<W: Write>(keys: &[&[u8]], out: &mut W) -> std::io::Result<()> {
        let mut entries: Vec<(u64, u32)> =
            keys.iter().enumerate().map(|(i, key)| (xxh3_64(key), i as u32)).collect();
        entries.sort_unstable();
        let fixed_len = match keys.first() {
            Some(first) if keys.iter().all(|k| k.len() == first.len()) => first.len() as u32,
            _ => 0,
        };
        let bits = directory_bits(keys.len() as u64);
        out.write_all(&(keys.len() as u64).to_le_bytes())?;
        out.write_all(&bits.to_le_bytes())?;
        out.write_all(&fixed_len.to_le_bytes())?;
        let mut next = 0;
        for slot in 0..=(1_u64 << bits) {
            while next < entries.len() && slot_of(entries[next].0, bits) < slot {
                next += 1;
            }
            out.write_all(&(next as u32).to_le_bytes())?;
        }
        for (hash, _) in &entries {
            out.write_all(&hash.to_le_bytes())?;
        }
        for (_, ordinal) in &entries {
            out.write_all(&ordinal.to_le_bytes())?;
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

    /// Opens the index of the segment `id` with `rows` rows.
    pub(crate) fn open(file: Arc<dyn ReadAt>, id: u128, rows: u64) -> Result<Self> {
        let file = envelope::Reader::open(file, FileKind::KeyIndex, Some(id))?;
        let corrupt =
            |what: &str| Error::Corrupt { file: file.name().to_owned(), what: what.into() };
        let header = file.read(0, HEADER_LEN as usize)?;
        let word = |at: usize| header[at..at + 4].try_into().map(u32::from_le_bytes);
        let stored = header[..8].try_into().map(u64::from_le_bytes);
        let (Ok(stored), Ok(bits), Ok(fixed_len)) = (stored, word(8), word(12)) else {
            return Err(corrupt("its header is cut"));
        };
        if stored != rows || bits != directory_bits(rows) {
            return Err(corrupt("it belongs to a segment of another size"));
        }
        Ok(Self { file: file.clone(), rows, bits, fixed_len: u64::from(fixed_len) })
    }

    /// Ordinals of the rows with this key.
    pub(crate) fn find(&self, key: &[u8]) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        if self.rows == 0 {
            return Ok(found);
        }
        let hash = xxh3_64(key);
        let slot = slot_of(hash, self.bits);
        let bounds = self.file.read(HEADER_LEN + slot * 4, 8)?;
        let (from, to) = (u64::from(u32_at(&bounds, 0)), u64::from(u32_at(&bounds, 4)));
        if from >= to || to > self.rows {
            return Ok(found);
        }
        let hashes = self.file.read(self.hashes() + from * 8, ((to - from) * 8) as usize)?;
        for (i, stored) in hashes.chunks_exact(8).enumerate() {
            if *stored == hash.to_le_bytes() {
                let entry = from + i as u64;
                if self.key_is(entry, key)? {
                    let ordinal = self.file.read(self.ordinals() + entry * 4, 4)?;
                    found.push(u32_at(&ordinal, 0));
                }
            }
        }
        Ok(found)
    }

    /// Every key with its ordinal, in hash order.
    pub(crate) fn entries(&self) -> Result<Vec<(bytes::Bytes, u32)>> {
        (0..self.rows)
            .map(|entry| {
                let (start, len) = self.key_range(entry)?;
                let key = self.file.read(start, len)?;
                let ordinal = self.file.read(self.ordinals() + entry * 4, 4)?;
                Ok((key, u32_at(&ordinal, 0)))
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
        let ends = self.ordinals() + self.rows * 4;
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

    fn hashes(&self) -> u64 {
        HEADER_LEN + ((1 << self.bits) + 1) * 4
    }

    fn ordinals(&self) -> u64 {
        self.hashes() + self.rows * 8
    }
}

fn directory_bits(rows: u64) -> u32 {
    (rows / SLOT_ENTRIES).next_power_of_two().trailing_zeros()
}

fn slot_of(hash: u64, bits: u32) -> u64 {
    hash.checked_shr(64 - bits).unwrap_or(0)
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
        KeyIndex::write(keys, &mut writer).unwrap();
        let bytes = writer.finish(&[]).unwrap();
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
                    assert_eq!(index.find(key).unwrap(), [i as u32]);
                }
                assert!(index.find(b"absent").unwrap().is_empty());
                assert_eq!(index.entries().unwrap().len(), len);
            }
        }
    }

    #[test]
    fn versions_of_one_key_are_all_found() {
        let mut found = build(&[b"a", b"b", b"a"]).find(b"a").unwrap();
        found.sort_unstable();
        assert_eq!(found, [0, 2]);
    }
}
