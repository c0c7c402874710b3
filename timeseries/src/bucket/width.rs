//! The width of a bucket, from an SQL interval.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::plan_err;
use datafusion::error::Result;

use super::DAY_NS;

/// A width: calendar months, or a fixed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Months, at least 1.
    Months(i32),
    /// Nanoseconds, at least 1; a day counts as 24 hours of the wall clock.
    Nanos(i64),
}

impl Width {
    /// Reads an interval, which must be positive and either months or shorter units.
    pub(crate) fn from_interval(interval: IntervalMonthDayNano) -> Result<Self> {
        if interval.months != 0 && (interval.days != 0 || interval.nanoseconds != 0) {
            return plan_err!(
                "time_bucket: the interval mixes months with shorter units; use either months or days and time"
            );
        }
        let nanos = fixed_nanos(interval)?;
        match (interval.months, nanos) {
            (months, 0) if months > 0 => Ok(Self::Months(months)),
            (0, nanos) if nanos > 0 => Ok(Self::Nanos(nanos)),
            _ => plan_err!("time_bucket: the interval must be greater than zero"),
        }
    }
}

/// Days and time of an interval as nanoseconds.
pub(crate) fn fixed_nanos(interval: IntervalMonthDayNano) -> Result<i64> {
    let nanos = i64::from(interval.days)
        .checked_mul(DAY_NS)
        .and_then(|days| days.checked_add(interval.nanoseconds));
    match nanos {
        Some(nanos) => Ok(nanos),
        None => plan_err!("time_bucket: the interval is too long"),
    }
}
