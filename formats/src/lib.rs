//! Bytes to Arrow and back.
//!
//! Two subjects live here: *segments*, the immutable columnar files a table is
//! made of ([`segment`]), and *external files* that a user brings or takes away
//! ([`external`]). Both speak Arrow record batches; neither knows tables,
//! transactions or SQL.
//!
//! ```text
//!   segment::SegmentFormat  --  vortex | parquet     one trait, two encodings
//!            |
//!   envelope::{Writer, Reader}                       header, checksummed pages, trailer
//!            |
//!   io::ReadAt / std::io::Write                      whatever holds the bytes
//! ```

pub mod envelope;
pub mod error;
pub mod external;
pub mod io;
mod plain;
pub mod predicate;
pub mod segment;
mod shown;
pub mod sketch;
mod sql_name;
pub mod statistics;

pub use error::{Error, Result};
pub use plain::{cast_rows, plain_schema, without_views};
pub use shown::{batch_bytes, shown_bytes};
pub use sql_name::sql_name;
