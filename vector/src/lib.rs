//! Vectors: distances between them, and the nearest ones.
//!
//! A vector column is an Arrow `FixedSizeList` of `Float32` or `Float16`. This
//! crate knows neither tables nor SQL.
//!
//! ```text
//!   search   the k nearest rows of a column
//!     |
//!   column   a distance per row: column x one vector, column x column
//!     |
//!   metric   what a distance is
//!     |
//!   kernel   sums over f32 slices: AVX2 where the CPU has it, portable elsewhere
//! ```

mod column;
mod error;
pub mod kernel;
mod metric;
mod search;

pub use column::{VectorColumn, dimension, distances, distances_to, norms};
pub use error::{Error, Result};
pub use metric::Metric;
pub use search::{Nearest, Neighbor, nearest};
