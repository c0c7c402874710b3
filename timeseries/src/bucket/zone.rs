//! Between instants and the wall clock of a time zone.
//!
//! Where clocks are set forward, some wall-clock times never happen; where they
//! are set back, some happen twice.

use arrow::array::timezone::Tz;
use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone};

const SECONDS_PER_DAY: i64 = 86_400;

/// A time zone, in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zone {
    tz: Tz,
    ticks_per_second: i64,
}

impl Zone {
    pub(super) fn new(tz: Tz, ticks_per_second: i64) -> Self {
        Self { tz, ticks_per_second }
    }

    fn naive(&self, ticks: i64) -> Option<NaiveDateTime> {
        Some(DateTime::from_timestamp(ticks.div_euclid(self.ticks_per_second), 0)?.naive_utc())
    }

    fn ticks(&self, offset: &impl Offset) -> i64 {
        i64::from(offset.fix().local_minus_utc()) * self.ticks_per_second
    }

    /// How far the wall clock is ahead of UTC at an instant.
    fn offset_at(&self, instant: i64) -> Option<i64> {
        Some(self.ticks(&self.tz.offset_from_utc_datetime(&self.naive(instant)?)))
    }

    /// What the wall clock shows at an instant.
    pub(super) fn wall_of(&self, instant: i64) -> Option<i64> {
        instant.checked_add(self.offset_at(instant)?)
    }

    /// Whether the clock is not set between two instants less than months apart.
    pub(super) fn steady(&self, from: i64, to: i64) -> bool {
        self.offset_at(from) == self.offset_at(to)
    }

    /// When the wall clock shows `wall`. Of two such instants it is the later one
    /// if that is not after `not_after`, else the earlier; of none, the instant at
    /// which the clock jumps past it.
    pub(super) fn instant_of(&self, wall: i64, not_after: Option<i64>) -> Option<i64> {
        match self.tz.offset_from_local_datetime(&self.naive(wall)?) {
            MappedLocalTime::Single(offset) => wall.checked_sub(self.ticks(&offset)),
            MappedLocalTime::Ambiguous(one, other) => {
                let one = wall.checked_sub(self.ticks(&one))?;
                let other = wall.checked_sub(self.ticks(&other))?;
                let (early, late) = (one.min(other), one.max(other));
                Some(if not_after.is_some_and(|at| late <= at) { late } else { early })
            }
            MappedLocalTime::None => self.jump_past(wall),
        }
    }

    /// The instant at which the clock jumps past `wall`, a time it never shows: the
    /// clock runs forward around it, so the instant can be found by bisection.
    fn jump_past(&self, wall: i64) -> Option<i64> {
        let second = wall.div_euclid(self.ticks_per_second);
        let (mut before, mut after) = (second - SECONDS_PER_DAY, second + SECONDS_PER_DAY);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.wall_of(middle.checked_mul(self.ticks_per_second)?)? >= wall {
                after = middle;
            } else {
                before = middle;
            }
        }
        after.checked_mul(self.ticks_per_second)
    }
}
