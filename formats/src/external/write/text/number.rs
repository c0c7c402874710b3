//! Numbers and truth values as text.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, DecimalType, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};

use super::Cell;

/// The cell of numbers and truth values; `None` for other types.
pub(super) fn cell(array: &ArrayRef) -> Option<Cell<'_>> {
    Some(match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean();
            Cell::Plain(Box::new(|row, out| {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }))
        }
        DataType::Int8 => integers::<Int8Type>(array),
        DataType::Int16 => integers::<Int16Type>(array),
        DataType::Int32 => integers::<Int32Type>(array),
        DataType::Int64 => integers::<Int64Type>(array),
        DataType::UInt8 => integers::<UInt8Type>(array),
        DataType::UInt16 => integers::<UInt16Type>(array),
        DataType::UInt32 => integers::<UInt32Type>(array),
        DataType::UInt64 => integers::<UInt64Type>(array),
        // The shortest digits of the nearest single are more than a half needs, and
        // read back as the same half.
        DataType::Float16 => {
            let values = array.as_primitive::<Float16Type>();
            Cell::Float(Box::new(|row, out| float(values.value(row).to_f32(), out)))
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            Cell::Float(Box::new(|row, out| float(values.value(row), out)))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            Cell::Float(Box::new(|row, out| float(values.value(row), out)))
        }
        DataType::Decimal32(_, scale) => decimals::<Decimal32Type>(array, *scale),
        DataType::Decimal64(_, scale) => decimals::<Decimal64Type>(array, *scale),
        DataType::Decimal128(_, scale) => decimals::<Decimal128Type>(array, *scale),
        _ => return None,
    })
}

fn integers<T: ArrowPrimitiveType<Native: itoa::Integer>>(array: &ArrayRef) -> Cell<'_> {
    let values: &PrimitiveArray<T> = array.as_primitive();
    Cell::Plain(Box::new(|row, out| {
        out.extend_from_slice(itoa::Buffer::new().format(values.value(row)).as_bytes());
    }))
}

/// The fewest digits that read back as the same number.
fn float(value: impl ryu::Float, out: &mut Vec<u8>) {
    out.extend_from_slice(ryu::Buffer::new().format(value).as_bytes());
}

fn decimals<T>(array: &ArrayRef, scale: i8) -> Cell<'_>
where
    T: DecimalType + ArrowPrimitiveType<Native: Into<i128>>,
{
    let values: &PrimitiveArray<T> = array.as_primitive();
    let scale = u32::try_from(scale).ok().filter(|scale| *scale <= SCALE_MAX);
    match (scale, scale.and_then(|scale| 10_u64.checked_pow(scale))) {
        (Some(0), _) | (_, None) | (None, _) => Cell::Plain(Box::new(|row, out| {
            out.extend_from_slice(values.value_as_string(row).as_bytes());
        })),
        (Some(_), Some(one)) => Cell::Plain(Box::new(move |row, out| {
            let value: i128 = values.value(row).into();
            match u64::try_from(value.unsigned_abs()) {
                Ok(digits) => {
                    if value < 0 {
                        out.push(b'-');
                    }
                    fixed(digits, one, out);
                }
                Err(_) => out.extend_from_slice(values.value_as_string(row).as_bytes()),
            }
        })),
    }
}

/// Decimals whose fraction, with a one before it, fits 64 bits.
const SCALE_MAX: u32 = 18;

/// `digits / one` with all digits of the fraction.
pub(super) fn fixed(digits: u64, one: u64, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(digits / one).as_bytes());
    // The one keeps the zeros of the fraction; then the point takes its place.
    let point = out.len();
    out.extend_from_slice(buffer.format(digits % one + one).as_bytes());
    out[point] = b'.';
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Float32Array, Float64Array, Int64Array};

    use super::*;

    fn texts(array: ArrayRef) -> Vec<String> {
        let (Cell::Plain(put) | Cell::Float(put)) = cell(&array).unwrap() else {
            panic!("not a number");
        };
        (0..array.len())
            .map(|row| {
                let mut out = Vec::new();
                put(row, &mut out);
                String::from_utf8(out).unwrap()
            })
            .collect()
    }

    #[test]
    fn numbers() {
        let integers = Int64Array::from(vec![0, -1, i64::MIN, i64::MAX]);
        assert_eq!(
            texts(Arc::new(integers)),
            ["0", "-1", "-9223372036854775808", "9223372036854775807"]
        );
        let floats = Float64Array::from(vec![1.0, 0.1, -1e300, f64::INFINITY, f64::NAN]);
        assert_eq!(texts(Arc::new(floats)), ["1.0", "0.1", "-1e300", "inf", "NaN"]);
        assert_eq!(texts(Arc::new(Float32Array::from(vec![0.1]))), ["0.1"]);
    }

    #[test]
    fn decimals_have_all_their_digits() {
        let decimals = |values: Vec<i128>, precision, scale| {
            let array = Decimal128Array::from(values).with_precision_and_scale(precision, scale);
            texts(Arc::new(array.unwrap()))
        };
        assert_eq!(
            decimals(vec![0, 5, -5, 12345, -100], 15, 2),
            ["0.00", "0.05", "-0.05", "123.45", "-1.00"]
        );
        assert_eq!(decimals(vec![7, -7], 5, 0), ["7", "-7"]);
        assert_eq!(decimals(vec![12], 5, -2), ["1200"]);
        let long = 12345678901234567890123456789012345678;
        assert_eq!(
            decimals(vec![long, -1], 38, 10),
            ["1234567890123456789012345678.9012345678", "-0.0000000001"]
        );
        assert_eq!(decimals(vec![-1], 38, 30), ["-0.000000000000000000000000000001"]);
    }
}
