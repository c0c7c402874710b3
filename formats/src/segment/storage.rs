//! Exact Arrow types over encodings that cannot store all of them.
//!
//! A column of a type that an encoding refuses is stored as another type that holds
//! the same values in the same order of comparison where there is one, and turned
//! back on read. The table here is part of the segment format:
//!
//! | column | Vortex | Parquet |
//! |---|---|---|
//! | Duration | Int64 | Int64 |
//! | Interval(YearMonth) | Int32 | Int32 |
//! | Interval(DayTime) | Int64, days above milliseconds | the same |
//! | Interval(MonthDayNano) | Binary of 16 bytes | the same |
//! | FixedSizeBinary | Binary | itself |
//! | Map | List of its entries | itself |
//! | ListView, LargeListView | List, LargeList | the same |
//! | Dictionary, RunEndEncoded | their values | their values |
//! | Union, Struct without fields | refused | refused |

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, FixedSizeBinaryBuilder, FixedSizeListArray,
    GenericListArray, MapArray, OffsetSizeTrait, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Int32Type, Int64Type, IntervalDayTime, IntervalDayTimeType,
    IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Schema,
    SchemaRef,
};

use super::Encoding;
use super::blank::blank_nulls;
use crate::{Error, Result};

/// How the columns of a segment lie in its payload.
#[derive(Clone, Debug)]
pub(super) struct StorageMap {
    /// The exact types.
    pub(super) logical: SchemaRef,
    /// The stored types, without any metadata.
    pub(super) stored: SchemaRef,
}

impl StorageMap {
    /// Fails for a column that `encoding` cannot hold. `name` chooses the stored
    /// name of a column by its index.
    pub(super) fn new(
        encoding: Encoding,
        logical: &SchemaRef,
        name: impl Fn(usize) -> String,
    ) -> Result<Self> {
        let fields = logical
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let stored = stored_type(encoding, field.data_type()).ok_or_else(|| {
                    Error::UnsupportedType {
                        encoding: encoding.name(),
                        column: field.name().clone(),
                        data_type: field.data_type().to_string(),
                    }
                })?;
                Ok(Field::new(name(index), stored, field.is_nullable()))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { logical: logical.clone(), stored: Arc::new(Schema::new(fields)) })
    }

    /// A batch of the exact schema as it is stored.
    pub(super) fn to_stored(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch
            .columns()
            .iter()
            .zip(self.logical.fields())
            .zip(self.stored.fields())
            .map(|((array, logical), stored)| {
                if array.data_type() != logical.data_type() {
                    return Err(Error::Invalid(format!(
                        "column '{}' of a batch is {} where the segment has {}",
                        logical.name(),
                        array.data_type(),
                        logical.data_type()
                    )));
                }
                blank_nulls(to_stored(array, stored.data_type())?)
            })
            .collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.stored.clone(), columns, &options)?)
    }

    /// A stored column `array` with the exact type of column `index`.
    pub(super) fn to_logical(&self, index: usize, array: &ArrayRef) -> Result<ArrayRef> {
        to_logical(array, self.logical.field(index).data_type())
    }

    /// Values to compare column `index` with, as they are stored.
    pub(super) fn literal(&self, index: usize, values: &ArrayRef) -> Result<ArrayRef> {
        to_stored(values, self.stored.field(index).data_type())
    }

    /// The schema of columns `projection`, exact types.
    pub(super) fn projected(&self, projection: &[usize]) -> Result<SchemaRef> {
        Ok(Arc::new(self.logical.project(projection)?))
    }
}

fn stored_type(encoding: Encoding, data_type: &DataType) -> Option<DataType> {
    let vortex = encoding == Encoding::Vortex;
    let child = |field: &FieldRef| stored_field(encoding, field);
    Some(match data_type {
        DataType::Duration(_) | DataType::Interval(IntervalUnit::DayTime) => DataType::Int64,
        DataType::Interval(IntervalUnit::YearMonth) => DataType::Int32,
        DataType::Interval(IntervalUnit::MonthDayNano) => DataType::BinaryView,
        DataType::FixedSizeBinary(_) if vortex => DataType::BinaryView,
        DataType::Dictionary(_, values) => stored_type(encoding, values)?,
        DataType::RunEndEncoded(_, values) => stored_type(encoding, values.data_type())?,
        DataType::List(field) | DataType::ListView(field) => DataType::List(child(field)?),
        DataType::LargeList(field) | DataType::LargeListView(field) => {
            DataType::LargeList(child(field)?)
        }
        DataType::FixedSizeList(field, len) => DataType::FixedSizeList(child(field)?, *len),
        DataType::Map(entries, _) if vortex => DataType::List(child(entries)?),
        DataType::Map(entries, sorted) => DataType::Map(child(entries)?, *sorted),
        DataType::Struct(fields) if fields.is_empty() => return None,
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(child).collect::<Option<Fields>>()?)
        }
        DataType::Union(..) => return None,
        other => other.clone(),
    })
}

/// The stored form of a nested field. Metadata is dropped: an extension name would
/// make an encoding choose a type of its own.
fn stored_field(encoding: Encoding, field: &FieldRef) -> Option<FieldRef> {
    let stored = stored_type(encoding, field.data_type())?;
    Some(Arc::new(Field::new(field.name(), stored, field.is_nullable())))
}

fn to_stored(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    if array.data_type() == target {
        return Ok(array.clone());
    }
    Ok(match (array.data_type(), target) {
        (DataType::Interval(IntervalUnit::YearMonth), _) => {
            Arc::new(array.as_primitive::<IntervalYearMonthType>().reinterpret_cast::<Int32Type>())
        }
        (DataType::Interval(IntervalUnit::DayTime), _) => {
            let array = array.as_primitive::<IntervalDayTimeType>();
            Arc::new(array.unary::<_, Int64Type>(|v| {
                i64::from(v.days) << 32 | i64::from(v.milliseconds as u32)
            }))
        }
        (DataType::Interval(IntervalUnit::MonthDayNano), _) => {
            let array = array.as_primitive::<IntervalMonthDayNanoType>();
            Arc::new(array.iter().map(|v| v.map(interval_bytes)).collect::<BinaryViewArray>())
        }
        (DataType::FixedSizeBinary(_), DataType::BinaryView) => {
            Arc::new(array.as_fixed_size_binary().iter().collect::<BinaryViewArray>())
        }
        (DataType::Map(..), DataType::List(field)) => {
            let map = array.as_map();
            let entries =
                to_stored(&(Arc::new(map.entries().clone()) as ArrayRef), field.data_type())?;
            Arc::new(GenericListArray::<i32>::try_new(
                field.clone(),
                map.offsets().clone(),
                entries,
                map.nulls().cloned(),
            )?)
        }
        (DataType::Dictionary(_, values), _) if values.as_ref() != target => {
            to_stored(&exact_cast(array, values)?, target)?
        }
        (DataType::RunEndEncoded(_, values), _) if values.data_type() != target => {
            to_stored(&exact_cast(array, values.data_type())?, target)?
        }
        (DataType::ListView(field), DataType::List(_)) => {
            to_stored(&exact_cast(array, &DataType::List(field.clone()))?, target)?
        }
        (DataType::LargeListView(field), DataType::LargeList(_)) => {
            to_stored(&exact_cast(array, &DataType::LargeList(field.clone()))?, target)?
        }
        _ => nested(array, target, to_stored)?,
    })
}

fn to_logical(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    if array.data_type() == target {
        return Ok(array.clone());
    }
    Ok(match (array.data_type(), target) {
        (DataType::Int32, DataType::Interval(_)) => {
            Arc::new(array.as_primitive::<Int32Type>().reinterpret_cast::<IntervalYearMonthType>())
        }
        (DataType::Int64, DataType::Interval(_)) => {
            Arc::new(array.as_primitive::<Int64Type>().unary::<_, IntervalDayTimeType>(|v| {
                IntervalDayTime::new((v >> 32) as i32, v as i32)
            }))
        }
        (DataType::BinaryView, DataType::Interval(_)) => {
            let intervals = array.as_binary_view().iter().map(|v| v.map(interval_of).transpose());
            let intervals = intervals
                .collect::<Result<arrow::array::PrimitiveArray<IntervalMonthDayNanoType>>>()?;
            Arc::new(intervals)
        }
        (DataType::BinaryView, DataType::FixedSizeBinary(width)) => {
            let mut out = FixedSizeBinaryBuilder::with_capacity(array.len(), *width);
            for value in array.as_binary_view() {
                match value {
                    Some(value) => out.append_value(value)?,
                    None => out.append_null(),
                }
            }
            Arc::new(out.finish())
        }
        (DataType::List(_), DataType::Map(entries, sorted)) => {
            let list = array.as_list::<i32>();
            let pairs = to_logical(list.values(), entries.data_type())?;
            Arc::new(MapArray::try_new(
                entries.clone(),
                list.offsets().clone(),
                pairs.as_struct().clone(),
                list.nulls().cloned(),
                *sorted,
            )?)
        }
        (found, DataType::Dictionary(_, values)) if found != values.as_ref() => {
            exact_cast(&to_logical(array, values)?, target)?
        }
        (found, DataType::RunEndEncoded(_, values)) if found != values.data_type() => {
            exact_cast(&to_logical(array, values.data_type())?, target)?
        }
        (DataType::List(_), DataType::ListView(field)) => {
            exact_cast(&to_logical(array, &DataType::List(field.clone()))?, target)?
        }
        (DataType::LargeList(_), DataType::LargeListView(field)) => {
            exact_cast(&to_logical(array, &DataType::LargeList(field.clone()))?, target)?
        }
        _ => nested(array, target, to_logical)?,
    })
}

type Convert = fn(&ArrayRef, &DataType) -> Result<ArrayRef>;

/// Converts the children of a nested array, or casts a flat one without loss.
fn nested(array: &ArrayRef, target: &DataType, convert: Convert) -> Result<ArrayRef> {
    Ok(match (array.data_type(), target) {
        (DataType::List(_), DataType::List(field)) => list::<i32>(array, field, convert)?,
        (DataType::LargeList(_), DataType::LargeList(field)) => list::<i64>(array, field, convert)?,
        (DataType::FixedSizeList(_, found), DataType::FixedSizeList(field, len))
            if found == len =>
        {
            let list = array.as_fixed_size_list();
            let values = convert(list.values(), field.data_type())?;
            Arc::new(FixedSizeListArray::try_new_with_length(
                field.clone(),
                *len,
                values,
                list.nulls().cloned(),
                list.len(),
            )?)
        }
        (DataType::Map(..), DataType::Map(field, sorted)) => {
            let map = array.as_map();
            let entries =
                convert(&(Arc::new(map.entries().clone()) as ArrayRef), field.data_type())?;
            Arc::new(MapArray::try_new(
                field.clone(),
                map.offsets().clone(),
                entries.as_struct().clone(),
                map.nulls().cloned(),
                *sorted,
            )?)
        }
        (DataType::Struct(found), DataType::Struct(fields)) if found.len() == fields.len() => {
            let array = array.as_struct();
            let columns = array
                .columns()
                .iter()
                .zip(fields)
                .map(|(column, field)| convert(column, field.data_type()))
                .collect::<Result<_>>()?;
            let nulls = array.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len())?)
        }
        _ => exact_cast(array, target)?,
    })
}

fn list<O: OffsetSizeTrait>(
    array: &ArrayRef,
    field: &FieldRef,
    convert: Convert,
) -> Result<ArrayRef> {
    let list = array.as_list::<O>();
    let values = convert(list.values(), field.data_type())?;
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    Ok(Arc::new(GenericListArray::<O>::try_new(field.clone(), offsets, values, nulls)?))
}

/// A cast that fails where it would lose a value.
fn exact_cast(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, target, &options)?)
}

fn interval_bytes(value: IntervalMonthDayNano) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&value.months.to_le_bytes());
    bytes[4..8].copy_from_slice(&value.days.to_le_bytes());
    bytes[8..].copy_from_slice(&value.nanoseconds.to_le_bytes());
    bytes
}

fn interval_of(bytes: &[u8]) -> Result<IntervalMonthDayNano> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| {
        Error::Invalid(format!("a stored interval has {} bytes instead of 16", bytes.len()))
    })?;
    let value = u128::from_le_bytes(bytes);
    Ok(IntervalMonthDayNano::new(value as i32, (value >> 32) as i32, (value >> 64) as i64))
}
