//! The proleptic Gregorian calendar in UTC, over the whole 64-bit range.
//!
//! The day arithmetic is Howard Hinnant's, "chrono-Compatible Low-Level Date
//! Algorithms": years begin in March, so that the leap day comes last.

use super::saturate;

const DAY_US: i64 = 86_400_000_000;
const DAYS_PER_ERA: i128 = 146_097;
const YEARS_PER_ERA: i128 = 400;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i128 = 719_468;

/// Days since the Unix epoch of a date; `month` is 1 to 12, `day` from 1.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    saturate(days(i128::from(year), month, day))
}

fn days(year: i128, month: u32, day: u32) -> i128 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(YEARS_PER_ERA);
    let year_of_era = year.rem_euclid(YEARS_PER_ERA);
    let day_of_year = i128::from((153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH_DAYS
}

/// Year, month (1 to 12) and day (from 1) of a day since the Unix epoch.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = i128::from(days) + EPOCH_DAYS;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * YEARS_PER_ERA + i128::from(month <= 2);
    (saturate(year), month as u32, day as u32)
}

/// Months from January 2000 to the month of an instant (microseconds since the
/// Unix epoch).
pub fn months_since_2000(micros: i64) -> i64 {
    let (year, month, _) = civil_from_days(micros.div_euclid(DAY_US));
    (year - 2000) * 12 + i64::from(month) - 1
}

/// First instant of a month counted from January 2000, within the 64-bit range.
pub(super) fn month_start(months_since_2000: i128) -> i64 {
    let year = 2000 + months_since_2000.div_euclid(12);
    let month = months_since_2000.rem_euclid(12) as u32 + 1;
    saturate(days(year, month, 1) * i128::from(DAY_US))
}

/// The instant so many months before another: the same day of the month, or the last when
/// the month is shorter.
pub fn months_before(micros: i64, months: i32) -> i64 {
    let (_, _, day) = civil_from_days(micros.div_euclid(DAY_US));
    let of_day = micros.rem_euclid(DAY_US);
    let month = months_since_2000(micros) - i64::from(months);
    let (year, of_year) = (2000 + month.div_euclid(12), month.rem_euclid(12) as u32 + 1);
    let day = day.min(days_in_month(year, of_year));
    let days = days(year.into(), of_year, day);
    saturate(days * i128::from(DAY_US) + i128::from(of_day))
}

/// Days in a month, `month` 1 to 12.
pub fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year.rem_euclid(4) == 0
            && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) =>
        {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn dates_and_days_are_inverse(days in any::<i32>()) {
            let (year, month, day) = civil_from_days(days.into());
            prop_assert!((1..=12).contains(&month));
            prop_assert!((1..=days_in_month(year, month)).contains(&day));
            prop_assert_eq!(days_from_civil(year, month, day), i64::from(days));
        }

        #[test]
        fn the_next_day_is_one_more(days in -4_000_000i64..4_000_000) {
            let (year, month, day) = civil_from_days(days);
            let next = if day < days_in_month(year, month) {
                (year, month, day + 1)
            } else if month < 12 {
                (year, month + 1, 1)
            } else {
                (year + 1, 1, 1)
            };
            prop_assert_eq!(civil_from_days(days + 1), next);
        }
    }

    #[test]
    fn well_known_days() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 1, 1), 10_957);
        assert_eq!(civil_from_days(-1), (1969, 12, 31));
        assert_eq!(civil_from_days(11_016), (2000, 2, 29));
        assert_eq!(months_since_2000(-1), -361);
    }
}
