//! Hash joins whose table does not fit in memory.
//!
//! DataFusion builds the table of a hash join from all rows of its left side, and ends the
//! statement when they do not fit. [`SpillingJoinExec`] takes the rows first. When they fit,
//! DataFusion's join gets them; when not, both sides go into files by a hash of what they are
//! joined by, and the files are joined in pairs.
//!
//! ```text
//!   exec      the operator: takes the left side, and chooses
//!   together  partitions that have to choose alike
//!   build     rows for a table, as long as they fit
//!   parts     rows in files by a hash
//!   pairs     joins files in pairs, those that are still too large once more
//!   handed    a plan whose rows are there already
//!   lent      a pool of memory that is reserved already
//! ```

mod build;
mod exec;
mod handed;
mod lent;
mod pairs;
mod parts;
mod together;

pub(crate) use exec::SpillingJoinExec;
