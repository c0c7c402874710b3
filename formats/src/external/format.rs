//! Which formats and compressions there are, and which of them a file's name tells.

use crate::{Error, Result};

/// Formats of files from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text with one record per line, RFC 4180 and its common variants.
    Csv,
    /// JSON: one value per line, or one array of values.
    Json,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, the file or the stream.
    Arrow,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        })
    }
}

impl Format {
    /// The format that the ending of `name` stands for; `.gz` and `.zst` do not count.
    pub fn of_name(name: &str) -> Result<Self> {
        let (stem, _) = Compression::split(name);
        let file = stem.rsplit('/').next().unwrap_or(stem);
        let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Ok(Self::Csv),
            "json" | "ndjson" | "jsonl" => Ok(Self::Json),
            "parquet" => Ok(Self::Parquet),
            "arrow" | "arrows" | "feather" | "ipc" => Ok(Self::Arrow),
            "" => Err(Error::Invalid(format!(
                "{name} has no ending that tells its format: say whether it is CSV, JSON, Parquet or Arrow"
            ))),
            other => Err(Error::Invalid(format!(
                "{name}: .{other} is not the ending of a format; .csv, .tsv, .json, .ndjson, .jsonl, .parquet and .arrow are, or say the format"
            ))),
        }
    }
}

/// How the bytes of a file are compressed as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// They are not.
    #[default]
    None,
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, one frame or several.
    Zstd,
}

impl Compression {
    /// The compression that the ending of `name` stands for.
    pub fn of_name(name: &str) -> Self {
        Self::split(name).1
    }

    /// A name without the ending of its compression, and the compression.
    pub(super) fn split(name: &str) -> (&str, Self) {
        // The query of a URL, such as a signature, is no part of the file's name.
        let name = match name.contains("://") {
            true => name.split(['?', '#']).next().unwrap_or(name),
            false => name,
        };
        let lower = name.to_ascii_lowercase();
        for (ending, compression) in [
            (".gz", Self::Gzip),
            (".gzip", Self::Gzip),
            (".zst", Self::Zstd),
            (".zstd", Self::Zstd),
        ] {
            if lower.ends_with(ending) {
                return (&name[..name.len() - ending.len()], compression);
            }
        }
        (name, Self::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_formats() {
        assert_eq!(Format::of_name("a/B.TSV").unwrap(), Format::Csv);
        assert_eq!(Format::of_name("x.parquet").unwrap(), Format::Parquet);
        assert_eq!(Format::of_name("s3://b/x.jsonl.gz").unwrap(), Format::Json);
        assert_eq!(Compression::of_name("x.csv.ZST"), Compression::Zstd);
        assert_eq!(Format::of_name("https://h/x.csv.gz?sig=a.b/c").unwrap(), Format::Csv);
        assert_eq!(Compression::of_name("https://h/x.csv.gz?sig=a.b/c"), Compression::Gzip);
        let message = Format::of_name("x.xlsx").unwrap_err().to_string();
        assert!(message.contains(".xlsx") && message.contains(".csv"), "{message}");
        assert!(Format::of_name("plain").is_err());
        assert!(Format::of_name("a.csv/plain").is_err());
    }
}
