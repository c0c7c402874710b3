//! How a file is to be written.

use crate::external::{Compression, Format};
use crate::{Error, Result};

/// Rows of a Parquet row group when the caller does not say: as many as DuckDB's, so
/// that readers can share a file of a million rows between their threads.
pub const ROW_GROUP_ROWS: usize = 122_880;

/// How a file is to be written. What is `None` follows from the file's name.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// The format; by default the name's ending decides.
    pub format: Option<Format>,
    /// The compression: of the whole file, or of the pages of Parquet. By default the
    /// name's ending decides, and pages of Parquet are compressed with Zstandard.
    pub codec: Option<Codec>,
    /// Threads that encode; they live as long as the writer.
    pub threads: usize,
    /// CSV: whether the first record names the columns.
    pub header: bool,
    /// CSV: what separates fields; by default a comma, and a tab in `.tsv` files.
    pub delimiter: Option<u8>,
    /// CSV: what encloses fields that would be read as something else.
    pub quote: u8,
    /// CSV: the text that stands for NULL.
    pub null: String,
    /// JSON: one array of objects instead of one object per line.
    pub array: bool,
    /// Parquet: rows of a row group.
    pub row_group_rows: usize,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            format: None,
            codec: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            header: true,
            delimiter: None,
            quote: b'"',
            null: String::new(),
            array: false,
            row_group_rows: ROW_GROUP_ROWS,
        }
    }
}

/// What compresses a file or its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Nothing.
    None,
    /// Any file but an Arrow file.
    Gzip,
    /// Any file but an Arrow file.
    Zstd,
    /// Parquet only.
    Snappy,
    /// Parquet only, without frames (`LZ4_RAW`).
    Lz4,
}

impl WriteOptions {
    /// The compression of a file that has none of its own.
    pub fn compression(&self, name: &str) -> Result<Compression> {
        match self.codec {
            None => Ok(Compression::of_name(name)),
            Some(Codec::None) => Ok(Compression::None),
            Some(Codec::Gzip) => Ok(Compression::Gzip),
            Some(Codec::Zstd) => Ok(Compression::Zstd),
            Some(codec @ (Codec::Snappy | Codec::Lz4)) => Err(Error::Invalid(format!(
                "{codec:?} is a compression of Parquet only: others are gzip and zstd"
            ))),
        }
    }
}
