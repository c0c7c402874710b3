//! Compresses blocks of a file by themselves, so that threads can share the work:
//! both formats are read as one when members or frames follow each other.

use std::io::Write;

use flate2::write::GzEncoder;

use crate::Result;
use crate::external::{Compression, io_error};

/// The level of Zstandard that its authors made the default.
const ZSTD_LEVEL: i32 = 3;

/// A member or frame of `bytes`.
pub(super) fn compress(name: &str, bytes: Vec<u8>, compression: Compression) -> Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(bytes),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&bytes).and_then(|()| encoder.finish()).map_err(io_error(name))
        }
        Compression::Zstd => zstd::bulk::compress(&bytes, ZSTD_LEVEL).map_err(io_error(name)),
    }
}
