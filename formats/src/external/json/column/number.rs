//! Integers, floating-point numbers and decimals, all from the number's own digits.

use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveBuilder};
use arrow::datatypes::ArrowNativeTypeOp;
use arrow::datatypes::*;

use super::super::super::parse;
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Parsed};
use super::{Column, number_text};
use crate::Result;

/// Numbers that are parsed by a function of their text.
struct Numbers<T: ArrowPrimitiveType> {
    data_type: DataType,
    parse: fn(&[u8], &DataType) -> Option<T::Native>,
    builder: PrimitiveBuilder<T>,
}

fn numbers<T: ArrowPrimitiveType>(
    data_type: &DataType,
    parse: fn(&[u8], &DataType) -> Option<T::Native>,
) -> Option<Box<dyn Column>> {
    let builder = PrimitiveBuilder::<T>::new().with_data_type(data_type.clone());
    Some(Box::new(Numbers { data_type: data_type.clone(), parse, builder }))
}

impl<T: ArrowPrimitiveType> Column for Numbers<T> {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let start = cursor.at;
        let value = number_text(cursor, &self.data_type).and_then(|text| {
            (self.parse)(text.as_bytes(), &self.data_type)
                .ok_or_else(|| Fault::misfit(start, &self.data_type))
        });
        self.builder.append_option(value.as_ref().ok().copied());
        value.map(|_| ())
    }

    fn append_null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.builder.finish()))
    }
}

pub(super) fn integers(data_type: &DataType) -> Option<Box<dyn Column>> {
    match data_type {
        DataType::Int8 => numbers::<Int8Type>(data_type, integer),
        DataType::Int16 => numbers::<Int16Type>(data_type, integer),
        DataType::Int32 => numbers::<Int32Type>(data_type, integer),
        DataType::Int64 => numbers::<Int64Type>(data_type, integer),
        DataType::UInt8 => numbers::<UInt8Type>(data_type, integer),
        DataType::UInt16 => numbers::<UInt16Type>(data_type, integer),
        DataType::UInt32 => numbers::<UInt32Type>(data_type, integer),
        DataType::UInt64 => numbers::<UInt64Type>(data_type, integer),
        _ => None,
    }
}

/// Also `1.0` and `1e3`: JSON has one kind of number.
fn integer<N: TryFrom<i64> + TryFrom<i128>>(text: &[u8], _: &DataType) -> Option<N> {
    match parse::signed(text) {
        Some(value) => N::try_from(value).ok(),
        None => {
            let (whole, exact) = decimal(text, 0)?;
            exact.then_some(whole).and_then(|value: i128| N::try_from(value).ok())
        }
    }
}

pub(super) fn floats(data_type: &DataType) -> Option<Box<dyn Column>> {
    match data_type {
        DataType::Float16 => numbers::<Float16Type>(data_type, |text, _| {
            let value = finite(text, parse::float32(text)?, f32::is_finite)?;
            let half = <Float16Type as ArrowPrimitiveType>::Native::from_f32(value);
            (half.is_finite() || !value.is_finite()).then_some(half)
        }),
        DataType::Float32 => numbers::<Float32Type>(data_type, |text, _| {
            finite(text, parse::float32(text)?, f32::is_finite)
        }),
        DataType::Float64 => numbers::<Float64Type>(data_type, |text, _| {
            finite(text, parse::float64(text)?, f64::is_finite)
        }),
        _ => None,
    }
}

/// A number of digits is not infinite: `1e400` does not fit. `"Infinity"` is.
fn finite<N: Copy>(text: &[u8], value: N, is_finite: fn(N) -> bool) -> Option<N> {
    let digits = || text.iter().any(u8::is_ascii_digit);
    (is_finite(value) || !digits()).then_some(value)
}

pub(super) fn decimals(data_type: &DataType) -> Option<Box<dyn Column>> {
    match data_type {
        DataType::Decimal32(..) => numbers::<Decimal32Type>(data_type, rounded::<Decimal32Type>),
        DataType::Decimal64(..) => numbers::<Decimal64Type>(data_type, rounded::<Decimal64Type>),
        DataType::Decimal128(..) => numbers::<Decimal128Type>(data_type, |text, data_type| {
            let DataType::Decimal128(precision, scale) = data_type else { return None };
            parse::decimal(text, *precision, *scale)
        }),
        DataType::Decimal256(..) => numbers::<Decimal256Type>(data_type, rounded::<Decimal256Type>),
        _ => None,
    }
}

fn rounded<T: DecimalType>(text: &[u8], data_type: &DataType) -> Option<T::Native> {
    let (precision, scale) = match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal256(precision, scale) => (*precision, *scale),
        _ => return None,
    };
    let (value, _) = decimal::<T::Native>(text, scale)?;
    T::is_valid_decimal_precision(value, precision).then_some(value)
}

/// A number times ten to the scale, rounded half away from zero, and whether that
/// is exact.
fn decimal<N: ArrowNativeTypeOp>(text: &[u8], scale: i8) -> Option<(N, bool)> {
    let (negative, number) = match text.strip_prefix(b"-") {
        Some(number) => (true, number),
        None => (false, text),
    };
    let (digits, exponent) = match number.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&number[..at], parse::signed(&number[at + 1..])?),
        None => (number, 0),
    };
    let point = digits.iter().position(|&byte| byte == b'.').unwrap_or(digits.len());
    // Digits before the point, once it is moved by exponent and scale.
    let kept = i64::try_from(point).ok()?.checked_add(exponent)?.checked_add(i64::from(scale))?;
    let ten = N::usize_as(10);
    let (mut value, mut exact, mut count) = (N::ZERO, true, 0);
    for &byte in digits.iter().filter(|&&byte| byte != b'.') {
        let digit = Some(byte.wrapping_sub(b'0')).filter(|&digit| digit <= 9)?;
        if count < kept {
            value = value.mul_checked(ten).ok()?;
            value = value.add_checked(N::usize_as(usize::from(digit))).ok()?;
        } else {
            if count == kept && digit >= 5 {
                value = value.add_checked(N::ONE).ok()?;
            }
            exact &= digit == 0;
        }
        count += 1;
    }
    while count < kept && !value.is_zero() {
        value = value.mul_checked(ten).ok()?;
        count += 1;
    }
    let value = if negative { value.neg_checked().ok()? } else { value };
    (count > 0).then_some((value, exact))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_form() {
        let is = |text: &str, expected: Option<i8>| {
            assert_eq!(integer::<i8>(text.as_bytes(), &DataType::Int8), expected, "{text}");
        };
        is("127", Some(127));
        is("-128", Some(-128));
        is("128", None);
        is("1.0", Some(1));
        is("1.2e1", Some(12));
        is("1.5", None);
        is("1e400", None);
        is("", None);
        is("99999999999999999999999999999999999999999999", None);
        let large = integer::<u64>(b"18446744073709551615", &DataType::UInt64);
        assert_eq!(large, Some(u64::MAX));
    }

    #[test]
    fn decimals_of_any_width() {
        let text = b"-12345678901234567890123456789012345678901234567890.125";
        let wide = DataType::Decimal256(76, 2);
        let value = rounded::<Decimal256Type>(text, &wide).unwrap();
        assert_eq!(value.to_string(), "-1234567890123456789012345678901234567890123456789013");
        let narrow = DataType::Decimal32(5, 2);
        assert_eq!(rounded::<Decimal32Type>(b"1.005", &narrow), Some(101));
        assert_eq!(rounded::<Decimal32Type>(b"1000", &narrow), None);
    }
}
