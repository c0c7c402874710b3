//! Tests of rows that only the caller knows how to make.

use std::fmt;

use arrow::array::{ArrayRef, BooleanArray};

use crate::Result;

/// A test of rows by the values of some columns, such as a join's filter: whether the
/// row's key is among those of the other side.
pub trait RowCheck: fmt::Debug + fmt::Display + Send + Sync {
    /// One value per row; NULL does not pass. `columns` are of one length, in the order that
    /// [`Predicate::Check`](super::Predicate::Check) names them.
    fn check(&self, columns: &[ArrayRef]) -> Result<BooleanArray>;
}
