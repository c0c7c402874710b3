//! Integration tests of sheaf-formats, one binary.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod arrow_ipc;
mod csv;
mod envelope;
mod external_parquet;
mod json;
mod scan;
mod segment;
mod support;
mod write;
