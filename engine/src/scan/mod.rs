//! Tables for DataFusion: a table at a snapshot, read from its segments and
//! memtables.
//!
//! ```text
//!   SnapshotTable     TableProvider: columns, statistics, which filters it takes
//!      |
//!   source            DataSource: what the optimizer pushed down, EXPLAIN
//!      |      \
//!   convert    statistics, selectivity     filters -> predicates; what to expect
//!      |
//!   partition         parts -> partitions, each with its own list
//!   stream            one partition: parts in turn, dynamic filters, batch sizes
//!      |
//!   sheaf_core::Part::scan
//! ```

mod convert;
mod dynamic;
mod partition;
mod selectivity;
mod source;
mod statistics;
mod stream;
mod table;

pub(crate) use source::SheafSource;
pub(crate) use table::SnapshotTable;

#[cfg(test)]
mod tests;
