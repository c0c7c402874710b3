//! Guesses the type of a CSV column from its values.

use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};

/// The types a column can still be; the first that is left wins.
const CANDIDATES: [Candidate; 6] = [
    Candidate::Boolean,
    Candidate::Integer,
    Candidate::Float,
    Candidate::Date,
    Candidate::Timestamp,
    Candidate::TimestampTz,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Candidate {
    Boolean,
    Integer,
    Float,
    Date,
    Timestamp,
    TimestampTz,
}

impl Candidate {
    fn fits(self, value: &str) -> bool {
        match self {
            Self::Boolean => {
                value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
            }
            Self::Integer => value.parse::<i64>().is_ok(),
            Self::Float => value.parse::<f64>().is_ok(),
            Self::Date => value.len() == 10 && is_date(value),
            Self::Timestamp => is_timestamp(value) && !has_zone(value),
            Self::TimestampTz => is_timestamp(value) && has_zone(value),
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
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
        let value = value.trim();
        self.left.retain(|candidate| candidate.fits(value));
        self.seen = true;
    }

    /// The type of the column; text when nothing else fits or nothing was seen.
    pub(super) fn data_type(&self) -> DataType {
        match self.left.first() {
            Some(candidate) if self.seen => candidate.data_type(),
            _ => DataType::Utf8View,
        }
    }

    pub(super) fn is_text(&self) -> bool {
        !self.seen || self.left.is_empty()
    }

    /// Whether `value` could be one more value of the guessed type.
    pub(super) fn fits(&self, value: &str) -> bool {
        self.left.first().is_none_or(|candidate| candidate.fits(value.trim()))
    }
}

/// `YYYY-MM-DD` at the start of `value`.
fn is_date(value: &str) -> bool {
    let Some(date) = value.get(..10) else {
        return false;
    };
    let shape = date.bytes().enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    shape && Date32Type::parse(date).is_some()
}

fn is_timestamp(value: &str) -> bool {
    value.len() > 10
        && is_date(value)
        && matches!(value.as_bytes()[10], b' ' | b'T')
        && TimestampMicrosecondType::parse(value).is_some()
}

/// A zone follows the time of day.
fn has_zone(value: &str) -> bool {
    value.get(11..).is_some_and(|time| time.contains(['Z', 'z', '+', '-']))
}

/// A type that holds the values of both.
pub(super) fn wider(a: &DataType, b: &DataType) -> DataType {
    use DataType::{Float64, Int64, Null, Utf8View};
    match (a, b) {
        (a, b) if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (a, b) if a.is_integer() && b.is_integer() => Int64,
        (a, b) if a.is_numeric() && b.is_numeric() => Float64,
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
        assert_eq!(guess(&["1", " -20 "]), DataType::Int64);
        assert_eq!(guess(&["1", "2.5", "1e9"]), DataType::Float64);
        assert_eq!(guess(&["99999999999999999999"]), DataType::Float64);
        assert_eq!(guess(&["true", "FALSE"]), DataType::Boolean);
        assert_eq!(guess(&["2024-02-29"]), DataType::Date32);
        assert_eq!(guess(&["2023-02-29"]), DataType::Utf8View);
        assert_eq!(
            guess(&["2024-02-29 12:00:00", "2024-02-29T12:00:00.5"]),
            DataType::Timestamp(micros, None)
        );
        assert_eq!(
            guess(&["2024-02-29T12:00:00Z", "2024-02-29 12:00:00+02:00"]),
            DataType::Timestamp(micros, Some("UTC".into()))
        );
        assert_eq!(guess(&["1", "x"]), DataType::Utf8View);
        assert_eq!(guess(&[]), DataType::Utf8View);
        assert_eq!(guess(&["äöüäöü"]), DataType::Utf8View);
    }
}
