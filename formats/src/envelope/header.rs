//! Header page and trailer of a large file, as bytes.

use super::{
    FORMAT_VERSION, FileIdentity, FileKind, PAGE_LEN, PAYLOAD_OFFSET, check_compatible, corrupt,
};
use crate::Result;

/// First bytes of a large file. The last three catch text-mode transfers.
const MAGIC: [u8; 8] = *b"SHEAF\0\r\n";
/// Last bytes of a large file.
const END_MAGIC: [u8; 8] = *b"\n\r\0FAEHS";

/// Length of the trailer in bytes.
pub(super) const TRAILER_LEN: u64 = 64;

/// Features an older reader may ignore. None exist yet.
const COMPATIBLE_FEATURES: u64 = 0;
/// Features an older reader must not ignore. None exist yet.
const INCOMPATIBLE_FEATURES: u64 = 0;

const HEADER_LEN: usize = PAYLOAD_OFFSET as usize;
const HEADER_CRC: usize = HEADER_LEN - 4;
const TRAILER_CRC: usize = 52;

/// Lengths and checksums that are only known at the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trailer {
    pub(super) payload_len: u64,
    pub(super) footer_len: u64,
    pub(super) footer_crc: u32,
    pub(super) table_crc: u32,
    pub(super) kind: u16,
    pub(super) file_id: u128,
}

impl Trailer {
    /// Number of checksummed pages of the payload.
    pub(super) fn pages(&self) -> u64 {
        self.payload_len.div_ceil(PAGE_LEN)
    }

    /// Length of the whole file, `None` when the numbers overflow.
    pub(super) fn file_len(&self) -> Option<u64> {
        PAYLOAD_OFFSET
            .checked_add(self.payload_len)?
            .checked_add(self.footer_len)?
            .checked_add(self.pages().checked_mul(4)?)?
            .checked_add(TRAILER_LEN)
    }

    pub(super) fn encode(&self) -> [u8; TRAILER_LEN as usize] {
        let mut out = [0; TRAILER_LEN as usize];
        out[0..8].copy_from_slice(&self.payload_len.to_le_bytes());
        out[8..16].copy_from_slice(&self.footer_len.to_le_bytes());
        out[16..20].copy_from_slice(&self.footer_crc.to_le_bytes());
        out[20..24].copy_from_slice(&self.table_crc.to_le_bytes());
        out[24..26].copy_from_slice(&self.kind.to_le_bytes());
        out[26..28].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[28..44].copy_from_slice(&self.file_id.to_le_bytes());
        let crc = crc32c::crc32c(&out[..TRAILER_CRC]);
        out[TRAILER_CRC..TRAILER_CRC + 4].copy_from_slice(&crc.to_le_bytes());
        out[56..64].copy_from_slice(&END_MAGIC);
        out
    }

    /// Reads a trailer that lies at `offset` of `file`.
    pub(super) fn decode(file: &str, offset: u64, bytes: &[u8]) -> Result<Self> {
        if bytes.len() != TRAILER_LEN as usize || bytes[56..64] != END_MAGIC {
            return Err(corrupt(file, offset, "the end of the file is missing"));
        }
        if crc32c::crc32c(&bytes[..TRAILER_CRC]) != u32_at(bytes, TRAILER_CRC) {
            return Err(corrupt(file, offset, "the checksum of the trailer does not match"));
        }
        Ok(Self {
            payload_len: u64_at(bytes, 0),
            footer_len: u64_at(bytes, 8),
            footer_crc: u32_at(bytes, 16),
            table_crc: u32_at(bytes, 20),
            kind: u16_at(bytes, 24),
            file_id: u128_at(bytes, 28),
        })
    }
}

/// The header page of a file.
pub(super) fn encode_header(kind: FileKind, identity: &FileIdentity) -> Vec<u8> {
    let mut out = vec![0; HEADER_LEN];
    out[0..8].copy_from_slice(&MAGIC);
    out[8..10].copy_from_slice(&kind.code().to_le_bytes());
    out[10..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    out[12..16].copy_from_slice(&(PAGE_LEN as u32).to_le_bytes());
    out[16..24].copy_from_slice(&COMPATIBLE_FEATURES.to_le_bytes());
    out[24..32].copy_from_slice(&INCOMPATIBLE_FEATURES.to_le_bytes());
    out[32..48].copy_from_slice(&identity.file_id.to_le_bytes());
    out[48..64].copy_from_slice(&identity.store_id.to_le_bytes());
    out[64..72].copy_from_slice(&identity.writer_epoch.to_le_bytes());
    out[72..76].copy_from_slice(&identity.key_id.to_le_bytes());
    out[76..80].copy_from_slice(&identity.location_id.to_le_bytes());
    let crc = crc32c::crc32c(&out[..HEADER_CRC]);
    out[HEADER_CRC..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Reads a header page; whatever this program cannot read is `Incompatible`.
pub(super) fn decode_header(file: &str, bytes: &[u8], expected: FileKind) -> Result<FileIdentity> {
    if bytes.len() != HEADER_LEN || bytes[0..8] != MAGIC {
        return Err(corrupt(file, 0, "this is not a Sheaf file: its first bytes are different"));
    }
    if crc32c::crc32c(&bytes[..HEADER_CRC]) != u32_at(bytes, HEADER_CRC) {
        return Err(corrupt(file, 0, "the checksum of the header does not match"));
    }
    check_compatible(file, expected, u16_at(bytes, 8), u16_at(bytes, 10), u64_at(bytes, 24))?;
    if u64::from(u32_at(bytes, 12)) != PAGE_LEN {
        return Err(corrupt(file, 12, "the page length is not 64 KiB"));
    }
    Ok(FileIdentity {
        file_id: u128_at(bytes, 32),
        store_id: u128_at(bytes, 48),
        writer_epoch: u64_at(bytes, 64),
        key_id: u32_at(bytes, 72),
        location_id: u32_at(bytes, 76),
    })
}

// The callers have checked the length; these copy fixed-size pieces out.

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
