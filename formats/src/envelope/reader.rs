//! Reads a large file at any place and checks every page the first time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::header::{TRAILER_LEN, Trailer, decode_header, u32_at};
use super::{FileIdentity, FileKind, PAGE_LEN, PAYLOAD_OFFSET, checksum, corrupt};
use crate::io::ReadAt;
use crate::{Error, Result};

/// An open file. Clones share what has been checked.
///
/// The file must be immutable: a page that was right once is not checked again.
/// Where the source hands out slices of a mapping, so does this.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: Arc<dyn ReadAt>,
    kind: FileKind,
    identity: FileIdentity,
    payload_len: u64,
    footer: Bytes,
    /// One little-endian CRC32C per page.
    table: Bytes,
    /// One bit per page that was read and found right.
    checked: Vec<AtomicU64>,
}

impl Reader {
    /// Checks header, footer, checksum table and trailer. The payload is checked
    /// as it is read. `expected_file_id` catches a file that lies under another's
    /// name.
    pub fn open(
        file: Arc<dyn ReadAt>,
        kind: FileKind,
        expected_file_id: Option<u128>,
    ) -> Result<Self> {
        let name = file.name().to_owned();
        let len = file.len();
        if len < PAYLOAD_OFFSET + TRAILER_LEN {
            return Err(corrupt(&name, len, "the file is too short for header and trailer"));
        }
        let identity =
            decode_header(&name, &read_exact(&*file, 0, PAYLOAD_OFFSET as usize)?, kind)?;
        if expected_file_id.is_some_and(|id| id != identity.file_id) {
            return Err(corrupt(
                &name,
                32,
                format!("another file lies here, its id is {:032x}", identity.file_id),
            ));
        }

        let trailer_offset = len - TRAILER_LEN;
        let bytes = read_exact(&*file, trailer_offset, TRAILER_LEN as usize)?;
        let trailer = Trailer::decode(&name, trailer_offset, &bytes)?;
        // From here on all lengths add up to the real length of the file.
        if trailer.file_len() != Some(len) {
            return Err(corrupt(&name, trailer_offset, "the lengths do not add up to the file's"));
        }
        if trailer.file_id != identity.file_id || trailer.kind != kind.code() {
            return Err(corrupt(
                &name,
                trailer_offset,
                "header and trailer do not belong together",
            ));
        }

        let footer_offset = PAYLOAD_OFFSET + trailer.payload_len;
        let table_offset = footer_offset + trailer.footer_len;
        let tail_len = memory_len(&name, trailer_offset - footer_offset)?;
        let tail = read_exact(&*file, footer_offset, tail_len)?;
        let footer = tail.slice(..memory_len(&name, trailer.footer_len)?);
        let table = tail.slice(footer.len()..);
        if checksum(identity.file_id, footer_offset, &footer) != trailer.footer_crc {
            return Err(corrupt(&name, footer_offset, "the checksum of the footer does not match"));
        }
        if checksum(identity.file_id, table_offset, &table) != trailer.table_crc {
            return Err(corrupt(&name, table_offset, "the checksum table is damaged"));
        }
        let words = (table.len() / 4).div_ceil(64);
        Ok(Self {
            shared: Arc::new(Shared {
                file,
                kind,
                identity,
                payload_len: trailer.payload_len,
                footer,
                table,
                checked: (0..words).map(|_| AtomicU64::new(0)).collect(),
            }),
        })
    }

    /// Length of the payload in bytes.
    pub fn payload_len(&self) -> u64 {
        self.shared.payload_len
    }

    /// The footer, already checked.
    pub fn footer(&self) -> &Bytes {
        &self.shared.footer
    }

    /// Who wrote the file.
    pub fn identity(&self) -> &FileIdentity {
        &self.shared.identity
    }

    /// What to call the file in an error message.
    pub fn name(&self) -> &str {
        self.shared.file.name()
    }

    /// Length of the whole file in bytes.
    pub fn file_len(&self) -> u64 {
        self.shared.file.len()
    }

    /// Bytes `offset .. offset + len` of the payload.
    pub fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        let end = offset.checked_add(len as u64).filter(|&end| end <= self.shared.payload_len);
        let Some(end) = end else {
            return Err(corrupt(
                self.name(),
                PAYLOAD_OFFSET.saturating_add(offset),
                format!("{len} bytes are wanted here, past the end of the payload"),
            ));
        };
        if len == 0 {
            return Ok(Bytes::new());
        }
        let first = offset / PAGE_LEN;
        let last = (end - 1) / PAGE_LEN;
        if (first..=last).all(|page| self.is_checked(page)) {
            return read_exact(&*self.shared.file, PAYLOAD_OFFSET + offset, len);
        }
        let start = first * PAGE_LEN;
        let pages = self.read_pages(first, last)?;
        let skip = (offset - start) as usize;
        Ok(pages.slice(skip..skip + len))
    }

    /// Reads and checks every page, also those that were checked before. Returns
    /// the length of the file: with the opening, every byte has been checked.
    pub fn verify_all(&self) -> Result<u64> {
        let pages = self.shared.payload_len.div_ceil(PAGE_LEN);
        for page in 0..pages {
            self.shared.checked[(page / 64) as usize]
                .fetch_and(!(1 << (page % 64)), Ordering::Relaxed);
            self.read_pages(page, page)?;
        }
        Self::open(self.shared.file.clone(), self.shared.kind, Some(self.shared.identity.file_id))?;
        Ok(self.shared.file.len())
    }

    /// Whole pages `first..=last`, the last one up to the end of the payload.
    fn read_pages(&self, first: u64, last: u64) -> Result<Bytes> {
        let start = first * PAGE_LEN;
        let end = ((last + 1) * PAGE_LEN).min(self.shared.payload_len);
        let len = memory_len(self.name(), end - start)?;
        let bytes = read_exact(&*self.shared.file, PAYLOAD_OFFSET + start, len)?;
        for (page, content) in (first..=last).zip(bytes.chunks(PAGE_LEN as usize)) {
            if self.is_checked(page) {
                continue;
            }
            let offset = PAYLOAD_OFFSET + page * PAGE_LEN;
            let expected = u32_at(&self.shared.table, page as usize * 4);
            if checksum(self.shared.identity.file_id, offset, content) != expected {
                return Err(corrupt(
                    self.name(),
                    offset,
                    "the checksum of this page does not match",
                ));
            }
            // Two threads may check the same page; both come to the same end.
            self.shared.checked[(page / 64) as usize].fetch_or(1 << (page % 64), Ordering::Release);
        }
        Ok(bytes)
    }

    fn is_checked(&self, page: u64) -> bool {
        let word = self.shared.checked[(page / 64) as usize].load(Ordering::Acquire);
        word & (1 << (page % 64)) != 0
    }
}

fn read_exact(file: &dyn ReadAt, offset: u64, len: usize) -> Result<Bytes> {
    let bytes = file
        .read_at(offset, len)
        .map_err(|source| Error::Io { file: file.name().to_owned(), source })?;
    if bytes.len() != len {
        return Err(corrupt(
            file.name(),
            offset,
            format!("{} bytes were read where {len} were asked for", bytes.len()),
        ));
    }
    Ok(bytes)
}

fn memory_len(name: &str, len: u64) -> Result<usize> {
    usize::try_from(len)
        .map_err(|_| corrupt(name, 0, format!("{len} bytes do not fit into memory")))
}
