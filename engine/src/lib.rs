//! An embedded database for hot rows, columns, time series and vectors.
//!
//! ```no_run
//! # async fn example() -> sheafdb::Result<()> {
//! let database = sheafdb::Database::open("measurements.db")?;
//! let session = database.session();
//! session.execute("CREATE TABLE readings (id BIGINT PRIMARY KEY, value DOUBLE)").await?;
//! session.execute("INSERT INTO readings VALUES (1, 20.5), (2, 21.0)").await?;
//! let output = session.query("SELECT avg(value) FROM readings").await?;
//! for batch in output.collect().await? {
//!     println!("{batch:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//!   Session::execute           one statement, one snapshot
//!      |
//!   sql    text -> statements, types, casts, limits     (sqlparser, our dialect)
//!      |
//!   ddl    statements -> changes of the catalog
//!   dml    statements -> queries -> rows -> one commit
//!   query  statements -> DataFusion plan over `catalog`, pinned to the snapshot
//!   point  statements about single rows by their keys, without a plan
//!      |
//!   optimizer, joins           what plans become, and joins that go on in files
//!   scan, functions            tables and functions for DataFusion
//!      |
//!   sheaf_core::Store
//! ```

mod catalog;
mod database;
mod ddl;
mod dml;
mod error;
mod files;
mod functions;
mod joins;
mod optimizer;
mod point;
#[cfg(feature = "polars")]
pub mod polars;
mod relation;
mod scan;
mod session;
mod sql;
mod users;

pub use database::{Database, OpenOptions};
pub use dml::{Action, Change, IfMissing, IfThere, Ingest};
pub use error::{Error, ErrorKind, Result};
pub use files::FileAccess;
pub use relation::{Relation, Relations, Subquery};
pub use session::{
    CommandTag, Description, Output, Prepared, RowStream, Session, SessionOptions, StatementCounts,
    StatementInfo,
};

/// What queries are planned and run by: functions and tables for it can be a session's.
pub use datafusion;
/// A value of a parameter.
pub use datafusion::common::ScalarValue;
/// The name that SQL gives an Arrow type.
pub use sheaf_formats::sql_name;
pub use sql::{arrow_type_of_text, sql_order};
pub use users::Login;

/// The store below the database: snapshots, point reads, write batches.
pub use sheaf_core as core;

/// The README's Rust block, as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
