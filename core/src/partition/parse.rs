//! Bucket widths as people write them: `1 day`, `15 minutes`, `1 month`, `1h30m`.

use super::BucketWidth;
use crate::{Error, Result};

enum Unit {
    Months(i64),
    Micros(i64),
}

fn unit(name: &str) -> Option<Unit> {
    const SECOND: i64 = 1_000_000;
    let singular = if name.len() > 3 { name.strip_suffix('s').unwrap_or(name) } else { name };
    Some(match singular {
        "us" | "usec" | "usecs" | "microsecond" => Unit::Micros(1),
        "ms" | "msec" | "millisecond" => Unit::Micros(1_000),
        "s" | "sec" | "second" => Unit::Micros(SECOND),
        "m" | "min" | "minute" => Unit::Micros(60 * SECOND),
        "h" | "hr" | "hrs" | "hour" => Unit::Micros(3_600 * SECOND),
        "d" | "day" => Unit::Micros(86_400 * SECOND),
        "w" | "week" => Unit::Micros(7 * 86_400 * SECOND),
        "mon" | "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "y" | "yr" | "yrs" | "year" => Unit::Months(12),
        "decade" => Unit::Months(120),
        _ => return None,
    })
}

impl BucketWidth {
    /// Reads an interval such as `1 day`, `6 hours`, `1h30m` or `3 months`. Months
    /// do not mix with shorter units, because a bucket is either a number of
    /// calendar months or a fixed time.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |what: &str| {
            Error::Invalid(format!(
                "'{text}' is not a bucket width: {what}; write for example '1 day', '15 minutes' or '1 month'"
            ))
        };
        let (mut months, mut micros) = (0i64, 0i64);
        let lower = text.to_lowercase();
        let mut rest = lower.trim();
        if rest.is_empty() {
            return Err(invalid("it is empty"));
        }
        while !rest.is_empty() {
            let (number, after) =
                rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
            let number: i64 = number
                .parse()
                .map_err(|_| invalid("a whole positive number must precede each unit"))?;
            let after = after.trim_start();
            let (name, after) =
                after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
            let (total, of_one) = match unit(name) {
                Some(Unit::Months(n)) => (&mut months, n),
                Some(Unit::Micros(n)) => (&mut micros, n),
                None => return Err(invalid(&format!("'{name}' is not a unit of time"))),
            };
            *total = number
                .checked_mul(of_one)
                .and_then(|n| total.checked_add(n))
                .ok_or_else(|| invalid("it is too long"))?;
            rest = after.trim_start();
        }
        match (months, micros) {
            (0, 0) => Err(invalid("it must be longer than zero")),
            (0, micros) => Ok(Self::Micros(micros)),
            (months, 0) => {
                i32::try_from(months).map(Self::Months).map_err(|_| invalid("it is too long"))
            }
            _ => Err(invalid("months cannot be combined with shorter units")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn widths_are_read() {
        for (text, want) in [
            ("1 day", BucketWidth::Micros(86_400 * SECOND)),
            ("7 Days", BucketWidth::Micros(7 * 86_400 * SECOND)),
            (" 15 minutes ", BucketWidth::Micros(900 * SECOND)),
            ("1h30m", BucketWidth::Micros(5_400 * SECOND)),
            ("1 day 12 hours", BucketWidth::Micros(129_600 * SECOND)),
            ("250ms", BucketWidth::Micros(250_000)),
            ("2 weeks", BucketWidth::Micros(14 * 86_400 * SECOND)),
            ("1 month", BucketWidth::Months(1)),
            ("1 year 6 mons", BucketWidth::Months(18)),
            ("2 quarters", BucketWidth::Months(6)),
        ] {
            assert_eq!(BucketWidth::parse(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_width_says_why() {
        for (text, why) in [
            ("", "empty"),
            ("0 days", "longer than zero"),
            ("-1 day", "whole positive number"),
            ("1.5 hours", "not a unit"),
            ("1 fortnight", "'fortnight'"),
            ("day", "whole positive number"),
            ("1 month 1 day", "months cannot be combined"),
            ("9999999999999 weeks", "too long"),
        ] {
            let message = BucketWidth::parse(text).unwrap_err().to_string();
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
