//! Bounds the memory that one record can take.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest record that is read: a quote that is never closed must not read a whole
/// file into memory.
const RECORD_LEN_MAX: u64 = 256 << 20;
/// Stops a record that does not end.
pub(super) struct Budgeted {
    pub(super) input: BufReader<io::Chain<Cursor<Vec<u8>>, File>>,
    /// Bytes read since the last record.
    pub(super) used: Arc<AtomicU64>,
}

impl Read for Budgeted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.input.read(out)?;
        let used = self.used.fetch_add(len as u64, Ordering::Relaxed) + len as u64;
        if used > RECORD_LEN_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a record is longer than 256 MiB: is a quote never closed?",
            ));
        }
        Ok(len)
    }
}
