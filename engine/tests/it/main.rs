//! Behaviour of the database as its users see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod concurrency;
mod descriptions;
mod durability;
mod explain;
mod file_access;
mod file_order;
mod ingest;
mod joins;
mod memory;
mod point_queries;
mod point_writes;
#[cfg(feature = "polars")]
mod polars;
mod program;
mod running;
mod sessions;
mod slt;
mod spilling_joins;
mod support;
mod temporary;
