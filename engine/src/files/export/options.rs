//! Options of COPY … TO.

use sheaf_formats::external::Format;
use sheaf_formats::external::write::{Codec, WriteOptions};

use crate::error::{Error, ErrorKind, Result};
use crate::sql::{CopyOption, CopyOptions};

/// All of them; a second name of an option is DuckDB's.
const KNOWN: [&str; 14] = [
    "format",
    "header",
    "delimiter",
    "delim",
    "sep",
    "quote",
    "null",
    "nullstr",
    "compression",
    "codec",
    "array",
    "row_group_size",
    "partition_by",
    "overwrite",
];

/// What COPY … TO is told.
#[derive(Clone, Debug, Default)]
pub(super) struct ExportOptions {
    /// How a file is written.
    pub write: WriteOptions,
    /// Columns whose values name folders instead of being in the files.
    pub partition_by: Vec<String>,
    /// Whether a folder with files in it is replaced.
    pub overwrite: bool,
}

impl ExportOptions {
    pub fn new(options: &CopyOptions) -> Result<Self> {
        options.check(&KNOWN)?;
        let mut export = Self::default();
        for option in options.iter() {
            export.apply(option)?;
        }
        export.fits(options)?;
        Ok(export)
    }

    fn apply(&mut self, option: &CopyOption) -> Result<()> {
        let write = &mut self.write;
        match option.key().as_str() {
            "format" => match option.text()?.to_lowercase().as_str() {
                "csv" => write.format = Some(Format::Csv),
                "parquet" => write.format = Some(Format::Parquet),
                "json" | "ndjson" | "jsonl" => write.format = Some(Format::Json),
                "arrow" | "feather" | "ipc" => write.format = Some(Format::Arrow),
                _ => return Err(option.refused("csv, json, ndjson, parquet or arrow")),
            },
            "header" => write.header = option.boolean()?,
            "delimiter" | "delim" | "sep" => write.delimiter = Some(option.character()?),
            "quote" => write.quote = option.character()?,
            "null" | "nullstr" => write.null = option.text()?,
            "compression" | "codec" => {
                write.codec = match option.text()?.to_lowercase().as_str() {
                    "auto" => None,
                    "none" | "uncompressed" => Some(Codec::None),
                    "gzip" | "gz" => Some(Codec::Gzip),
                    "zstd" | "zst" => Some(Codec::Zstd),
                    "snappy" => Some(Codec::Snappy),
                    "lz4" | "lz4_raw" => Some(Codec::Lz4),
                    _ => return Err(option.refused("auto, none, gzip, zstd, snappy or lz4")),
                }
            }
            "array" => write.array = option.boolean()?,
            "row_group_size" => write.row_group_rows = option.count()?,
            "partition_by" => self.partition_by = option.names()?,
            "overwrite" => self.overwrite = option.boolean()?,
            // The caller has refused others.
            _ => {}
        }
        Ok(())
    }

    /// Refuses options that another option makes meaningless.
    fn fits(&self, options: &CopyOptions) -> Result<()> {
        if self.overwrite && self.partition_by.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                "OVERWRITE is for PARTITION_BY: one file is always replaced",
            ));
        }
        let of = |format: Format| match format {
            Format::Csv => {
                ["header", "delimiter", "delim", "sep", "quote", "null", "nullstr"].as_slice()
            }
            Format::Json => &["array"],
            Format::Parquet => &["row_group_size"],
            Format::Arrow => &[],
        };
        let Some(format) = self.write.format else { return Ok(()) };
        let others = [Format::Csv, Format::Json, Format::Parquet].into_iter();
        for (other, option) in others
            .filter(|other| *other != format)
            .flat_map(|other| options.iter().map(move |option| (other, option)))
        {
            if of(other).contains(&option.key().as_str()) {
                let name = option.key().to_uppercase();
                return Err(Error::new(
                    ErrorKind::InvalidParameter,
                    format!("{name} is an option of {other} files, and the format is {format}"),
                ));
            }
        }
        Ok(())
    }
}
