//! Files that a user brings or takes away, trusted in nothing.
//!
//! Whatever is wrong with a file is an error that names the file and, where it has
//! lines, the line, the column and the value.
//!
//! ```text
//!   Source (local, remote) -- bytes --> csv | json | parquet | arrow_ipc
//!                                          | pieces of a file
//!                                       ordered     parsed on several threads
//!                                          | batches in the order of the rows
//!                                       Dataset     many files as one relation
//! ```

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::{Error, Result};

mod arrow_ipc;
mod columns;
mod csv;
mod dataset;
mod format;
mod infer;
mod json;
mod options;
mod ordered;
mod parquet;
mod parse;
mod reader;
mod rejects;
mod source;
pub mod write;

pub use dataset::{Dataset, Input, Progress};
pub use format::{Compression, Format};
pub use options::{BATCH_ROWS, CsvOptions, JsonLayout, JsonOptions, ReadOptions};
pub use reader::Findings;
pub use rejects::{Reject, Rejects};
pub use source::{LocalFile, Source};

/// Batches in the order of the files. After an error there are no more.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Opens the file of this machine at `path`.
pub fn open(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    Dataset::open(vec![Input::new(Arc::new(LocalFile::open(path)?))], options)
}

fn io_error(name: &str) -> impl Fn(std::io::Error) -> Error {
    let file = name.to_owned();
    move |source| Error::Io { file: file.clone(), source }
}
