//! Writes a large file front to back.

use std::io::{self, BufWriter, Write};

use super::header::{Trailer, encode_header};
use super::{FileIdentity, FileKind, PAGE_LEN, PAYLOAD_OFFSET, checksum, checksum_seed};
use crate::{Error, Result};

/// Bytes gathered before they are handed on; larger writes pass straight through.
const BUFFER_LEN: usize = 128 * 1024;

/// Takes a payload through [`Write`], computes its checksums on the way and
/// closes the file with [`finish`](Self::finish). A file whose writer was dropped
/// before that has no trailer and is refused by the reader.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: BufWriter<W>,
    kind: FileKind,
    identity: FileIdentity,
    payload_len: u64,
    /// Checksums of whole pages.
    table: Vec<u32>,
    /// Checksum of the page being filled.
    page: u32,
}

impl<W: Write> Writer<W> {
    /// Starts a file with its header page.
    pub fn new(out: W, kind: FileKind, identity: FileIdentity) -> Result<Self> {
        let mut out = BufWriter::with_capacity(BUFFER_LEN, out);
        out.write_all(&encode_header(kind, &identity)).map_err(|e| failed(&identity, e))?;
        Ok(Self {
            out,
            kind,
            identity,
            payload_len: 0,
            table: Vec::new(),
            page: checksum_seed(identity.file_id, PAYLOAD_OFFSET),
        })
    }

    /// Bytes of payload taken so far.
    pub fn payload_len(&self) -> u64 {
        self.payload_len
    }

    /// The identity in the header.
    pub fn identity(&self) -> &FileIdentity {
        &self.identity
    }

    /// Writes `footer`, the checksums and the trailer, flushes, and gives the
    /// output back for syncing.
    pub fn finish(mut self, footer: &[u8]) -> Result<W> {
        if !self.payload_len.is_multiple_of(PAGE_LEN) {
            self.table.push(self.page);
        }
        let file_id = self.identity.file_id;
        let footer_offset = PAYLOAD_OFFSET + self.payload_len;
        let table_offset = footer_offset + footer.len() as u64;
        let table: Vec<u8> = self.table.iter().flat_map(|crc| crc.to_le_bytes()).collect();
        let trailer = Trailer {
            payload_len: self.payload_len,
            footer_len: footer.len() as u64,
            footer_crc: checksum(file_id, footer_offset, footer),
            table_crc: checksum(file_id, table_offset, &table),
            kind: self.kind.code(),
            file_id,
        };
        let identity = self.identity;
        let mut end = || {
            self.out.write_all(footer)?;
            self.out.write_all(&table)?;
            self.out.write_all(&trailer.encode())?;
            self.out.flush()
        };
        end().map_err(|e| failed(&identity, e))?;
        self.out.into_inner().map_err(|e| failed(&identity, e.into_error()))
    }

    /// Brings the checksums up to date with `bytes` of payload.
    fn account(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = PAGE_LEN - self.payload_len % PAGE_LEN;
            let take = bytes.len().min(room as usize);
            self.page = crc32c::crc32c_append(self.page, &bytes[..take]);
            self.payload_len += take as u64;
            if self.payload_len.is_multiple_of(PAGE_LEN) {
                self.table.push(self.page);
                self.page = checksum_seed(self.identity.file_id, PAYLOAD_OFFSET + self.payload_len);
            }
            bytes = &bytes[take..];
        }
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.account(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn failed(identity: &FileIdentity, source: io::Error) -> Error {
    Error::Io { file: format!("file {:032x}", identity.file_id), source }
}
