//! The envelope around every file of the store: identity, versions, checksums.
//!
//! ```text
//! large files (segments, indexes, ...)            small files (manifest edits, ...)
//! +------------------------------+ 0              +--------------------+ 0
//! | header page, own CRC32C      |                | header, 96 bytes   |
//! +------------------------------+ 4096           +--------------------+ 96
//! | payload                      |                | payload            |
//! +------------------------------+                +--------------------+
//! | footer bytes                 |
//! +------------------------------+
//! | u32 CRC32C per 64 KiB page   |
//! +------------------------------+
//! | trailer, 64 bytes            |
//! +------------------------------+
//! ```
//!
//! The payload starts at a multiple of every alignment in use, so that a mapped
//! payload can be decoded in place. Every checksum is seeded with the file's id
//! and the offset of what it covers, so that a page of another file, or of
//! another place in this one, is noticed too. All numbers are little-endian.

use crate::{Error, Result};

mod header;
mod reader;
mod small;
mod writer;

pub use reader::Reader;
pub use small::{SMALL_HEADER_LEN, decode_small, encode_small};
pub use writer::Writer;

/// Where the payload starts, in bytes from the start of the file.
pub const PAYLOAD_OFFSET: u64 = 4096;

/// Bytes of payload under one checksum.
pub const PAGE_LEN: u64 = 64 * 1024;

/// Version of the envelope that this program writes, and the newest it reads.
pub const FORMAT_VERSION: u16 = 2;

/// What a file is; stored in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum FileKind {
    /// Columnar data.
    Segment = 1,
    /// Primary-key index of a segment.
    KeyIndex = 2,
    /// Unique index of a segment.
    UniqueIndex = 3,
    /// Rows of a segment once more, row by row.
    RowSidecar = 4,
    /// Secondary, text or vector index of a segment.
    Index = 5,
    /// Deleted rows of a segment.
    DeleteVector = 6,
    /// A piece of the write-ahead log.
    Log = 7,
    /// One edit of the manifest.
    ManifestEdit = 8,
    /// The whole manifest at one version.
    Checkpoint = 9,
    /// Rows that an operator put aside while it ran.
    Spill = 10,
}

impl FileKind {
    /// The kind behind a stored code.
    pub fn from_code(code: u16) -> Option<Self> {
        Some(match code {
            1 => Self::Segment,
            2 => Self::KeyIndex,
            3 => Self::UniqueIndex,
            4 => Self::RowSidecar,
            5 => Self::Index,
            6 => Self::DeleteVector,
            7 => Self::Log,
            8 => Self::ManifestEdit,
            9 => Self::Checkpoint,
            10 => Self::Spill,
            _ => return None,
        })
    }

    /// The code that is stored.
    pub fn code(self) -> u16 {
        self as u16
    }
}

impl std::fmt::Display for FileKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Segment => "segment",
            Self::KeyIndex => "key index",
            Self::UniqueIndex => "unique index",
            Self::RowSidecar => "row sidecar",
            Self::Index => "index",
            Self::DeleteVector => "delete vector",
            Self::Log => "log",
            Self::ManifestEdit => "manifest edit",
            Self::Checkpoint => "manifest checkpoint",
            Self::Spill => "spill",
        })
    }
}

/// Which file this is, and who wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// The file's own id, unique for ever.
    pub file_id: u128,
    /// The store it belongs to.
    pub store_id: u128,
    /// Epoch of the writer process, for fencing.
    pub writer_epoch: u64,
    /// Key that the payload is encrypted under; 0 when it is not.
    pub key_id: u32,
    /// Storage tier that holds the file; 0 is local.
    pub location_id: u32,
}

/// CRC32C of `bytes`, seeded with the file and the place they belong to.
fn checksum(file_id: u128, offset: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(checksum_seed(file_id, offset), bytes)
}

/// The state of a checksum before the first byte it covers.
fn checksum_seed(file_id: u128, offset: u64) -> u32 {
    let mut seed = [0; 24];
    seed[..16].copy_from_slice(&file_id.to_le_bytes());
    seed[16..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c(&seed)
}

/// An error for damage found at `offset` of `file`.
fn corrupt(file: &str, offset: u64, what: impl Into<String>) -> Error {
    Error::Corrupt { file: file.to_owned(), offset, what: what.into() }
}

/// Checks what a header says about its reader: kind, version and features.
fn check_compatible(
    file: &str,
    expected: FileKind,
    kind: u16,
    version: u16,
    incompatible: u64,
) -> Result<()> {
    let refuse = |what: String| Err(Error::Incompatible { file: file.to_owned(), what });
    if version == 0 || version > FORMAT_VERSION {
        return refuse(format!(
            "its format version is {version} and this program reads up to {FORMAT_VERSION}: use a newer program"
        ));
    }
    // No incompatible feature exists yet, so any bit is from the future.
    if incompatible != 0 {
        return refuse(format!(
            "it uses features ({incompatible:#x}) this program does not know: use a newer program"
        ));
    }
    match FileKind::from_code(kind) {
        Some(found) if found == expected => Ok(()),
        Some(found) => refuse(format!("it is a {found} file where a {expected} file is needed")),
        None => refuse(format!("its kind {kind} is unknown where a {expected} file is needed")),
    }
}
