//! The compact envelope of files that are read and written whole.

use bytes::Bytes;

use super::header::{u16_at, u32_at, u64_at, u128_at};
use super::{FORMAT_VERSION, FileIdentity, FileKind, check_compatible, checksum, corrupt};
use crate::Result;

/// First bytes of a small file; they differ from a large file's.
const MAGIC: [u8; 8] = *b"sheaf\0\r\n";

/// Length of the header in bytes; the payload follows.
pub const SMALL_HEADER_LEN: usize = 96;

const PAYLOAD_CRC: usize = 88;
const HEADER_CRC: usize = 92;

/// Puts `payload` behind a header with identity and checksums.
pub fn encode_small(kind: FileKind, identity: FileIdentity, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; SMALL_HEADER_LEN];
    out[0..8].copy_from_slice(&MAGIC);
    out[8..10].copy_from_slice(&kind.code().to_le_bytes());
    out[10..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    // Four spare bytes, then compatible and incompatible features, none yet.
    out[32..48].copy_from_slice(&identity.file_id.to_le_bytes());
    out[48..64].copy_from_slice(&identity.store_id.to_le_bytes());
    out[64..72].copy_from_slice(&identity.writer_epoch.to_le_bytes());
    out[72..76].copy_from_slice(&identity.key_id.to_le_bytes());
    out[76..80].copy_from_slice(&identity.location_id.to_le_bytes());
    out[80..88].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    let crc = checksum(identity.file_id, SMALL_HEADER_LEN as u64, payload);
    out[PAYLOAD_CRC..PAYLOAD_CRC + 4].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32c::crc32c(&out[..HEADER_CRC]);
    out[HEADER_CRC..].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(payload);
    out
}

/// Checks a whole small file called `name` and returns its payload.
pub fn decode_small(
    name: &str,
    bytes: impl Into<Bytes>,
    kind: FileKind,
) -> Result<(FileIdentity, Bytes)> {
    let bytes = bytes.into();
    if bytes.len() < SMALL_HEADER_LEN {
        return Err(corrupt(name, bytes.len() as u64, "the file is too short for its header"));
    }
    if bytes[0..8] != MAGIC {
        return Err(corrupt(name, 0, "this is not a Sheaf file: its first bytes are different"));
    }
    if crc32c::crc32c(&bytes[..HEADER_CRC]) != u32_at(&bytes, HEADER_CRC) {
        return Err(corrupt(name, 0, "the checksum of the header does not match"));
    }
    check_compatible(name, kind, u16_at(&bytes, 8), u16_at(&bytes, 10), u64_at(&bytes, 24))?;
    let identity = FileIdentity {
        file_id: u128_at(&bytes, 32),
        store_id: u128_at(&bytes, 48),
        writer_epoch: u64_at(&bytes, 64),
        key_id: u32_at(&bytes, 72),
        location_id: u32_at(&bytes, 76),
    };
    let payload = bytes.slice(SMALL_HEADER_LEN..);
    if u64_at(&bytes, 80) != payload.len() as u64 {
        return Err(corrupt(name, 80, "the length of the payload is not the file's"));
    }
    let crc = checksum(identity.file_id, SMALL_HEADER_LEN as u64, &payload);
    if crc != u32_at(&bytes, PAYLOAD_CRC) {
        return Err(corrupt(
            name,
            SMALL_HEADER_LEN as u64,
            "the checksum of the payload does not match",
        ));
    }
    Ok((identity, payload))
}
