//! Dates, times of day, and points in time.

use arrow::datatypes::TimeUnit;

const DAY_S: i64 = 86_400;
const SECOND_NS: i64 = 1_000_000_000;

/// The order of the parts of a date that does not begin with the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum DateOrder {
    /// `2013-01-31`, `2013/1/31`.
    Ymd,
    /// `31.01.2013`, `31/1/2013`.
    Dmy,
    /// `01/31/2013`.
    Mdy,
}

/// What a point in time says about its zone, and what it may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Zone {
    /// None, or UTC.
    Without,
    /// `Z`, ` UTC`, `+02`, `+02:30`; none is UTC.
    With,
}

/// Days from 1970-01-01. A time of day may follow when it is midnight.
pub(in super::super) fn date(text: &[u8], order: DateOrder) -> Option<i32> {
    let (days, rest) = leading_date(text, order)?;
    if !rest.is_empty() {
        let (&(b' ' | b'T'), time) = rest.split_first()? else { return None };
        if leading_time(time)? != (0, &[][..]) {
            return None;
        }
    }
    i32::try_from(days).ok()
}

/// Nanoseconds from midnight, up to and with 24:00.
pub(in super::super) fn time_of_day(text: &[u8]) -> Option<i64> {
    match leading_time(text)? {
        (time_ns, []) => Some(time_ns),
        _ => None,
    }
}

/// Units from 1970-01-01, rounded to the nearest.
pub(in super::super) fn timestamp(
    text: &[u8],
    unit: TimeUnit,
    zone: Zone,
    order: DateOrder,
) -> Option<i64> {
    let (days, rest) = leading_date(text, order)?;
    let (time_ns, offset_s) = match rest.split_first() {
        None => (0, 0),
        Some((b' ' | b'T' | b't', time)) => {
            let (time_ns, rest) = leading_time(time)?;
            (time_ns, offset(rest)?)
        }
        Some(_) => return None,
    };
    if zone == Zone::Without && offset_s != 0 {
        return None;
    }
    let seconds = days.checked_mul(DAY_S)?.checked_sub(offset_s)?;
    let (per_second, unit_ns) = match unit {
        TimeUnit::Second => (1, SECOND_NS),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (SECOND_NS, 1),
    };
    seconds.checked_mul(per_second)?.checked_add((time_ns + unit_ns / 2) / unit_ns)
}

/// A date at the begin of a text, as days from 1970-01-01, and what follows.
fn leading_date(text: &[u8], order: DateOrder) -> Option<(i64, &[u8])> {
    if order == DateOrder::Ymd
        && let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, rest @ ..] = text
    {
        let digit = |byte: &u8| u32::from(byte.wrapping_sub(b'0'));
        let digits = [y0, y1, y2, y3, m0, m1, d0, d1].map(digit);
        if digits.iter().all(|&digit| digit <= 9) && !rest.first().is_some_and(u8::is_ascii_digit) {
            let [y0, y1, y2, y3, m0, m1, d0, d1] = digits;
            let year = i64::from(y0 * 1000 + y1 * 100 + y2 * 10 + y3);
            return Some((days(year, m0 * 10 + m1, d0 * 10 + d1)?, rest));
        }
    }
    loose_date(text, order)
}

/// Parts of any length that are separated by `-`, `/` or `.`.
fn loose_date(text: &[u8], order: DateOrder) -> Option<(i64, &[u8])> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) if order == DateOrder::Ymd => (true, rest),
        _ => (false, text),
    };
    let (first, first_len, rest) = digits(text)?;
    let (&separator, rest) = rest.split_first()?;
    if !matches!(separator, b'-' | b'/' | b'.') {
        return None;
    }
    let (second, second_len, rest) = digits(rest)?;
    let rest = rest.strip_prefix(&[separator])?;
    let (third, third_len, rest) = digits(rest)?;
    let (year, month, day) = match order {
        DateOrder::Ymd => (first, second, third),
        DateOrder::Dmy => (third, second, first),
        DateOrder::Mdy => (third, first, second),
    };
    let (year_len, day_len) = match order {
        DateOrder::Ymd => (first_len, third_len),
        _ => (third_len, first_len),
    };
    // A year of two digits would have to be guessed.
    if year_len < 4 || second_len > 2 || day_len > 2 {
        return None;
    }
    let year = if negative { -i64::from(year) } else { i64::from(year) };
    Some((days(year, month, day)?, rest))
}

/// A time of day at the begin of a text, in nanoseconds, and what follows.
fn leading_time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, len, rest) = digits(text)?;
    let (minute, minute_len, rest) = digits(rest.strip_prefix(b":")?)?;
    if len > 2 || minute_len != 2 {
        return None;
    }
    let (second, rest) = match rest.strip_prefix(b":") {
        None => (0, rest),
        Some(rest) => match digits(rest)? {
            (second, 2, rest) => (second, rest),
            _ => return None,
        },
    };
    let (fraction_ns, rest) = match rest.strip_prefix(b".") {
        None => (0, rest),
        Some(rest) => fraction(rest)?,
    };
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    if hour > 24 || minute > 59 || second > 59 {
        return None;
    }
    let time_ns = seconds * SECOND_NS + fraction_ns;
    (time_ns <= DAY_S * SECOND_NS).then_some((time_ns, rest))
}

/// Digits after the point of seconds, as nanoseconds; further ones are rounded.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 {
        return None;
    }
    let (digits, rest) = text.split_at(len);
    let mut value = 0;
    for place in 0..9 {
        value = value * 10 + digits.get(place).map_or(0, |byte| i64::from(byte - b'0'));
    }
    Some((value + i64::from(digits.get(9).is_some_and(|&byte| byte >= b'5')), rest))
}

/// What a time of day is ahead of UTC, in seconds.
fn offset(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii_start();
    let (sign, text) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        _ if text.eq_ignore_ascii_case(b"utc") => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, len, rest) = digits(text)?;
    let seconds = match (len, rest) {
        (1 | 2, []) => hours * 3600,
        (4, []) => hours / 100 * 3600 + minutes(hours % 100)? * 60,
        (1 | 2, [b':', rest @ ..]) => match digits(rest)? {
            (value, 2, []) => hours * 3600 + minutes(value)? * 60,
            (value, 2, [b':', rest @ ..]) => match digits(rest)? {
                (last, 2, []) => hours * 3600 + minutes(value)? * 60 + minutes(last)?,
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    };
    // PostgreSQL's bound: no zone is further away.
    (seconds < 16 * 3600).then_some(sign * i64::from(seconds))
}

fn minutes(value: u32) -> Option<u32> {
    (value < 60).then_some(value)
}

/// At most seven digits at the begin of a text, how many, and what follows.
fn digits(text: &[u8]) -> Option<(u32, usize, &[u8])> {
    let mut value = 0;
    let mut len = 0;
    while let Some(byte) = text.get(len).filter(|byte| byte.is_ascii_digit()) {
        value = value * 10 + u32::from(byte - b'0');
        len += 1;
        if len > 7 {
            return None;
        }
    }
    (len > 0).then(|| (value, len, &text[len..]))
}

/// Days from 1970-01-01 in the Gregorian calendar (Hinnant, "chrono-compatible
/// low-level date algorithms").
fn days(year: i64, month: u32, day: u32) -> Option<i64> {
    const LENGTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = *LENGTHS.get(month.checked_sub(1)? as usize)?;
    let length = length + u32::from(leap && month == 2);
    if day == 0 || day > length {
        return None;
    }
    let (month, day) = (i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Option<i32> {
        date(text.as_bytes(), DateOrder::Ymd)
    }

    fn micros(text: &str, zone: Zone) -> Option<i64> {
        timestamp(text.as_bytes(), TimeUnit::Microsecond, zone, DateOrder::Ymd)
    }

    #[test]
    fn dates() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("1969-12-31", Some(-1)),
            ("2000-02-29", Some(11_016)),
            ("1900-02-29", None),
            ("2023-02-29", None),
            ("2024-1-5", Some(19_727)),
            ("2024/1/5", Some(19_727)),
            ("2024-01-05 00:00:00", Some(19_727)),
            ("2024-01-05 01:00:00", None),
            ("0001-01-01", Some(-719_162)),
            ("-0044-03-15", Some(-735_525)),
            ("10000-01-01", Some(2_932_897)),
            ("2024-13-01", None),
            ("2024-00-01", None),
            ("2024-01-00", None),
            ("24-01-01", None),
            ("2024-01/01", None),
            ("2024-01-011", None),
            ("99999999-01-01", None),
            ("2024-01", None),
            ("", None),
        ] {
            assert_eq!(day(text), expected, "{text}");
        }
        assert_eq!(date(b"31.01.2013", DateOrder::Dmy), day("2013-01-31"));
        assert_eq!(date(b"1/31/2013", DateOrder::Mdy), day("2013-01-31"));
        assert_eq!(date(b"31/01/2013", DateOrder::Mdy), None);
        assert_eq!(date(b"2013-01-31", DateOrder::Dmy), None);
    }

    #[test]
    fn times() {
        let second = SECOND_NS;
        for (text, expected) in [
            ("00:00", Some(0)),
            ("9:05", Some(32_700 * second)),
            ("23:59:59.5", Some(86_399 * second + second / 2)),
            ("23:59:59.999999999", Some(86_400 * second - 1)),
            ("24:00:00", Some(86_400 * second)),
            ("24:00:01", None),
            ("23:60:00", None),
            ("23:00:60", None),
            ("1:2:3", None),
            ("12", None),
            ("12:00:00Z", None),
            ("12:00:00.", None),
        ] {
            assert_eq!(time_of_day(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn timestamps() {
        let noon = 43_200_000_000;
        for text in [
            "1970-01-01 12:00",
            "1970-01-01T12:00:00",
            "1970-01-01 12:00:00.000000",
            "1970-01-01 12:00:00.0000004",
            "1970-01-01T12:00:00Z",
            "1970-01-01 12:00:00 UTC",
            "1970-01-01 12:00:00+00",
        ] {
            assert_eq!(micros(text, Zone::Without), Some(noon), "{text}");
            assert_eq!(micros(text, Zone::With), Some(noon), "{text}");
        }
        for text in [
            "1970-01-01 14:00:00+02",
            "1970-01-01 14:00:00 +02:00",
            "1970-01-01 10:30:00-0130",
            "1970-01-01 14:00:10+02:00:10",
        ] {
            assert_eq!(micros(text, Zone::With), Some(noon), "{text}");
            assert_eq!(micros(text, Zone::Without), None, "{text}");
        }
        assert_eq!(micros("1970-01-01", Zone::Without), Some(0));
        assert_eq!(micros("1970-01-01 00:00:00.0000005", Zone::Without), Some(1));
        assert_eq!(micros("1969-12-31 23:59:59.25", Zone::Without), Some(-750_000));
        for text in [
            "",
            "1970-01-01 ",
            "1970-01-01x12:00",
            "1970-01-01 12:00 CET",
            "1970-01-01 12:00+99",
            "9999999-01-01 00:00:00",
        ] {
            assert_eq!(micros(text, Zone::With), None, "{text}");
        }
        let nanos = |text: &str| {
            timestamp(text.as_bytes(), TimeUnit::Nanosecond, Zone::Without, DateOrder::Ymd)
        };
        assert_eq!(nanos("2262-04-11 23:47:16.854775807"), Some(i64::MAX));
        assert_eq!(nanos("2262-04-11 23:47:16.854775808"), None);
    }
}
