//! Intervals: three little-endian numbers of 32 bits, months, days and milliseconds.
//!
//! The Parquet crate reads either the months or the rest of them. So it is told that
//! they are bytes, and they become intervals here.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use ::parquet::basic::ConvertedType;
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::{FileMetaData, ParquetMetaDataBuilder};
use ::parquet::schema::types::{SchemaDescriptor, Type, TypePtr};
use arrow::array::{ArrayRef, IntervalMonthDayNanoArray, cast::AsArray};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit, Schema, SchemaRef};

/// Bytes of an interval.
const LEN: i32 = 12;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// The metadata of a file with its columns of intervals as columns of bytes, and the
/// places of these columns.
pub(super) fn as_bytes(
    found: ArrowReaderMetadata,
    options: &ArrowReaderOptions,
) -> Result<(ArrowReaderMetadata, Vec<usize>)> {
    let file = found.metadata().file_metadata();
    let leaves = file.schema_descr().columns();
    if !leaves.iter().any(|leaf| leaf.converted_type() == ConvertedType::INTERVAL) {
        return Ok((found, Vec::new()));
    }
    let root = file.schema_descr().root_schema();
    let places = root.get_fields().iter().enumerate().filter(|(_, field)| is_interval(field));
    let places = places.map(|(place, _)| place).collect();
    let fields = root.get_fields().iter().map(bytes).collect::<Result<Vec<TypePtr>>>()?;
    let root = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        Arc::new(SchemaDescriptor::new(Arc::new(root))),
        file.column_orders().cloned(),
    );
    let groups = found.metadata().row_groups().to_vec();
    let metadata = ParquetMetaDataBuilder::new(file).set_row_groups(groups).build();
    Ok((ArrowReaderMetadata::try_new(Arc::new(metadata), options.clone())?, places))
}

fn is_interval(field: &Type) -> bool {
    field.get_basic_info().converted_type() == ConvertedType::INTERVAL
}

fn bytes(field: &TypePtr) -> Result<TypePtr> {
    let info = field.get_basic_info();
    if field.is_group() {
        let mut inner = field.get_fields().to_vec();
        while let Some(field) = inner.pop() {
            if is_interval(&field) {
                let what = format!("'{}' has intervals inside of it: cast them", info.name());
                return Err(ParquetError::NYI(what));
            }
            if field.is_group() {
                inner.extend(field.get_fields().iter().cloned());
            }
        }
    }
    if field.is_group() || !is_interval(field) {
        return Ok(Arc::clone(field));
    }
    let field = Type::primitive_type_builder(info.name(), field.get_physical_type())
        .with_repetition(info.repetition())
        .with_length(LEN)
        .build()?;
    Ok(Arc::new(field))
}

/// The columns of a file, with those at `places` as the intervals that they are.
pub(super) fn named(schema: &SchemaRef, places: &[usize]) -> SchemaRef {
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    let fields =
        schema.fields().iter().enumerate().map(|(place, field)| match places.contains(&place) {
            true => Arc::new(Field::clone(field).with_data_type(interval.clone())),
            false => Arc::clone(field),
        });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Bytes as the intervals that they are.
pub(super) fn from_bytes(array: &ArrayRef) -> ArrayRef {
    let Some(array) = array.as_fixed_size_binary_opt() else { return Arc::clone(array) };
    let interval = |bytes: &[u8]| {
        let number = |part: usize| {
            bytes.as_chunks::<4>().0.get(part).map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        // They are unsigned in the format; negative ones are written all the same.
        let [months, days, millis] = [0, 1, 2].map(|part| number(part) as i32);
        IntervalMonthDayNano::new(months, days, i64::from(millis) * NANOS_PER_MILLI)
    };
    let intervals: IntervalMonthDayNanoArray =
        array.iter().map(|bytes| bytes.map(interval)).collect();
    Arc::new(intervals)
}
