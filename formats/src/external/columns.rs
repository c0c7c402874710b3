//! Columns of files that have names and types of their own.

use std::any::Any;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, cast::AsArray};
use arrow::compute::{CastOptions, can_cast_types, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::{Error, Result, sql_name};

/// Index in the file of each wanted column.
pub(super) fn by_name(name: &str, found: &SchemaRef, wanted: &SchemaRef) -> Result<Vec<usize>> {
    wanted
        .fields()
        .iter()
        .map(|field| {
            let refuse = |what: String| in_column(name, field, what);
            let exact = found.index_of(field.name()).ok();
            let alike =
                || found.fields().iter().position(|f| f.name().eq_ignore_ascii_case(field.name()));
            let index = exact.or_else(alike).ok_or_else(|| {
                let names: Vec<_> =
                    found.fields().iter().map(|field| field.name().as_str()).collect();
                refuse(format!("the file has no such column, only {}", names.join(", ")))
            })?;
            let data_type = found.field(index).data_type();
            if data_type != field.data_type() && !can_cast_types(data_type, field.data_type()) {
                return Err(refuse(format!(
                    "{} cannot become {}",
                    sql_name(data_type),
                    sql_name(field.data_type())
                )));
            }
            Ok(index)
        })
        .collect()
}

/// An array as what a column wants, without loss.
pub(super) fn convert(name: &str, array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    let array = match array.data_type() == field.data_type() {
        true => Arc::clone(array),
        false => {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            let refuse = |e: ArrowError| in_column(name, field, e.to_string());
            let values = cast_with_options(array, field.data_type(), &options).map_err(refuse)?;
            if let Some(fraction) = lost_fraction(array, &values).map_err(refuse)? {
                let what = format!("{fraction} has a fraction and the column takes none");
                return Err(in_column(name, field, what));
            }
            values
        }
    };
    if !field.is_nullable() && array.logical_null_count() > 0 {
        return Err(in_column(name, field, "a value is NULL and the column must have one"));
    }
    Ok(array)
}

/// The first number whose fraction is not in `after`, which are integers.
fn lost_fraction(before: &ArrayRef, after: &ArrayRef) -> Result<Option<f64>, ArrowError> {
    let has_fractions = match before.data_type() {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale > 0,
        other => other.is_floating(),
    };
    if !has_fractions || !after.data_type().is_integer() {
        return Ok(None);
    }
    // A fraction is not lost in doubles: numbers that are too large for it have none.
    let [before, after] = [before, after].map(|array| cast(array, &DataType::Float64));
    let (before, after) = (before?, after?);
    let pairs =
        before.as_primitive::<Float64Type>().iter().zip(after.as_primitive::<Float64Type>());
    Ok(pairs.filter(|(before, after)| before != after).find_map(|(before, _)| before))
}

/// Columns with names of their own: of several with one name, the later ones get a
/// number, as in CSV files.
pub(super) fn distinct(found: &SchemaRef) -> SchemaRef {
    let mut taken = HashSet::new();
    let fields = found.fields().iter().map(|field| {
        let mut name = field.name().clone();
        let mut number = 1;
        while !taken.insert(name.clone()) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        Field::clone(field).with_name(name)
    });
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// Columns where text and binary are views, which tables hold.
pub(super) fn views(fields: &Fields) -> Fields {
    fields
        .iter()
        .map(|field| {
            let data_type = match field.data_type() {
                DataType::Utf8 => DataType::Utf8View,
                DataType::Binary => DataType::BinaryView,
                other => other.clone(),
            };
            Field::new(field.name(), data_type, field.is_nullable())
        })
        .collect()
}

/// A decoder that panics on bytes from outside is an error that names the file.
pub(super) fn guarded<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_: Box<dyn Any + Send>| {
        Err(malformed(name, "the file is damaged: it does not decode"))
    })
}

pub(super) fn malformed(name: &str, what: impl ToString) -> Error {
    Error::Malformed { file: name.to_owned(), line: None, column: None, what: what.to_string() }
}

fn in_column(name: &str, field: &Field, what: impl Into<String>) -> Error {
    Error::Malformed {
        file: name.to_owned(),
        line: None,
        column: Some(field.name().clone()),
        what: what.into(),
    }
}
