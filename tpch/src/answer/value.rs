//! A cell of an answer. Engines give the same number as integer, decimal or floating
//! point, and the same date as date or timestamp: what counts is what it says.

use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal256Type, Float64Type, TimeUnit, TimestampMicrosecondType,
};

use crate::failure::Result;

/// Floating-point numbers agree when they differ by no more than this share.
const TOLERANCE: f64 = 1e-6;
const DAY_MICROS: i64 = 86_400_000_000;

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// A whole number.
    Integer(i128),
    /// A number with this many digits behind the point.
    Decimal(f64, i8),
    /// A floating-point number.
    Float(f64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Anything else, as text.
    Text(String),
}

impl Value {
    /// Whether both say the same.
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Date(a), Self::Date(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => {
                    a == b || (a.is_nan() && b.is_nan()) || self.near(other, a, b)
                }
                _ => false,
            },
        }
    }

    /// Whether agreement is a matter of tolerance, so that the value cannot be looked up.
    pub fn is_approximate(&self) -> bool {
        matches!(self, Self::Decimal(..) | Self::Float(_))
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Decimal(number, _) | Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Two decimals of one scale are exact in both engines, but for what f64 rounds. Of
    /// others, the one with fewer digits may have lost the rest.
    fn near(&self, other: &Self, a: f64, b: f64) -> bool {
        let digits = |value: &Self| match value {
            Self::Decimal(_, scale) => Some(*scale),
            Self::Integer(_) => Some(0),
            _ => None,
        };
        let largest = a.abs().max(b.abs());
        let allowed = match (digits(self), digits(other)) {
            (Some(x), Some(y)) if x == y => largest * 1e-15,
            (None, None) => largest * TOLERANCE + 1e-9,
            (x, y) => {
                let fewest = x.into_iter().chain(y).min().unwrap_or(0);
                largest * TOLERANCE + 10f64.powi(-i32::from(fewest))
            }
        };
        (a - b).abs() <= allowed
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Decimal(number, scale) => {
                write!(f, "{number:.*}", usize::try_from(*scale).unwrap_or(0))
            }
            Self::Float(number) => write!(f, "{number}"),
            Self::Date(days) => write!(f, "day {days}"),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

/// The values of a column.
pub(super) fn values(column: &ArrayRef) -> Result<Vec<Value>> {
    let valid = |i: usize| column.is_valid(i);
    let rows = 0..column.len();
    Ok(match column.data_type() {
        DataType::Null => vec![Value::Null; column.len()],
        DataType::Dictionary(_, inner) => return values(&cast(column, inner)?),
        t if t.is_floating() => {
            let column = cast(column, &DataType::Float64)?;
            let column = column.as_primitive::<Float64Type>();
            rows.map(|i| if valid(i) { Value::Float(column.value(i)) } else { Value::Null })
                .collect()
        }
        t if t.is_numeric() => {
            let scale = match t {
                DataType::Decimal32(_, scale)
                | DataType::Decimal64(_, scale)
                | DataType::Decimal128(_, scale)
                | DataType::Decimal256(_, scale) => *scale,
                _ => 0,
            };
            let column = cast(column, &DataType::Decimal256(76, scale))?;
            let column = column.as_primitive::<Decimal256Type>();
            let value = |i: usize| match (column.value(i).to_i128(), scale) {
                (Some(number), 0) => Value::Integer(number),
                // Through text: a division would round twice.
                _ => Value::Decimal(column.value_as_string(i).parse().unwrap_or(f64::NAN), scale),
            };
            rows.map(|i| if valid(i) { value(i) } else { Value::Null }).collect()
        }
        DataType::Date32 | DataType::Date64 => {
            let column = cast(column, &DataType::Date32)?;
            let column = column.as_primitive::<Date32Type>();
            rows.map(|i| if valid(i) { Value::Date(column.value(i)) } else { Value::Null })
                .collect()
        }
        DataType::Timestamp(..) => {
            let text = texts(column)?;
            let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>();
            // A date plus an interval is a timestamp in some engines.
            let value = |i: usize| match micros.value(i) {
                at if at % DAY_MICROS == 0 => i32::try_from(at / DAY_MICROS).ok().map(Value::Date),
                _ => None,
            };
            rows.map(|i| {
                if valid(i) { value(i).unwrap_or_else(|| text[i].clone()) } else { Value::Null }
            })
            .collect()
        }
        _ => texts(column)?,
    })
}

fn texts(column: &ArrayRef) -> Result<Vec<Value>> {
    let text = cast(column, &DataType::Utf8View)?;
    let text = text.as_string_view();
    Ok(text.iter().map(|text| text.map_or(Value::Null, |t| Value::Text(t.to_owned()))).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Int64Array, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn numbers_agree_whatever_their_type() {
        assert!(Value::Integer(5).agrees(&Value::Decimal(5.0, 2)));
        assert!(Value::Integer(5).agrees(&Value::Float(5.0)));
        assert!(!Value::Integer(5).agrees(&Value::Integer(6)));
        assert!(!Value::Integer(0).agrees(&Value::Null));
        assert!(!Value::Integer(5).agrees(&Value::Text("5".into())));
    }

    #[test]
    fn floats_have_a_tolerance_and_sums_of_decimals_have_none() {
        assert!(Value::Float(1e9).agrees(&Value::Float(1e9 + 1.0)));
        assert!(!Value::Float(1e9).agrees(&Value::Float(1e9 + 1e4)));
        assert!(!Value::Decimal(100.25, 2).agrees(&Value::Decimal(100.26, 2)));
        assert!(Value::Decimal(0.05, 6).agrees(&Value::Float(0.050_000_4)));
        assert!(!Value::Decimal(0.05, 6).agrees(&Value::Float(0.050_1)));
    }

    #[test]
    fn columns_become_values() {
        let decimals: ArrayRef = Arc::new(
            Decimal128Array::from(vec![Some(12345), None]).with_precision_and_scale(15, 2).unwrap(),
        );
        assert_eq!(values(&decimals).unwrap(), [Value::Decimal(123.45, 2), Value::Null]);
        let integers: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        assert_eq!(values(&integers).unwrap(), [Value::Integer(7)]);
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![DAY_MICROS, 1]));
        let times = values(&times).unwrap();
        assert_eq!(times[0], Value::Date(1));
        assert!(matches!(&times[1], Value::Text(text) if text.starts_with("1970-01-01")));
    }
}
