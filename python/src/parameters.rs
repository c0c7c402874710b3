//! Python's values as parameters of statements.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray, new_null_array};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano};
use pyo3::exceptions::{PyOverflowError, PyRecursionError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};
use sheafdb::{Error, ErrorKind, ScalarValue};

use crate::classes::Classes;
use crate::errors::exception;

const UTC: &str = "UTC";
const DIGITS_MAX: usize = 76;
const DEPTH_MAX: usize = 100;

/// The values of parameters.
pub fn values(objects: Vec<Bound<'_, PyAny>>) -> PyResult<Vec<ScalarValue>> {
    objects.iter().map(value).collect()
}

/// One value.
pub fn value(object: &Bound<'_, PyAny>) -> PyResult<ScalarValue> {
    nested(object, 0)
}

/// A value inside of so many others.
fn nested(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<ScalarValue> {
    let py = object.py();
    if depth > DEPTH_MAX {
        let what = format!("a value of more than {DEPTH_MAX} lists or dicts inside each other");
        return Err(PyRecursionError::new_err(what));
    }
    if object.is_none() {
        return Ok(ScalarValue::Null);
    }
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(ScalarValue::Boolean(Some(value.is_true())));
    }
    if object.is_instance_of::<PyInt>() {
        return integer(object);
    }
    if object.is_instance_of::<PyFloat>() {
        return Ok(ScalarValue::Float64(Some(object.extract()?)));
    }
    if let Ok(text) = object.cast::<PyString>() {
        let text = text.to_cow()?;
        refuse_too_long(py, text.len())?;
        return Ok(ScalarValue::Utf8View(Some(text.into_owned())));
    }
    if object.is_instance_of::<PyBytes>()
        || object.is_instance_of::<PyByteArray>()
        || object.is_instance_of::<PyMemoryView>()
    {
        let bytes = object.call_method0(intern!(py, "__bytes__"));
        let bytes = bytes.or_else(|_| py.get_type::<PyBytes>().call1((object,)))?;
        let bytes = bytes.cast::<PyBytes>()?.as_bytes();
        refuse_too_long(py, bytes.len())?;
        return Ok(ScalarValue::BinaryView(Some(bytes.to_vec())));
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        return list(object, depth);
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        return structure(dict, depth);
    }
    other(object, depth)
}

fn integer(object: &Bound<'_, PyAny>) -> PyResult<ScalarValue> {
    if let Ok(value) = object.extract::<i64>() {
        return Ok(ScalarValue::Int64(Some(value)));
    }
    if let Ok(value) = object.extract::<u64>() {
        return Ok(ScalarValue::UInt64(Some(value)));
    }
    let text = object.str()?.to_cow()?.into_owned();
    decimal(&text).map_err(|_| {
        PyOverflowError::new_err(format!("the integer {text} has more than {DIGITS_MAX} digits"))
    })
}

/// Classes that are not the interpreter's own.
fn other(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<ScalarValue> {
    let py = object.py();
    let classes = Classes::get(py)?;
    // NaT of pandas is a datetime without a moment.
    if object.get_type().name()? == "NaTType" {
        return Ok(ScalarValue::Null);
    }
    if object.is_instance(classes.decimal.bind(py))? {
        return decimal(object.call_method1("__format__", ("f",))?.str()?.to_cow()?.as_ref());
    }
    if object.is_instance(classes.datetime.bind(py))? {
        let aware = !object.call_method0(intern!(py, "utcoffset"))?.is_none();
        let epoch = if aware { &classes.epoch_utc } else { &classes.epoch };
        let micros = Some(microseconds(&object.sub(epoch.bind(py))?)?);
        let zone = aware.then(|| UTC.into());
        return Ok(ScalarValue::TimestampMicrosecond(micros, zone));
    }
    if object.is_instance(classes.date.bind(py))? {
        let ordinal: i32 = object.call_method0(intern!(py, "toordinal"))?.extract()?;
        return Ok(ScalarValue::Date32(Some(ordinal - 719_163)));
    }
    if object.is_instance(classes.time.bind(py))? {
        if !object.getattr(intern!(py, "tzinfo"))?.is_none() {
            let what = "a time of day with a zone cannot be a parameter: SQL has none";
            return Err(PyTypeError::new_err(what));
        }
        let part = |name: &str| object.getattr(name)?.extract::<i64>();
        let seconds = (part("hour")? * 60 + part("minute")?) * 60 + part("second")?;
        return Ok(ScalarValue::Time64Microsecond(Some(
            seconds * 1_000_000 + part("microsecond")?,
        )));
    }
    if object.is_instance(classes.timedelta.bind(py))? {
        let part = |name: &str| object.getattr(name)?.extract::<i64>();
        let days = i32::try_from(part("days")?)?;
        let nanoseconds = (part("seconds")? * 1_000_000 + part("microseconds")?) * 1_000;
        let interval = IntervalMonthDayNano::new(0, days, nanoseconds);
        return Ok(ScalarValue::IntervalMonthDayNano(Some(interval)));
    }
    if object.is_instance(classes.uuid.bind(py))? {
        let bytes: Vec<u8> = object.getattr(intern!(py, "bytes"))?.extract()?;
        return Ok(ScalarValue::FixedSizeBinary(16, Some(bytes)));
    }
    // Scalars of NumPy, and enumerations of numbers and texts.
    if object.hasattr(intern!(py, "dtype"))? {
        if object.hasattr(intern!(py, "tolist"))? {
            return numpy(object, depth);
        }
    } else if object.hasattr(intern!(py, "value"))? {
        return nested(&object.getattr(intern!(py, "value"))?, depth + 1);
    }
    Err(PyTypeError::new_err(format!(
        "a value of the class {} cannot be a parameter",
        object.get_type().qualname()?
    )))
}

/// Arrays and scalars of NumPy, and what is like them.
fn numpy(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<ScalarValue> {
    let kind = object.getattr("dtype")?.getattr("kind");
    let kind = kind.and_then(|kind| kind.extract::<String>()).unwrap_or_default();
    // As microseconds they are Python's classes.
    let object = match kind.as_str() {
        "M" => &object.call_method1("astype", ("datetime64[us]",))?,
        "m" => &object.call_method1("astype", ("timedelta64[us]",))?,
        _ => object,
    };
    let plain = object.call_method0("tolist")?;
    if plain.hasattr("dtype")? {
        return Err(PyTypeError::new_err(format!("{} cannot be a parameter", object.repr()?)));
    }
    if matches!(kind.as_str(), "M" | "m") && plain.is_instance_of::<PyInt>() {
        return Err(PyOverflowError::new_err(format!("{} is out of range", object.repr()?)));
    }
    nested(&plain, depth + 1)
}

/// The microseconds of a timedelta.
fn microseconds(delta: &Bound<'_, PyAny>) -> PyResult<i64> {
    let part = |name: &str| delta.getattr(name)?.extract::<i64>();
    Ok((part("days")? * 86_400 + part("seconds")?) * 1_000_000 + part("microseconds")?)
}

/// A decimal from its digits.
fn decimal(text: &str) -> PyResult<ScalarValue> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PyTypeError::new_err(format!("the decimal {text} is not a number")));
    }
    let precision = all.trim_start_matches('0').len().max(fraction.len()).max(1);
    let too_long = || PyOverflowError::new_err(format!("{text} has more than {DIGITS_MAX} digits"));
    if precision > DIGITS_MAX {
        return Err(too_long());
    }
    let (digits, scale) = (format!("{sign}{all}"), fraction.len() as i8);
    Ok(match precision {
        ..=38 => {
            let value = digits.parse().map_err(|_| too_long())?;
            ScalarValue::Decimal128(Some(value), precision as u8, scale)
        }
        _ => {
            let value = digits.parse().map_err(|_| too_long())?;
            ScalarValue::Decimal256(Some(value), precision as u8, scale)
        }
    })
}

fn list(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<ScalarValue> {
    let items =
        object.try_iter()?.map(|item| nested(&item?, depth + 1)).collect::<PyResult<Vec<_>>>()?;
    let (common, items) = alike(items).map_err(|error| PyTypeError::new_err(error.message))?;
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&items, &common)))
}

/// Values of one type as an array.
pub fn array(objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    let items = objects.iter().map(value).collect::<PyResult<Vec<_>>>()?;
    let refused = |error: Error| PyTypeError::new_err(error.message);
    let (common, items) = alike(items).map_err(refused)?;
    match common {
        DataType::Null => Ok(new_null_array(&common, items.len())),
        _ => ScalarValue::iter_to_array(items).map_err(|error| refused(error.into())),
    }
}

/// Refuses what is longer than Arrow's views may say.
pub fn refuse_too_long(py: Python<'_>, bytes: usize) -> PyResult<()> {
    if i32::try_from(bytes).is_ok() {
        return Ok(());
    }
    let message = format!("a text or bytes have {} bytes at most, these {bytes}", i32::MAX);
    Err(exception(py, &Error::new(ErrorKind::LimitExceeded, message)))
}

/// Values and the type that all of them have: integers among floats become floats.
fn alike(items: Vec<ScalarValue>) -> sheafdb::Result<(DataType, Vec<ScalarValue>)> {
    let mut common = DataType::Null;
    for item in items.iter().filter(|item| !item.is_null()) {
        let next = item.data_type();
        common = match common == DataType::Null || common == next {
            true => next,
            false => wider(&common, &next).ok_or_else(|| {
                let (common, next) = (sheafdb::sql_name(&common), sheafdb::sql_name(&next));
                let what = "the values of a list or column are of one type";
                Error::new(ErrorKind::DatatypeMismatch, format!("{what}, not {common} and {next}"))
            })?,
        };
    }
    let cast = |item: ScalarValue| match item.data_type() == common {
        true => Ok(item),
        false => item.cast_to(&common),
    };
    let items: Result<Vec<_>, _> = items.into_iter().map(cast).collect();
    Ok((common, items?))
}

/// The type that holds the values of two.
fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Decimal256, Float64, Int64, List, Null, Struct, UInt64};
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        (Float64, Int64 | UInt64 | Decimal128(..) | Decimal256(..))
        | (Int64 | UInt64 | Decimal128(..) | Decimal256(..), Float64) => Some(Float64),
        // Lists of nothing are lists of anything.
        (List(item), List(other)) => {
            Some(DataType::new_list(wider(item.data_type(), other.data_type())?, true))
        }
        (Struct(fields), Struct(others)) if fields.len() == others.len() => {
            let both = |field: &Arc<Field>| {
                let (_, other) = others.find(field.name())?;
                let wide = wider(field.data_type(), other.data_type())?;
                Some(Field::new(field.name(), wide, true))
            };
            Some(Struct(fields.iter().map(both).collect::<Option<Vec<_>>>()?.into()))
        }
        (a, b) => {
            let ((p, s), (q, t)) = (digits(a)?, digits(b)?);
            let scale = s.max(t);
            let precision = u8::try_from((p - s).max(q - t) + scale).ok()?;
            match precision {
                ..=38 => Some(Decimal128(precision, scale as i8)),
                39..=76 => Some(Decimal256(precision, scale as i8)),
                _ => None,
            }
        }
    }
}

/// The digits of an exact number, and those of them behind the point.
fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    match data_type {
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
            Some((i16::from(*p), i16::from(*s)))
        }
        _ => None,
    }
}

fn structure(dict: &Bound<'_, PyDict>, depth: usize) -> PyResult<ScalarValue> {
    if dict.is_empty() {
        return Ok(ScalarValue::Struct(Arc::new(StructArray::new_empty_fields(1, None))));
    }
    let mut fields: Vec<(Arc<Field>, ArrayRef)> = Vec::with_capacity(dict.len());
    for (key, item) in dict {
        let name = key
            .cast::<PyString>()
            .map_err(|_| PyTypeError::new_err("a dict as a parameter has texts as its keys"))?;
        let item = nested(&item, depth + 1)?;
        let field = Field::new(name.to_cow()?, item.data_type(), true);
        let array = item.to_array().map_err(|error| PyTypeError::new_err(error.to_string()))?;
        fields.push((Arc::new(field), array));
    }
    Ok(ScalarValue::Struct(Arc::new(StructArray::from(fields))))
}
