//! Columns and arrays of NumPy, through its array interface (version 3): NumPy reads ours in
//! place, and we copy theirs.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, FixedSizeListArray, Int64Array, make_array,
};
use arrow::buffer::Buffer as ArrowBuffer;
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{cast, is_null, nullif};
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::error::ArrowError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Memory with a shape.
#[pyclass(frozen, module = "sheafdb._sheafdb")]
pub struct Buffer {
    memory: ArrowBuffer,
    kind: &'static str,
    shape: Vec<usize>,
}

#[pymethods]
impl Buffer {
    /// NumPy reads the memory, and keeps this object while it does.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        let read_only = true;
        interface.set_item("version", 3)?;
        interface.set_item("typestr", self.kind)?;
        interface.set_item("shape", PyTuple::new(py, &self.shape)?)?;
        interface.set_item("data", (self.memory.as_ptr() as usize, read_only))?;
        Ok(interface)
    }
}

/// The values of a column, those of NULL included; `None` when NumPy has no type for them.
pub fn values(column: &ArrayRef) -> Option<Buffer> {
    let rows = column.len();
    if let DataType::FixedSizeList(item, size) = column.data_type() {
        let size = usize::try_from(*size).ok()?;
        let list = column.as_fixed_size_list();
        let holes = |row| list.is_valid(row) && list.value(row).null_count() > 0;
        let has_holes = list.values().null_count() > 0 && (0..rows).any(holes);
        if has_holes || matches!(item.data_type(), DataType::FixedSizeList(..)) {
            return None;
        }
        let flat = values(list.values())?;
        return Some(Buffer { shape: vec![rows, size], ..flat });
    }
    let (kind, wide) = kind(column.data_type())?;
    let column = match wide {
        Some(wide) => cast(column, &wide).ok()?,
        None => column.clone(),
    };
    let data = column.to_data();
    let memory = data.buffers().first()?.slice(data.offset() * data.data_type().primitive_width()?);
    Some(Buffer { memory, kind, shape: vec![rows] })
}

/// One byte for each row, 1 where it is NULL; `None` where none is.
pub fn nulls(column: &ArrayRef) -> Option<Buffer> {
    if column.logical_null_count() == 0 {
        return None;
    }
    let nulls = cast(&is_null(column).ok()?, &DataType::UInt8).ok()?;
    let memory = nulls.to_data().buffers().first()?.clone();
    Some(Buffer { memory, kind: "|b1", shape: vec![column.len()] })
}

/// NumPy's name of a type, and the type that a column must become first.
fn kind(data_type: &DataType) -> Option<(&'static str, Option<DataType>)> {
    let as_is = |kind| Some((kind, None));
    match data_type {
        DataType::Boolean => Some(("|b1", Some(DataType::UInt8))),
        DataType::Int8 => as_is("|i1"),
        DataType::Int16 => as_is("<i2"),
        DataType::Int32 => as_is("<i4"),
        DataType::Int64 => as_is("<i8"),
        DataType::UInt8 => as_is("|u1"),
        DataType::UInt16 => as_is("<u2"),
        DataType::UInt32 => as_is("<u4"),
        DataType::UInt64 => as_is("<u8"),
        DataType::Float16 => as_is("<f2"),
        DataType::Float32 => as_is("<f4"),
        DataType::Float64 => as_is("<f8"),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Some(("<f8", Some(DataType::Float64))),
        DataType::Date32 => Some(("<M8[s]", Some(DataType::Timestamp(TimeUnit::Second, None)))),
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => as_is("<M8[ms]"),
        DataType::Timestamp(TimeUnit::Second, _) => as_is("<M8[s]"),
        DataType::Timestamp(TimeUnit::Microsecond, _) => as_is("<M8[us]"),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => as_is("<M8[ns]"),
        DataType::Duration(TimeUnit::Second) => as_is("<m8[s]"),
        DataType::Duration(TimeUnit::Millisecond) => as_is("<m8[ms]"),
        DataType::Duration(TimeUnit::Microsecond) => as_is("<m8[us]"),
        DataType::Duration(TimeUnit::Nanosecond) => as_is("<m8[ns]"),
        _ => None,
    }
}

/// A copy of an array of NumPy as a column: numbers, truth values, moments and spans, of one
/// dimension, or numbers of two as vectors. `None` for what is not such an array, or not in one
/// piece.
pub fn column(object: &Bound<'_, PyAny>) -> PyResult<Option<ArrayRef>> {
    let Ok(interface) = object.getattr("__array_interface__") else { return Ok(None) };
    let part = |name: &str| interface.get_item(name);
    let strides = part("strides");
    if strides.is_ok_and(|strides| !strides.is_none()) || object.hasattr("mask")? {
        return Ok(None);
    }
    let kind: String = part("typestr")?.extract()?;
    let shape: Vec<usize> = part("shape")?.extract()?;
    let (address, _): (usize, bool) = part("data")?.extract()?;
    let count: usize = shape.iter().product();
    let Some((data_type, width)) = arrow_type(&kind) else { return Ok(None) };
    let bytes = match count {
        0 => Vec::new(),
        // SAFETY: the interface promises so many values in one piece, in memory that the object
        // keeps, and the object is borrowed here.
        _ => unsafe { std::slice::from_raw_parts(address as *const u8, count * width) }.to_vec(),
    };
    let raised = |error: ArrowError| PyValueError::new_err(error.to_string());
    let data = ArrayData::builder(data_type.clone())
        .len(count)
        .add_buffer(ArrowBuffer::from_vec(bytes))
        .align_buffers(true)
        .build()
        .map_err(raised)?;
    let mut flat = make_array(data);
    if kind.starts_with("|b") {
        flat = cast(&flat, &DataType::Boolean).map_err(raised)?;
    }
    if kind.starts_with("<M8") || kind.starts_with("<m8") {
        flat = without_nat(&flat).map_err(raised)?;
    }
    match shape.as_slice() {
        [_] => Ok(Some(flat)),
        [_, size] if flat.data_type().is_numeric() && *size > 0 => {
            let item = Arc::new(Field::new_list_field(data_type, true));
            let size = i32::try_from(*size)?;
            let list = FixedSizeListArray::try_new(item, size, flat, None).map_err(raised)?;
            Ok(Some(Arc::new(list)))
        }
        _ => Ok(None),
    }
}

/// The type of Arrow for a name of NumPy's, and its bytes.
fn arrow_type(kind: &str) -> Option<(DataType, usize)> {
    Some(match kind {
        "|b1" => (DataType::UInt8, 1),
        "|i1" => (DataType::Int8, 1),
        "<i2" => (DataType::Int16, 2),
        "<i4" => (DataType::Int32, 4),
        "<i8" => (DataType::Int64, 8),
        "|u1" => (DataType::UInt8, 1),
        "<u2" => (DataType::UInt16, 2),
        "<u4" => (DataType::UInt32, 4),
        "<u8" => (DataType::UInt64, 8),
        "<f2" => (DataType::Float16, 2),
        "<f4" => (DataType::Float32, 4),
        "<f8" => (DataType::Float64, 8),
        "<M8[s]" => (DataType::Timestamp(TimeUnit::Second, None), 8),
        "<M8[ms]" => (DataType::Timestamp(TimeUnit::Millisecond, None), 8),
        "<M8[us]" => (DataType::Timestamp(TimeUnit::Microsecond, None), 8),
        "<M8[ns]" => (DataType::Timestamp(TimeUnit::Nanosecond, None), 8),
        "<m8[s]" => (DataType::Duration(TimeUnit::Second), 8),
        "<m8[ms]" => (DataType::Duration(TimeUnit::Millisecond), 8),
        "<m8[us]" => (DataType::Duration(TimeUnit::Microsecond), 8),
        "<m8[ns]" => (DataType::Duration(TimeUnit::Nanosecond), 8),
        _ => return None,
    })
}

/// NumPy says by the smallest integer that there is no moment.
fn without_nat(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let integers = cast(column, &DataType::Int64)?;
    let nat = eq(&integers, &Int64Array::new_scalar(i64::MIN))?;
    nullif(column, &nat)
}
