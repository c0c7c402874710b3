//! Time series in SQL: `time_bucket`, and `first` and `last` by time.
//!
//! The functions are DataFusion's user-defined functions; the names and meanings
//! are TimescaleDB's.
//!
//! ```text
//!   time_bucket   the SQL function: arguments, types, what the planner may know
//!      |
//!   bucket        arithmetic: widths, origins, time zones
//!
//!   first_last    the value at the smallest or largest time of a group
//! ```

mod bucket;
mod first_last;
mod time_bucket;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

pub use first_last::FirstLast;
pub use time_bucket::TimeBucket;

/// Every scalar function of this crate.
pub fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    vec![Arc::new(ScalarUDF::from(TimeBucket::new()))]
}

/// Every aggregate function of this crate.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    [FirstLast::first(), FirstLast::last()].map(|f| Arc::new(AggregateUDF::from(f))).into()
}
