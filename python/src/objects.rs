//! Arrow columns as Python objects.
//!
//! | Arrow | Python |
//! |---|---|
//! | integers, floats, booleans, text, bytes | `int`, `float`, `bool`, `str`, `bytes` |
//! | decimals | `decimal.Decimal` |
//! | FixedSizeBinary(16) | `uuid.UUID` |
//! | dates, times, timestamps | `datetime.date`, `.time`, `.datetime` (aware where the column has a zone) |
//! | durations, intervals | `datetime.timedelta`; a month of an interval is 30 days, as in other drivers |
//! | lists and vectors, structs, maps | `list`, `dict`, `dict` |

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, OffsetSizeTrait, RecordBatch, StringViewArray,
};
use arrow::compute::cast;
use arrow::datatypes::Decimal256Type;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DecimalType, DurationMicrosecondType, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    IntervalUnit, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use pyo3::conversion::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::classes::Classes;

/// `date.fromordinal(719163)` is 1970-01-01.
const EPOCH_ORDINAL: i64 = 719_163;
const DAYS_OF_A_MONTH: i64 = 30;

/// Texts that are remembered while those of an array are made.
const RECENT: usize = 4096;
/// An odd number without a pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

type Objects<'py> = Vec<Bound<'py, PyAny>>;

/// Rows as tuples.
pub fn rows<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Vec<Bound<'py, PyTuple>>> {
    let columns = batch.columns().iter().map(|column| objects(py, column));
    let mut columns: Vec<_> = columns.map(|c| c.map(Vec::into_iter)).collect::<PyResult<_>>()?;
    let row = |_| {
        let values: Objects<'py> = columns.iter_mut().filter_map(Iterator::next).collect();
        PyTuple::new(py, values)
    };
    (0..batch.num_rows()).map(row).collect()
}

/// The values of a column.
pub fn objects<'py>(py: Python<'py>, column: &dyn Array) -> PyResult<Objects<'py>> {
    match column.data_type() {
        DataType::Null => Ok(vec![py.None().into_bound(py); column.len()]),
        DataType::Boolean => {
            each(py, column.len(), column.as_boolean().iter(), |v| v.into_bound_py_any(py))
        }
        DataType::Int8 => numbers::<Int8Type>(py, column),
        DataType::Int16 => numbers::<Int16Type>(py, column),
        DataType::Int32 => numbers::<Int32Type>(py, column),
        DataType::Int64 => numbers::<Int64Type>(py, column),
        DataType::UInt8 => numbers::<UInt8Type>(py, column),
        DataType::UInt16 => numbers::<UInt16Type>(py, column),
        DataType::UInt32 => numbers::<UInt32Type>(py, column),
        DataType::UInt64 => numbers::<UInt64Type>(py, column),
        DataType::Float16 => {
            let values = column.as_primitive::<Float16Type>().iter();
            each(py, column.len(), values, |v| v.to_f64().into_bound_py_any(py))
        }
        DataType::Float32 => numbers::<Float32Type>(py, column),
        DataType::Float64 => numbers::<Float64Type>(py, column),
        DataType::Decimal128(_, _) => decimals::<Decimal128Type>(py, column),
        DataType::Decimal256(_, _) => decimals::<Decimal256Type>(py, column),
        DataType::Utf8 => texts(py, column.len(), column.as_string::<i32>().iter()),
        DataType::LargeUtf8 => texts(py, column.len(), column.as_string::<i64>().iter()),
        DataType::Utf8View => viewed(py, column.as_string_view()),
        DataType::Binary => bytes(py, column.len(), column.as_binary::<i32>().iter()),
        DataType::LargeBinary => bytes(py, column.len(), column.as_binary::<i64>().iter()),
        DataType::BinaryView => bytes(py, column.len(), column.as_binary_view().iter()),
        DataType::FixedSizeBinary(16) => {
            let class = Classes::get(py)?.uuid.bind(py);
            each(py, column.len(), column.as_fixed_size_binary().iter(), |v| {
                class.call1((py.None(), PyBytes::new(py, v)))
            })
        }
        DataType::FixedSizeBinary(_) => {
            bytes(py, column.len(), column.as_fixed_size_binary().iter())
        }
        DataType::Date32 => dates(py, column),
        DataType::Time64(TimeUnit::Microsecond) => times(py, column),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => timestamps(py, column, zone.as_deref()),
        DataType::Duration(TimeUnit::Microsecond) => {
            let class = Classes::get(py)?.timedelta.bind(py);
            let values = column.as_primitive::<DurationMicrosecondType>().iter();
            each(py, column.len(), values, |v| class.call1((0, 0, v)))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => intervals(py, column),
        DataType::List(_) => lists(py, column, column.as_list::<i32>()),
        DataType::LargeList(_) => lists(py, column, column.as_list::<i64>()),
        DataType::FixedSizeList(_, _) => {
            let list = column.as_fixed_size_list();
            let values = objects(py, list.values())?;
            let size = usize::try_from(list.value_length()).unwrap_or_default();
            sliced(py, column, |row| (row * size, (row + 1) * size), &values)
        }
        DataType::Struct(_) => structs(py, column),
        DataType::Map(_, _) => maps(py, column),
        // The rest as what is like it.
        other => match like(other) {
            Some(like) => objects(py, &converted(column, &like)?),
            None => {
                Err(PyTypeError::new_err(format!("a column of type {other} has no Python objects")))
            }
        },
    }
}

/// A type with the same values that has objects.
fn like(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Duration(_) => DataType::Duration(TimeUnit::Microsecond),
        DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::RunEndEncoded(_, values) => values.data_type().clone(),
        DataType::ListView(item) => DataType::List(item.clone()),
        DataType::LargeListView(item) => DataType::LargeList(item.clone()),
        _ => return None,
    })
}

fn converted(column: &dyn Array, to: &DataType) -> PyResult<ArrayRef> {
    cast(column, to).map_err(|error| PyTypeError::new_err(error.to_string()))
}

/// One object for each value, `None` for NULL.
fn each<'py, T>(
    py: Python<'py>,
    length: usize,
    values: impl Iterator<Item = Option<T>>,
    mut object: impl FnMut(T) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Objects<'py>> {
    let mut objects = Vec::with_capacity(length);
    for value in values {
        objects.push(match value {
            Some(value) => object(value)?,
            None => py.None().into_bound(py),
        });
    }
    Ok(objects)
}

fn numbers<'py, T>(py: Python<'py>, column: &dyn Array) -> PyResult<Objects<'py>>
where
    T: ArrowPrimitiveType,
    T::Native: IntoPyObjectExt<'py>,
{
    let column = column.as_primitive::<T>();
    each(py, column.len(), column.iter(), |value| value.into_bound_py_any(py))
}

fn decimals<'py, T: DecimalType>(py: Python<'py>, column: &dyn Array) -> PyResult<Objects<'py>> {
    let class = Classes::get(py)?.decimal.bind(py);
    let column = column.as_primitive::<T>();
    let texts =
        (0..column.len()).map(|row| column.is_valid(row).then(|| column.value_as_string(row)));
    each(py, column.len(), texts, |text| class.call1((text,)))
}

fn texts<'py, 'a>(
    py: Python<'py>,
    length: usize,
    values: impl Iterator<Item = Option<&'a str>>,
) -> PyResult<Objects<'py>> {
    each(py, length, values, |value| value.into_bound_py_any(py))
}

/// Texts of views. Those that come again soon are one object: the same views of an array are the
/// same text.
fn viewed<'py>(py: Python<'py>, texts: &StringViewArray) -> PyResult<Objects<'py>> {
    if texts.len() < RECENT {
        return self::texts(py, texts.len(), texts.iter());
    }
    let mut recent: Vec<Option<(u128, Bound<'py, PyAny>)>> = vec![None; RECENT];
    let values = texts.iter().zip(texts.views()).map(|(text, view)| Some((text?, *view)));
    each(py, texts.len(), values, |(text, view)| {
        let hash = ((view >> 64) as u64 ^ view as u64).wrapping_mul(SPREAD);
        let place = &mut recent[(hash >> 32) as usize % RECENT];
        match place {
            Some((same, object)) if *same == view => Ok(object.clone()),
            _ => {
                let object = text.into_bound_py_any(py)?;
                *place = Some((view, object.clone()));
                Ok(object)
            }
        }
    })
}

fn bytes<'py, 'a>(
    py: Python<'py>,
    length: usize,
    values: impl Iterator<Item = Option<&'a [u8]>>,
) -> PyResult<Objects<'py>> {
    each(py, length, values, |value| Ok(PyBytes::new(py, value).into_any()))
}

fn dates<'py>(py: Python<'py>, column: &dyn Array) -> PyResult<Objects<'py>> {
    let class = Classes::get(py)?.date.bind(py);
    each(py, column.len(), column.as_primitive::<Date32Type>().iter(), |days| {
        class.call_method1("fromordinal", (i64::from(days) + EPOCH_ORDINAL,))
    })
}

fn times<'py>(py: Python<'py>, column: &dyn Array) -> PyResult<Objects<'py>> {
    let class = Classes::get(py)?.time.bind(py);
    each(py, column.len(), column.as_primitive::<Time64MicrosecondType>().iter(), |time| {
        let (seconds, micros) = (time / 1_000_000, time % 1_000_000);
        class.call1((seconds / 3600, seconds / 60 % 60, seconds % 60, micros))
    })
}

fn timestamps<'py>(
    py: Python<'py>,
    column: &dyn Array,
    zone: Option<&str>,
) -> PyResult<Objects<'py>> {
    let classes = Classes::get(py)?;
    let delta = classes.timedelta.bind(py);
    let epoch = if zone.is_some() { classes.epoch_utc.bind(py) } else { classes.epoch.bind(py) };
    let zone = match zone {
        None | Some("UTC" | "Etc/UTC" | "+00:00") => None,
        Some(name) => Some(time_zone(py, name)?),
    };
    each(py, column.len(), column.as_primitive::<TimestampMicrosecondType>().iter(), |micros| {
        let moment = epoch.add(delta.call1((0, 0, micros))?)?;
        match &zone {
            None => Ok(moment),
            Some(zone) => moment.call_method1("astimezone", (zone,)),
        }
    })
}

/// A zone of Arrow's: a name, or an offset as `+01:30`.
fn time_zone<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    if !name.starts_with(['+', '-']) {
        return Classes::get(py)?.zone_info.bind(py).call1((name,));
    }
    let text = format!("1970-01-01T00:00:00{name}");
    Classes::get(py)?.datetime.bind(py).call_method1("fromisoformat", (text,))?.getattr("tzinfo")
}

fn intervals<'py>(py: Python<'py>, column: &dyn Array) -> PyResult<Objects<'py>> {
    let class = Classes::get(py)?.timedelta.bind(py);
    let values = column.as_primitive::<IntervalMonthDayNanoType>().iter();
    each(py, column.len(), values, |interval| {
        let days = i64::from(interval.months) * DAYS_OF_A_MONTH + i64::from(interval.days);
        class.call1((days, 0, interval.nanoseconds / 1_000))
    })
}

fn lists<'py, O: OffsetSizeTrait>(
    py: Python<'py>,
    column: &dyn Array,
    list: &arrow::array::GenericListArray<O>,
) -> PyResult<Objects<'py>> {
    // A slice of an array has the values of the whole.
    let offsets: Vec<usize> = list.offsets().iter().map(|offset| offset.as_usize()).collect();
    let (start, end) = (offsets[0], offsets[list.len()]);
    let values = objects(py, &list.values().slice(start, end - start))?;
    sliced(py, column, |row| (offsets[row] - start, offsets[row + 1] - start), &values)
}

/// For each row a list of some of the values.
fn sliced<'py>(
    py: Python<'py>,
    column: &dyn Array,
    range: impl Fn(usize) -> (usize, usize),
    values: &[Bound<'py, PyAny>],
) -> PyResult<Objects<'py>> {
    let rows = (0..column.len()).map(|row| column.is_valid(row).then(|| range(row)));
    each(py, column.len(), rows, |(from, to)| Ok(PyList::new(py, &values[from..to])?.into_any()))
}

fn structs<'py>(py: Python<'py>, column: &dyn Array) -> PyResult<Objects<'py>> {
    let column = column.as_struct();
    let fields: Vec<Objects<'py>> =
        column.columns().iter().map(|field| objects(py, field)).collect::<PyResult<_>>()?;
    let rows = (0..column.len()).map(|row| column.is_valid(row).then_some(row));
    each(py, column.len(), rows, |row| {
        let dict = PyDict::new(py);
        for (name, values) in column.column_names().iter().zip(&fields) {
            dict.set_item(name, &values[row])?;
        }
        Ok(dict.into_any())
    })
}

fn maps<'py>(py: Python<'py>, column: &dyn Array) -> PyResult<Objects<'py>> {
    let map = column.as_map();
    let offsets = map.offsets();
    let (start, end) = (offsets[0] as usize, offsets[map.len()] as usize);
    let keys = objects(py, &map.keys().slice(start, end - start))?;
    let values = objects(py, &map.values().slice(start, end - start))?;
    let rows = (0..map.len()).map(|row| map.is_valid(row).then_some(row));
    each(py, map.len(), rows, |row| {
        let dict = PyDict::new(py);
        for at in offsets[row] as usize..offsets[row + 1] as usize {
            dict.set_item(&keys[at - start], &values[at - start])?;
        }
        Ok(dict.into_any())
    })
}
