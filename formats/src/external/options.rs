//! How files are to be read. What is not said is found out from the files.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};

use super::format::{Compression, Format};
use super::rejects::Rejects;

/// Rows per batch when the caller does not say.
pub const BATCH_ROWS: usize = 8192;

/// How files are to be read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The format; by default the name's ending decides.
    pub format: Option<Format>,
    /// The compression of the whole file; by default the name's ending decides.
    pub compression: Option<Compression>,
    /// The columns and their types. Text is parsed as these strictly; the columns of
    /// files that have names are found by name and cast without loss. A column that
    /// is not nullable takes no NULL.
    pub schema: Option<SchemaRef>,
    /// Types of single columns, by name, where the others' are found out.
    pub types: Vec<(String, DataType)>,
    /// Options of CSV files.
    pub csv: CsvOptions,
    /// Options of JSON files.
    pub json: JsonOptions,
    /// Largest number of rows per batch.
    pub batch_rows: usize,
    /// Threads that parse; they live as long as the reading.
    pub threads: usize,
    /// Where rows go that do not parse. Without it the first one is an error.
    pub rejects: Option<Arc<Rejects>>,
    /// Columns are the union of all files' columns; what a file lacks is NULL.
    pub union_by_name: bool,
    /// A column with the name of the file that each row comes from.
    pub filename: bool,
    /// Columns from folder names such as `year=2013`; by default when all files have
    /// the same ones.
    pub hive: Option<bool>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            compression: None,
            schema: None,
            types: Vec::new(),
            csv: CsvOptions::default(),
            json: JsonOptions::default(),
            batch_rows: BATCH_ROWS,
            threads: 1,
            rejects: None,
            union_by_name: false,
            filename: false,
            hive: None,
        }
    }
}

/// How CSV files are written.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// Whether the first record names the columns.
    pub header: Option<bool>,
    /// What separates fields.
    pub delimiter: Option<u8>,
    /// What encloses fields that contain delimiters or line ends; 0 when nothing does.
    pub quote: Option<u8>,
    /// What makes a quote inside a quoted field part of it: the quote itself by
    /// default.
    pub escape: Option<u8>,
    /// Lines that begin with it are skipped.
    pub comment: Option<u8>,
    /// Lines to skip before the first record.
    pub skip: u64,
    /// The texts that stand for NULL; the empty one by default.
    pub nulls: Option<Vec<String>>,
    /// Names of the columns in order, in place of the header's.
    pub names: Option<Vec<String>>,
    /// Read every column as text.
    pub all_text: bool,
    /// Records with too few fields end in NULLs.
    pub null_padding: bool,
    /// Records that types are guessed from.
    pub sample_rows: usize,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: None,
            delimiter: None,
            quote: None,
            escape: None,
            comment: None,
            skip: 0,
            nulls: None,
            names: None,
            all_text: false,
            null_padding: false,
            sample_rows: 20_480,
        }
    }
}

/// How JSON files are laid out.
#[derive(Clone, Debug)]
pub struct JsonOptions {
    /// One value per line, or one array; by default the first byte decides.
    pub layout: Option<JsonLayout>,
    /// Names of all columns, whose types are given, too. Other keys are passed over.
    pub columns: Option<Vec<String>>,
    /// Values that types are guessed from.
    pub sample_rows: usize,
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self { layout: None, columns: None, sample_rows: 20_480 }
    }
}

/// The layout of a JSON file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonLayout {
    /// Values one after the other, each commonly on a line of its own.
    Lines,
    /// One array of values.
    Array,
}
