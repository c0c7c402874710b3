//! What can go wrong in the store, and what the caller can do about it.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes on disk are not what was written: restore from a copy.
    #[error("{file} is damaged: {what}")]
    Corrupt {
        /// The file, relative to the database.
        file: String,
        /// What was found.
        what: String,
    },
    /// Not a Sheaf database, or one of a newer version.
    #[error("{0}")]
    Incompatible(String),
    /// Another process has the database open for writing.
    #[error("the database is open for writing by {holder}; open it read-only, or close the other")]
    Locked {
        /// Process id and host of the holder.
        holder: String,
    },
    /// Opened for reading only.
    #[error("the database is open read-only")]
    ReadOnly,
    /// A key that must be new is already there.
    #[error("duplicate key {key} in table '{table}'")]
    DuplicateKey {
        /// The table's name.
        table: String,
        /// The key's columns and values.
        key: String,
    },
    /// A NULL where the column does not allow it.
    #[error("column '{column}' of table '{table}' must not be NULL")]
    NullViolation {
        /// The table's name.
        table: String,
        /// The column's name.
        column: String,
    },
    /// Another commit changed the same rows: read again and retry.
    #[error("a concurrent commit changed the same rows of table '{table}'")]
    Conflict {
        /// The table's name.
        table: String,
    },
    /// The table's definition changed since the writer looked: plan again and retry.
    #[error("the definition of table '{table}' changed")]
    SchemaChanged {
        /// The table's name.
        table: String,
    },
    /// A named object does not exist (any more).
    #[error("{what} does not exist")]
    NotFound {
        /// Kind and name.
        what: String,
    },
    /// A named object is already there.
    #[error("{what} already exists")]
    AlreadyExists {
        /// Kind and name.
        what: String,
    },
    /// The request makes no sense as it stands.
    #[error("{0}")]
    Invalid(String),
    /// The log or the manifest could not be made durable. Nothing is acknowledged
    /// any more: reopen the database.
    #[error("the store stopped after a failed write: {0}; reopen the database")]
    Stopped(String),
    /// The operating system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file, relative to the database.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A segment could not be read or written.
    #[error(transparent)]
    Formats(#[from] sheaf_formats::Error),
    /// A kernel of Arrow failed.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}
