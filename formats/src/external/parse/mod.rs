//! Values out of their text, exactly: what is not wholly a value is none.
//!
//! The forms are those that PostgreSQL and DuckDB write and read. Blanks around a
//! value are the caller's to cut off.

mod decimal;
mod number;
mod other;
mod temporal;

pub(super) use decimal::decimal;
pub(super) use number::{boolean, float32, float64, signed, unsigned};
pub(super) use other::{bytes, uuid};
pub(super) use temporal::{DateOrder, Zone, date, time_of_day, timestamp};

/// A text without the blanks around it.
pub(super) fn trimmed(text: &[u8]) -> &[u8] {
    match text {
        [first, .., last] if *first > b' ' && *last > b' ' => text,
        _ => text.trim_ascii(),
    }
}
