//! What can go wrong between bytes and Arrow.

use arrow::error::ArrowError;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with enough in it to act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not what was written: restore the file from elsewhere.
    #[error("{file} is damaged at byte {offset}: {what}")]
    Corrupt {
        /// The file's name.
        file: String,
        /// Where the damage was noticed, in bytes from the start of the file.
        offset: u64,
        /// What was expected there.
        what: String,
    },
    /// The file is whole but of another kind or a newer version.
    #[error("{file} cannot be read: {what}")]
    Incompatible {
        /// The file's name.
        file: String,
        /// What is needed to read it.
        what: String,
    },
    /// The encoding cannot hold this type: choose another encoding or type.
    #[error("{encoding} segments cannot store column '{column}' of type {data_type}")]
    UnsupportedType {
        /// The encoding's name.
        encoding: &'static str,
        /// The column's name.
        column: String,
        /// The Arrow type.
        data_type: String,
    },
    /// A file from outside does not parse: line and column say where.
    #[error("{file}{}{}: {what}", line.map(|l| format!(", line {l}")).unwrap_or_default(),
        column.as_ref().map(|c| format!(", column '{c}'")).unwrap_or_default())]
    Malformed {
        /// The file's name.
        file: String,
        /// The line, counted from one, where the file has lines.
        line: Option<u64>,
        /// The column's name, where the fault lies in one.
        column: Option<String>,
        /// What was found and what was expected.
        what: String,
    },
    /// The operating system said no.
    #[error("{file}: {source}")]
    Io {
        /// The file's name.
        file: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A kernel of Arrow failed.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// The caller asked for what makes no sense.
    #[error("{0}")]
    Invalid(String),
}
