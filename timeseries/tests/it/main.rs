//! Behaviour of the time functions, through SQL.

mod first_last;
mod sql;
mod time_bucket;
mod zones;
