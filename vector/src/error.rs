//! What can go wrong with vectors.

use arrow::datatypes::DataType;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A request that makes no sense for the vectors at hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Vectors of different lengths have no distance.
    #[error("different vector dimensions {left} and {right}")]
    DimensionMismatch {
        /// Dimension of the left operand, or of the column.
        left: usize,
        /// Dimension of the right operand, or of the query.
        right: usize,
    },
    /// Columns of different lengths cannot be paired row by row.
    #[error("vector columns of {left} and {right} rows cannot be compared row by row")]
    RowMismatch {
        /// Rows on the left.
        left: usize,
        /// Rows on the right.
        right: usize,
    },
    /// Only `FixedSizeList` of `Float32` or `Float16` holds vectors.
    #[error("{0} is not a vector: a vector is FixedSizeList of Float32 or Float16")]
    NotAVector(DataType),
}
