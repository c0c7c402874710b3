//! Columns of files that have names and types of their own.

use std::any::Any;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

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
            cast_with_options(array, field.data_type(), &options)
                .map_err(|e| in_column(name, field, e.to_string()))?
        }
    };
    if !field.is_nullable() && array.logical_null_count() > 0 {
        return Err(in_column(name, field, "a value is NULL and the column must have one"));
    }
    Ok(array)
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
