//! TPC-H and TPC-DS on Sheaf beside its peers: data, loading, queries, answers.
//!
//! ```text
//!   generate   Parquet files of a benchmark at a scale factor   (tpchgen, tpcdsgen)
//!      |
//!   load       Parquet -> a Sheaf database                      (CREATE TABLE, COPY)
//!      |
//!   measure    queries on it, timed
//!      |
//!   compare    one process per engine, all asked the same; answers checked
//!      |
//!   report     tables, JSON, a plot
//! ```

// What is measured is what is shipped.
use sheaf_allocator as _;

pub mod answer;
pub mod args;
mod benchmark;
pub mod compare;
mod failure;
pub mod folders;
pub mod generate;
pub mod load;
pub mod measure;
pub mod queries;
pub mod report;
pub mod selection;
mod tables;

pub use benchmark::Benchmark;
pub use failure::{Failure, Result};
pub use tables::Table;
