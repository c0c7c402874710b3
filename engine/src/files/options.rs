//! Options of readers in SQL: those of COPY … FROM and of `read_csv(…)` are the same.

use sheaf_formats::external::{Compression, Format, JsonLayout, ReadOptions};

use crate::error::Result;
use crate::sql::{CopyOption, CopyOptions, arrow_type_of_text};

/// Options of every format.
const COMMON: [&str; 7] = [
    "format",
    "compression",
    "filename",
    "hive_partitioning",
    "union_by_name",
    "types",
    "ignore_errors",
];
/// Options of CSV; the second name of an option is DuckDB's.
const CSV: [&str; 19] = [
    "header",
    "delimiter",
    "delim",
    "sep",
    "quote",
    "escape",
    "null",
    "nullstr",
    "comment",
    "skip",
    "names",
    "columns",
    "all_varchar",
    "null_padding",
    "sample_size",
    "encoding",
    "dtypes",
    "on_error",
    "auto_detect",
];
/// Options of JSON; `format` may also be the layout.
const JSON: [&str; 4] = ["array", "sample_size", "columns", "on_error"];

/// What a reader is told, `read_csv` and its like with the format that they are for.
pub(crate) fn read_options(options: &CopyOptions, format: Option<Format>) -> Result<ReadOptions> {
    let mut read = ReadOptions { format, ..ReadOptions::default() };
    let mut known: Vec<&str> = COMMON.to_vec();
    if matches!(format, None | Some(Format::Csv)) {
        known.extend(CSV);
    }
    if matches!(format, None | Some(Format::Json)) {
        known.extend(JSON);
    }
    options.check(&known)?;
    read.threads = std::thread::available_parallelism().map_or(1, usize::from);
    for option in options.iter() {
        apply(&mut read, option)?;
    }
    Ok(read)
}

fn apply(read: &mut ReadOptions, option: &CopyOption) -> Result<()> {
    match option.key().as_str() {
        "format" => set_format(read, option)?,
        "compression" => {
            read.compression = match option.text()?.to_lowercase().as_str() {
                "auto" => None,
                "none" | "uncompressed" => Some(Compression::None),
                "gzip" | "gz" => Some(Compression::Gzip),
                "zstd" | "zst" => Some(Compression::Zstd),
                _ => return Err(option.refused("auto, none, gzip or zstd")),
            }
        }
        "filename" => read.filename = option.boolean()?,
        "hive_partitioning" => read.hive = Some(option.boolean()?),
        "union_by_name" => read.union_by_name = option.boolean()?,
        "types" | "dtypes" => {
            for (name, data_type) in option.pairs()? {
                let data_type =
                    arrow_type_of_text(&data_type).map_err(|error| error.at(option.value_at))?;
                read.types.push((name, data_type));
            }
        }
        "columns" => {
            let mut names = Vec::new();
            for (name, data_type) in option.pairs()? {
                let data_type =
                    arrow_type_of_text(&data_type).map_err(|error| error.at(option.value_at))?;
                names.push(name.clone());
                read.types.push((name, data_type));
            }
            read.json.columns = Some(names.clone());
            read.csv.names = Some(names);
        }
        "header" => read.csv.header = Some(option.boolean()?),
        "delimiter" | "delim" | "sep" => read.csv.delimiter = Some(option.character()?),
        "quote" => read.csv.quote = Some(quote(option)?),
        "escape" => read.csv.escape = Some(option.character()?),
        "comment" => read.csv.comment = Some(option.character()?),
        "null" | "nullstr" => read.csv.nulls = Some(option.texts()?),
        "skip" => read.csv.skip = option.number()?,
        "names" => read.csv.names = Some(option.texts()?),
        "all_varchar" => read.csv.all_text = option.boolean()?,
        "null_padding" => read.csv.null_padding = option.boolean()?,
        "sample_size" => {
            let rows = match option.number_or_all()? {
                Some(rows) => usize::try_from(rows).unwrap_or(usize::MAX).max(1),
                None => usize::MAX,
            };
            read.csv.sample_rows = rows;
            read.json.sample_rows = rows;
        }
        "encoding" => is_utf8(option)?,
        "array" => {
            let layout = if option.boolean()? { JsonLayout::Array } else { JsonLayout::Lines };
            read.json.layout = Some(layout);
        }
        "auto_detect" => {
            option.boolean()?;
        }
        // "ignore_errors" and "on_error": the caller makes the place for the rows.
        _ => {}
    }
    Ok(())
}

/// The byte, or 0 for '': nothing encloses fields.
fn quote(option: &CopyOption) -> Result<u8> {
    match option.text() {
        Ok(text) if text.is_empty() => Ok(0),
        _ => option.character(),
    }
}

fn is_utf8(option: &CopyOption) -> Result<()> {
    match option.text()?.to_lowercase().as_str() {
        "utf8" | "utf-8" => Ok(()),
        _ => Err(option.refused("'utf8'")),
    }
}

fn set_format(read: &mut ReadOptions, option: &CopyOption) -> Result<()> {
    let text = option.text()?.to_lowercase();
    if read.format == Some(Format::Json) {
        read.json.layout = match text.as_str() {
            "auto" => None,
            "array" => Some(JsonLayout::Array),
            "newline_delimited" | "nd" | "unstructured" => Some(JsonLayout::Lines),
            _ => return Err(option.refused("auto, array or newline_delimited")),
        };
        return Ok(());
    }
    let format = match text.as_str() {
        "csv" => Format::Csv,
        "parquet" => Format::Parquet,
        "json" => Format::Json,
        "ndjson" | "jsonl" => {
            read.json.layout = Some(JsonLayout::Lines);
            Format::Json
        }
        "arrow" | "feather" | "ipc" => Format::Arrow,
        _ => return Err(option.refused("csv, json, ndjson, parquet or arrow")),
    };
    match read.format {
        Some(fixed) if fixed != format => Err(option.refused("the format of the function")),
        _ => {
            read.format = Some(format);
            Ok(())
        }
    }
}

/// Whether rows that do not parse are to be skipped.
pub(crate) fn skips_errors(options: &CopyOptions) -> Result<bool> {
    let mut skips = false;
    for option in options.iter() {
        match option.key().as_str() {
            "ignore_errors" => skips = option.boolean()?,
            "on_error" => {
                skips = match option.text()?.to_lowercase().as_str() {
                    "abort" | "stop" => false,
                    "skip" | "ignore" | "continue" => true,
                    _ => return Err(option.refused("abort or skip")),
                }
            }
            _ => {}
        }
    }
    Ok(skips)
}
