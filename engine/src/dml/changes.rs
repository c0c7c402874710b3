//! Changes of several tables that a program hands over, in one commit.

use arrow::array::RecordBatch;
use sheaf_core::{Commit, OnConflict, Write};

use super::ingest::places_by_name;
use super::source::find;
use super::{assign, rows};
use crate::error::{Error, ErrorKind, Result};
use crate::session::Context;
use crate::sql::parse_object_name;

/// One table's part of [`crate::Session::write`].
#[derive(Clone, Debug)]
pub struct Change {
    /// The table, as SQL names it.
    pub table: String,
    /// What becomes of the rows.
    pub action: Action,
    /// Rows, or keys, whose columns go by the names of the table's.
    pub rows: RecordBatch,
}

/// What becomes of the rows of a [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They come to the others; one whose key is there fails the commit.
    Insert,
    /// They take the place of rows with their keys. Columns that they do not have get their
    /// defaults.
    Upsert,
    /// Rows with these keys are deleted; those that are not there are not missed.
    Delete,
}

/// Commits all changes, in their order, or none.
pub(crate) fn write(context: &Context, changes: Vec<Change>) -> Result<Commit> {
    let writes = changes.into_iter().map(|change| one(context, change)).collect::<Result<_>>()?;
    context.append(writes)
}

fn one(context: &Context, change: Change) -> Result<Write> {
    let Change { table: name, action, rows } = change;
    let table = context.table(&parse_object_name(&name)?)?;
    if action != Action::Insert && !table.is_keyed() {
        let what = format!("table '{}' has no primary key", table.name);
        return Err(Error::new(ErrorKind::InvalidStatement, what));
    }
    if action == Action::Delete {
        let schema = table.arrow_schema().project(&table.key_indices())?;
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let values = rows.column_by_name(field.name()).ok_or_else(|| {
                let what = format!("the keys have no column '{}'", field.name());
                Error::new(ErrorKind::InvalidStatement, what)
            })?;
            columns.push(assign(values, field.name(), field.data_type())?);
        }
        // A column that is not of the key would be a condition that nobody looks at.
        for field in rows.schema_ref().fields() {
            find(&table, field.name())?;
            if schema.index_of(field.name()).is_err() {
                let what = format!("column '{}' is not in the primary key", field.name());
                return Err(Error::new(ErrorKind::InvalidStatement, what));
            }
        }
        let keys = RecordBatch::try_new(schema.into(), columns)?;
        return Ok(Write::DeleteKeys { table, keys });
    }
    let places = places_by_name(&table, rows.schema_ref())?;
    let rows = rows::shape(context, &table, &rows, &places)?;
    let on_conflict = match action {
        Action::Upsert => OnConflict::Replace,
        _ => OnConflict::Fail,
    };
    Ok(Write::Insert { table, rows, on_conflict })
}
