//! Behaviour of the time functions, through SQL.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod first_last;
mod sql;
mod time_bucket;
mod zones;
