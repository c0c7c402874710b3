//! Guesses the type of a column from its values as text.

use arrow::datatypes::{DataType, TimeUnit};

use super::parse::{self, DateOrder, Zone};

/// The types a column can still be; the first that is left wins.
const CANDIDATES: [Candidate; 12] = [
    Candidate::Boolean,
    Candidate::Integer,
    Candidate::LongInteger,
    Candidate::Float,
    Candidate::Date(DateOrder::Ymd),
    Candidate::Date(DateOrder::Dmy),
    Candidate::Date(DateOrder::Mdy),
    Candidate::Time,
    Candidate::Timestamp(DateOrder::Ymd, Zone::Without),
    Candidate::Timestamp(DateOrder::Dmy, Zone::Without),
    Candidate::Timestamp(DateOrder::Mdy, Zone::Without),
    Candidate::Timestamp(DateOrder::Ymd, Zone::With),
];

/// Digits of the widest decimal type.
const DECIMAL_DIGITS: u8 = 38;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Candidate {
    Boolean,
    Integer,
    /// Of more digits than 64 bits hold.
    LongInteger,
    Float,
    Date(DateOrder),
    Time,
    Timestamp(DateOrder, Zone),
}

impl Candidate {
    fn fits(self, value: &[u8]) -> bool {
        match self {
            Self::Boolean => {
                value.eq_ignore_ascii_case(b"true") || value.eq_ignore_ascii_case(b"false")
            }
            Self::Integer => parse::signed(value).is_some(),
            Self::LongInteger => {
                let digits = value.strip_prefix(b"-").unwrap_or(value);
                digits.iter().all(u8::is_ascii_digit)
                    && parse::decimal(value, DECIMAL_DIGITS, 0).is_some()
            }
            Self::Float => parse::float64(value).is_some(),
            Self::Date(order) => !value.contains(&b':') && parse::date(value, order).is_some(),
            Self::Time => parse::time_of_day(value).is_some(),
            Self::Timestamp(order, zone) => {
                // The time of day follows ten characters at most.
                (zone == Zone::With || !has_zone(value))
                    && parse::timestamp(value, TimeUnit::Microsecond, zone, order).is_some()
            }
        }
    }

    fn data_type(self) -> DataType {
        let micros = TimeUnit::Microsecond;
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::LongInteger => DataType::Decimal128(DECIMAL_DIGITS, 0),
            Self::Float => DataType::Float64,
            Self::Date(_) => DataType::Date32,
            Self::Time => DataType::Time64(micros),
            Self::Timestamp(_, Zone::Without) => DataType::Timestamp(micros, None),
            Self::Timestamp(_, Zone::With) => DataType::Timestamp(micros, Some("UTC".into())),
        }
    }
}

/// What is known of a column's type after some values.
#[derive(Clone, Debug)]
pub(super) struct ColumnGuess {
    left: Vec<Candidate>,
    seen: bool,
}

impl Default for ColumnGuess {
    fn default() -> Self {
        Self { left: CANDIDATES.to_vec(), seen: false }
    }
}

impl ColumnGuess {
    /// Takes one value that is not NULL.
    pub(super) fn see(&mut self, value: &str) {
        let value = value.trim().as_bytes();
        self.left.retain(|candidate| candidate.fits(value));
        self.seen = true;
    }

    /// Takes one value that is not to be anything but text.
    pub(super) fn see_text(&mut self) {
        self.left.clear();
        self.seen = true;
    }

    /// The type of the column; text when nothing else fits or nothing was seen.
    pub(super) fn data_type(&self) -> DataType {
        match self.left.first() {
            Some(candidate) if self.seen => candidate.data_type(),
            _ => DataType::Utf8View,
        }
    }

    /// How the dates of the column are written, if it has some.
    pub(super) fn date_order(&self) -> DateOrder {
        let orders = self.left.iter().map(|candidate| match candidate {
            Candidate::Date(order) | Candidate::Timestamp(order, _) => Some(*order),
            _ => None,
        });
        orders.flatten().next().filter(|_| self.seen).unwrap_or(DateOrder::Ymd)
    }

    pub(super) fn is_text(&self) -> bool {
        !self.seen || self.left.is_empty()
    }

    /// Whether `value` could be one more value of the guessed type.
    pub(super) fn fits(&self, value: &str) -> bool {
        self.left.first().is_none_or(|candidate| candidate.fits(value.trim().as_bytes()))
    }
}

/// A zone follows the time of day.
fn has_zone(value: &[u8]) -> bool {
    let time = value.iter().position(|&byte| byte == b':').map_or(&[][..], |at| &value[at..]);
    time.iter().any(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'+' | b'-'))
}

/// A type that holds the values of both.
pub(super) fn wider(a: &DataType, b: &DataType) -> DataType {
    use DataType::{Date32, Decimal128, Float64, Int64, Null, Timestamp, Utf8View};
    match (a, b) {
        (a, b) if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (a, b) if a.is_integer() && b.is_integer() => Int64,
        (Decimal128(precision, 0), other) | (other, Decimal128(precision, 0))
            if other.is_integer() =>
        {
            // A bigint has nineteen digits.
            Decimal128((*precision).max(19), 0)
        }
        (a, b) if a.is_numeric() && b.is_numeric() => Float64,
        (Date32, Timestamp(unit, None)) | (Timestamp(unit, None), Date32) => Timestamp(*unit, None),
        _ => Utf8View,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(values: &[&str]) -> DataType {
        let mut guess = ColumnGuess::default();
        values.iter().for_each(|value| guess.see(value));
        guess.data_type()
    }

    #[test]
    fn types() {
        let micros = TimeUnit::Microsecond;
        let utc = DataType::Timestamp(micros, Some("UTC".into()));
        assert_eq!(guess(&["1", " -20 "]), DataType::Int64);
        assert_eq!(guess(&["1", "2.5", "1e9"]), DataType::Float64);
        assert_eq!(guess(&["1", "99999999999999999999"]), DataType::Decimal128(38, 0));
        assert_eq!(guess(&["1.5", "99999999999999999999"]), DataType::Float64);
        assert_eq!(guess(&[&"9".repeat(39)]), DataType::Float64);
        assert_eq!(guess(&["true", "FALSE"]), DataType::Boolean);
        assert_eq!(guess(&["t", "f"]), DataType::Utf8View);
        assert_eq!(guess(&["2024-02-29"]), DataType::Date32);
        assert_eq!(guess(&["2023-02-29"]), DataType::Utf8View);
        assert_eq!(guess(&["10:00", "11:00:00.5"]), DataType::Time64(micros));
        let times = guess(&["2024-02-29 12:00:00", "2024-02-29T12:00:00.5", "2024-03-01"]);
        assert_eq!(times, DataType::Timestamp(micros, None));
        assert_eq!(guess(&["2024-02-29T12:00:00Z", "2024-02-29 12:00:00+02:00"]), utc);
        assert_eq!(guess(&["2024-02-29T12:00:00 UTC", "2024-02-29 12:00:00"]), utc);
        assert_eq!(guess(&["1", "x"]), DataType::Utf8View);
        assert_eq!(guess(&[]), DataType::Utf8View);
        assert_eq!(guess(&["äöüäöü"]), DataType::Utf8View);
    }

    #[test]
    fn orders_of_dates() {
        let order = |values: &[&str]| {
            let mut guess = ColumnGuess::default();
            values.iter().for_each(|value| guess.see(value));
            (guess.data_type(), guess.date_order())
        };
        assert_eq!(order(&["05/01/2013"]), (DataType::Date32, DateOrder::Dmy));
        assert_eq!(order(&["05/01/2013", "01/31/2013"]), (DataType::Date32, DateOrder::Mdy));
        assert_eq!(order(&["31.01.2013"]), (DataType::Date32, DateOrder::Dmy));
        assert_eq!(order(&["2013/1/31"]), (DataType::Date32, DateOrder::Ymd));
        assert_eq!(order(&["31/01/2013", "01/31/2013"]).0, DataType::Utf8View);
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(order(&["01/31/2013 10:00"]), (micros, DateOrder::Mdy));
    }
}
