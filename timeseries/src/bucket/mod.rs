//! Which bucket an instant falls in, for every unit, origin and time zone.
//!
//! Instants and widths are counted in *ticks*, the unit of the column. A bucket is
//! cut from the *wall clock*: the UTC clock, or that of a time zone, in which case
//! a day may last 23 or 25 hours.

mod width;
mod zone;

use arrow::array::timezone::Tz;
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::exec_err;
use datafusion::error::Result;
use sheaf_core::partition::calendar::{civil_from_days, days_from_civil, days_in_month};
use sheaf_core::partition::{FIXED_ORIGIN_US, MONTHS_ORIGIN_US};

pub(crate) use width::{Width, fixed_nanos};
use zone::Zone;

/// Nanoseconds of a day of the UTC clock.
pub(crate) const DAY_NS: i64 = 86_400_000_000_000;

/// Nanoseconds per tick of a time column; `None` when it is not one.
pub(crate) fn nanos_per_tick(data_type: &DataType) -> Option<i64> {
    Some(match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
        DataType::Date32 => DAY_NS,
        _ => return None,
    })
}

/// A rule that cuts time into buckets.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    width: WallWidth,
    /// A wall-clock time at which a bucket begins.
    origin: i64,
    ticks_per_day: i64,
    zone: Option<Zone>,
}

#[derive(Clone, Copy, Debug)]
enum WallWidth {
    Months(i64),
    Ticks(i64),
}

impl Buckets {
    /// Buckets of `width` for a column with `nanos_per_tick`, which begin at
    /// `origin` ticks, or at the usual origin, moved by `offset` nanoseconds.
    pub(crate) fn new(
        width: Width,
        nanos_per_tick: i64,
        origin: Option<i64>,
        offset_nanos: i64,
        zone: Option<Tz>,
    ) -> Result<Self> {
        let ticks = |nanos: i64, what: &str| {
            if nanos % nanos_per_tick == 0 {
                Ok(nanos / nanos_per_tick)
            } else {
                exec_err!(
                    "time_bucket: the {what} must be a whole number of the time column's unit"
                )
            }
        };
        let (width, usual_origin_us) = match width {
            Width::Months(months) => (WallWidth::Months(months.into()), MONTHS_ORIGIN_US),
            Width::Nanos(nanos) => (WallWidth::Ticks(ticks(nanos, "interval")?), FIXED_ORIGIN_US),
        };
        let offset = ticks(offset_nanos, "offset")?;
        let usual_origin =
            (i128::from(usual_origin_us) * 1_000 / i128::from(nanos_per_tick)) as i64;
        let Some(origin) = origin.unwrap_or(usual_origin).checked_add(offset) else {
            return exec_err!("time_bucket: the origin is out of range");
        };
        let ticks_per_day = DAY_NS / nanos_per_tick;
        let zone = zone.map(|tz| Zone::new(tz, (1_000_000_000 / nanos_per_tick).max(1)));
        let origin = match &zone {
            // An origin is an instant; the usual one is a wall-clock time already.
            Some(zone) if origin != usual_origin + offset => zone.wall_of(origin).unwrap_or(origin),
            _ => origin,
        };
        Ok(Self { width, origin, ticks_per_day, zone })
    }

    /// Whether later instants never lie in earlier buckets. Not so when buckets
    /// shorter than a day are cut from a clock that is set back.
    pub(crate) fn monotonic(&self) -> bool {
        self.zone.is_none() || self.whole_days()
    }

    fn whole_days(&self) -> bool {
        match self.width {
            WallWidth::Months(_) => true,
            WallWidth::Ticks(ticks) => ticks % self.ticks_per_day == 0,
        }
    }

    /// The first instant of the bucket of `at`; `None` when it is out of range.
    pub(crate) fn start_of(&self, at: i64) -> Option<i64> {
        match &self.zone {
            None => self.floor(at),
            Some(zone) => {
                let wall = self.floor(zone.wall_of(at)?)?;
                zone.instant_of(wall, (!self.whole_days()).then_some(at))
            }
        }
    }

    /// The first instant after the bucket that begins at `start`.
    pub(crate) fn end_of(&self, start: i64) -> Option<i64> {
        match &self.zone {
            None => self.next(start),
            Some(zone) => {
                let wall = self.floor(zone.wall_of(start)?)?;
                zone.instant_of(self.next(wall)?, None)
            }
        }
    }

    /// Start of the bucket of a wall-clock time, by the wall clock.
    fn floor(&self, wall: i64) -> Option<i64> {
        match self.width {
            WallWidth::Ticks(width) => {
                // Both remainders are below the width, so nothing overflows but the start.
                let into = wall.rem_euclid(width) - self.origin.rem_euclid(width);
                wall.checked_sub(if into < 0 { into + width } else { into })
            }
            WallWidth::Months(width) => {
                let months = self.months(wall).checked_sub(self.months(self.origin))?;
                let nth = months.div_euclid(width) * width;
                let start = self.origin_plus_months(nth)?;
                if start <= wall { Some(start) } else { self.origin_plus_months(nth - width) }
            }
        }
    }

    /// Start of the bucket after the one that begins at `start`, by the wall clock.
    fn next(&self, start: i64) -> Option<i64> {
        match self.width {
            WallWidth::Ticks(width) => start.checked_add(width),
            WallWidth::Months(width) => {
                let months = self.months(start).checked_sub(self.months(self.origin))?;
                self.origin_plus_months(months.checked_add(width)?)
            }
        }
    }

    fn months(&self, wall: i64) -> i64 {
        let (year, month, _) = civil_from_days(wall.div_euclid(self.ticks_per_day));
        year * 12 + i64::from(month) - 1
    }

    /// The origin's day and time in a later or earlier month; a day the month does
    /// not have is its last.
    fn origin_plus_months(&self, months: i64) -> Option<i64> {
        let (_, _, day) = civil_from_days(self.origin.div_euclid(self.ticks_per_day));
        let month = self.months(self.origin).checked_add(months)?;
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) as u32 + 1);
        let day = day.min(days_in_month(year, month));
        days_from_civil(year, month, day)
            .checked_mul(self.ticks_per_day)?
            .checked_add(self.origin.rem_euclid(self.ticks_per_day))
    }

    /// The start of each value's bucket; what NULL slots get is not specified.
    pub(crate) fn starts(&self, values: &[i64], nulls: Option<&NullBuffer>) -> Result<Vec<i64>> {
        let mut out = vec![0; values.len()];
        // Rows mostly come in time order, so the last answer is usually the next one.
        let mut same = 0..0;
        for (row, (&at, out)) in values.iter().zip(&mut out).enumerate() {
            if same.contains(&at) {
                *out = same.start;
            } else if nulls.is_none_or(|n| n.is_valid(row)) {
                let Some(start) = self.start_of(at) else {
                    return exec_err!("time_bucket: the bucket of a time is out of range");
                };
                *out = start;
                same = start..self.known_end(start);
            }
        }
        Ok(out)
    }

    /// An instant up to which all from `start` on lie in its bucket.
    fn known_end(&self, start: i64) -> i64 {
        let end = self.end_of(start).unwrap_or(start);
        match &self.zone {
            Some(zone) if !self.whole_days() && !zone.steady(start, end) => start,
            _ => end,
        }
    }
}
