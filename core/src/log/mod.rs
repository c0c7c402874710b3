//! The write-ahead log: every row transaction, in commit order.
//!
//! ```text
//! wal/{number:020}.wal            ascending; about the first sequence number in it
//! +-----------------------------+ 0
//! | small envelope, kind Log    |   file id, store id, writer epoch, first_seq
//! +-----------------------------+ 104
//! | group                       |   mark: offset known durable before this group
//! |   record, record, ...       |   one per transaction
//! +-----------------------------+
//! | group ...                   |
//! +-----------------------------+
//! | zeros, or an older file     |   room for what comes
//! ```
//!
//! Every frame carries a CRC32C over the file's id, its own offset and its bytes,
//! so that stale bytes of another file or place are noticed: a file that nothing needs any
//! more is written again. Damage at an offset
//! that a later mark calls durable is corruption and an error; damage above it is
//! a torn tail: nothing in it was acknowledged, and recovery cuts it off.

mod compress;
mod format;
mod reader;
mod record;
mod spare;
mod writer;

pub(crate) use compress::compress;
pub(crate) use format::{HEADER_LEN, file_path};
pub(crate) use reader::{LogPosition, list_files, read_from};
pub(crate) use record::{Change, Payload, Record, decode_batch, encode_batch};
pub(crate) use spare::SpareFiles;
pub(crate) use writer::{LogFileInfo, LogWriter};
