//! Time buckets: which bucket an instant falls in, and where buckets begin.
//!
//! Buckets are UTC. A width is months *or* microseconds, as in SQL intervals;
//! both count from an origin: months from 2000-01-01, fixed widths from
//! 2000-01-03, which is a Monday, so that weeks begin on Mondays. These are
//! TimescaleDB's origins. Bucket 0 begins at the origin, earlier ones are negative.

pub mod calendar;
mod parse;
mod split;

use serde::{Deserialize, Serialize};

use crate::catalog::{ColumnId, PartitionSpecId};

pub use split::Bucket;
pub(crate) use split::{split, split_indices};

/// 2000-01-01, where buckets of months count from: microseconds since the Unix epoch.
pub const MONTHS_ORIGIN_US: i64 = 946_684_800_000_000;
/// 2000-01-03, where buckets of a fixed width count from.
pub const FIXED_ORIGIN_US: i64 = 946_857_600_000_000;

/// Width of a time bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketWidth {
    /// Calendar months, at least 1.
    Months(i32),
    /// Microseconds, at least 1.
    Micros(i64),
}

impl BucketWidth {
    /// The bucket that an instant (microseconds since the Unix epoch) falls in.
    pub fn bucket_of(self, micros: i64) -> i64 {
        match self {
            Self::Months(width) => {
                calendar::months_since_2000(micros).div_euclid(width.max(1).into())
            }
            Self::Micros(width) => {
                let since = i128::from(micros) - i128::from(FIXED_ORIGIN_US);
                saturate(since.div_euclid(i128::from(width.max(1))))
            }
        }
    }

    /// The first instant of a bucket. The outermost buckets of the 64-bit range
    /// begin or end beyond it: their bounds are the ends of the range.
    pub fn start_of(self, bucket: i64) -> i64 {
        match self {
            _ if bucket == i64::MIN => i64::MIN,
            Self::Months(width) => {
                calendar::month_start(i128::from(bucket) * i128::from(width.max(1)))
            }
            Self::Micros(width) => {
                let since = i128::from(bucket) * i128::from(width.max(1));
                saturate(since + i128::from(FIXED_ORIGIN_US))
            }
        }
    }

    /// The first instant of the bucket that `micros` falls in.
    pub fn bucket_start(self, micros: i64) -> i64 {
        self.start_of(self.bucket_of(micros))
    }
}

/// The nearest 64-bit number.
fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// How a table is divided: by buckets of one time column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionSpec {
    /// Identity of this rule.
    pub id: PartitionSpecId,
    /// The time column.
    pub column: ColumnId,
    /// Bucket width.
    pub width: BucketWidth,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn width() -> impl Strategy<Value = BucketWidth> {
        prop_oneof![
            (1i32..=2400).prop_map(BucketWidth::Months),
            Just(BucketWidth::Months(i32::MAX)),
            (1i64..=10_000_000_000_000).prop_map(BucketWidth::Micros),
            Just(BucketWidth::Micros(1)),
            Just(BucketWidth::Micros(i64::MAX)),
        ]
    }

    fn instant() -> impl Strategy<Value = i64> {
        let near = -10_000_000_000_000_000i64..10_000_000_000_000_000;
        prop_oneof![4 => near, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
    }

    proptest! {
        #[test]
        fn an_instant_lies_in_its_bucket(width in width(), at in instant()) {
            let bucket = width.bucket_of(at);
            prop_assert!(width.start_of(bucket) <= at);
            let next = width.start_of(bucket.saturating_add(1));
            prop_assert!(at < next || next == i64::MAX);
        }

        #[test]
        fn starts_are_in_their_own_bucket(width in width(), at in instant()) {
            let start = width.bucket_start(at);
            prop_assert!(start == i64::MIN || width.bucket_start(start) == start);
        }

        #[test]
        fn later_instants_are_never_in_earlier_buckets(width in width(), a in instant(), b in instant()) {
            let (a, b) = (a.min(b), a.max(b));
            prop_assert!(width.bucket_of(a) <= width.bucket_of(b));
        }
    }

    #[test]
    fn weeks_begin_on_mondays_and_months_on_the_first() {
        const DAY: i64 = 86_400_000_000;
        let week = BucketWidth::Micros(7 * DAY);
        assert_eq!(week.bucket_start(FIXED_ORIGIN_US - 1), FIXED_ORIGIN_US - 7 * DAY);
        assert_eq!(week.bucket_start(FIXED_ORIGIN_US + 7 * DAY - 1), FIXED_ORIGIN_US);
        let month = BucketWidth::Months(1);
        assert_eq!(month.bucket_of(MONTHS_ORIGIN_US), 0);
        assert_eq!(month.bucket_of(MONTHS_ORIGIN_US - 1), -1);
        // 2024-02-29T12:00Z is in February of a leap year.
        let leap_day = 1_709_208_000_000_000;
        assert_eq!(month.bucket_start(leap_day), 1_706_745_600_000_000);
        assert_eq!(month.start_of(month.bucket_of(leap_day) + 1), 1_709_251_200_000_000);
        assert_eq!(BucketWidth::Months(12).bucket_start(leap_day), 1_704_067_200_000_000);
        assert_eq!(BucketWidth::Micros(DAY).bucket_start(-1), -DAY);
    }
}
