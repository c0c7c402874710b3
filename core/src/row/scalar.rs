//! Values of fixed width as the bytes that Arrow's buffers hold, little-endian.

use arrow::datatypes::{DataType, i256};

use super::Value;
use crate::{Error, Result};

/// How integers of a type are held; `None` for types that are no integers.
pub(super) fn integer(data_type: &DataType) -> Option<(usize, bool)> {
    use DataType::{
        Date32, Date64, Decimal32, Decimal64, Decimal128, Decimal256, Duration, Int8, Int16, Int32,
        Int64, Time32, Time64, Timestamp, UInt8, UInt16, UInt32, UInt64,
    };
    Some(match data_type {
        Int8 => (1, true),
        Int16 => (2, true),
        Int32 | Date32 | Time32(_) | Decimal32(..) => (4, true),
        Int64 | Date64 | Time64(_) | Timestamp(..) | Duration(_) | Decimal64(..) => (8, true),
        Decimal128(..) => (16, true),
        Decimal256(..) => (32, true),
        UInt8 => (1, false),
        UInt16 => (2, false),
        UInt32 => (4, false),
        UInt64 => (8, false),
        _ => return None,
    })
}

/// Writes `value` into `out`, which has the width of the type. False: not a value of
/// this type.
pub(super) fn write(data_type: &DataType, value: &Value<'_>, out: &mut [u8]) -> bool {
    if let Some((width, signed)) = integer(data_type) {
        let Value::Int(value) = value else { return false };
        if !fits(data_type, *value, width, signed) {
            return false;
        }
        let bytes = i256::from_i128(*value).to_le_bytes();
        out.copy_from_slice(&bytes[..width]);
        return true;
    }
    match (data_type, value) {
        (DataType::Float64, Value::Float(v)) => out.copy_from_slice(&v.to_le_bytes()),
        (DataType::Float32, Value::Float(v)) => out.copy_from_slice(&(*v as f32).to_le_bytes()),
        (DataType::FixedSizeBinary(_), Value::Bytes(v)) if v.len() == out.len() => {
            out.copy_from_slice(v);
        }
        (_, Value::Other(array)) if array.data_type() == data_type && array.len() == 1 => {
            let data = array.to_data();
            let start = data.offset() * out.len();
            let Some(bytes) = data
                .buffers()
                .first()
                .and_then(|buffer| buffer.as_slice().get(start..start + out.len()))
            else {
                return false;
            };
            out.copy_from_slice(bytes);
        }
        _ => return false,
    }
    true
}

fn fits(data_type: &DataType, value: i128, width: usize, signed: bool) -> bool {
    let precision = match data_type {
        DataType::Decimal32(p, _) | DataType::Decimal64(p, _) | DataType::Decimal128(p, _) => {
            Some(u32::from(*p))
        }
        _ => None,
    };
    if let Some(precision) = precision {
        return value.unsigned_abs() < 10_u128.saturating_pow(precision);
    }
    let bits = width as u32 * 8;
    match (bits, signed) {
        (128.., _) => true,
        (_, true) => (-(1_i128 << (bits - 1))..1_i128 << (bits - 1)).contains(&value),
        (_, false) => (0..1_i128 << bits).contains(&value),
    }
}

/// The value whose bytes are `bytes`; `None` for types that only arrays can hold.
pub(super) fn read<'a>(data_type: &DataType, bytes: &'a [u8]) -> Option<Value<'a>> {
    if let Some((width, signed)) = integer(data_type) {
        let negative = signed && bytes[width - 1] & 0x80 != 0;
        let mut wide = [if negative { 0xff } else { 0 }; 32];
        wide[..width].copy_from_slice(bytes);
        return i256::from_le_bytes(wide).to_i128().map(Value::Int);
    }
    Some(match data_type {
        DataType::Float64 => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Float32 => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        DataType::FixedSizeBinary(_) => Value::Bytes(bytes.into()),
        _ => return None,
    })
}

/// The error for a value that its column cannot hold.
pub(super) fn misfit(column: &str, data_type: &DataType, value: &Value<'_>) -> Error {
    Error::Invalid(format!(
        "column '{column}' of type {data_type} cannot hold {} that was given",
        match value {
            Value::Int(v) => format!("the integer {v}"),
            other => other.kind().to_owned(),
        }
    ))
}

/// Bytes of a value of this type, where they do not differ from value to value.
pub(super) fn width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeBinary(n) => usize::try_from(*n).ok(),
        other => other.primitive_width(),
    }
}

/// Passes on what fits, as a result.
pub(super) fn written(
    fits: bool,
    column: &str,
    data_type: &DataType,
    value: &Value<'_>,
) -> Result<()> {
    if fits { Ok(()) } else { Err(misfit(column, data_type, value)) }
}
