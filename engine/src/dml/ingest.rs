//! Rows that a program hands over: into a table that is there, or that they make, in one
//! commit.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use futures::{Stream, StreamExt};
use sheaf_core::BulkLoad;
use sheaf_core::catalog::{NewTable, TableDef};

use super::rows;
use super::sink::Sink;
use super::source::find;
use crate::ddl;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, blocking, temporary};
use crate::sql::Resolved;

/// Where rows go: see [`crate::Session::ingest`].
#[derive(Clone, Debug)]
pub struct Ingest {
    /// The schema of the table; the session's without it.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// Whether it is one of the session's temporary tables.
    pub temporary: bool,
    /// When there is no such table.
    pub if_missing: IfMissing,
    /// When there is one.
    pub if_there: IfThere,
}

/// What becomes of rows for a table that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// The table is made for them.
    Create,
    /// An error.
    Fail,
}

/// What becomes of rows for a table that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfThere {
    /// They come to the others.
    Append,
    /// A new table with these rows takes the place of the old one.
    Replace,
    /// An error.
    Fail,
}

/// Takes all rows and commits them; returns how many there were.
pub(crate) async fn run(
    context: &Context,
    target: Ingest,
    schema: SchemaRef,
    rows: impl Stream<Item = Result<RecordBatch>> + Send,
) -> Result<u64> {
    let mut rows = std::pin::pin!(rows);
    let Ingest { schema: namespace, table: name, temporary, if_missing, if_there } = target;
    if temporary && namespace.is_some() {
        let what = "a temporary table has a name without a schema";
        return Err(Error::new(ErrorKind::InvalidStatement, what));
    }
    let namespace = match namespace {
        Some(namespace) => namespace,
        None if temporary => context.settings.temporary.clone(),
        None if if_missing == IfMissing::Fail => context.catalog.schema_of(&name).to_owned(),
        None => context.settings.schema.clone(),
    };
    // A name alone may mean a temporary table, too.
    let temporary = namespace == context.settings.temporary;
    let namespace_id = match temporary {
        true => temporary::schema(context)?,
        false => context.catalog.schema(&namespace)?.id,
    };
    let new = |name| -> Result<NewTable> {
        let durability = temporary.then_some(temporary::DURABILITY);
        let new = NewTable::new(namespace_id, name, ddl::columns_for(&schema)?);
        Ok(NewTable { durability, ..new })
    };
    let resolved = Resolved { schema: namespace, name: name.clone() };
    let there = match context.catalog.stored_table(&resolved) {
        Ok(table) => Some(Arc::clone(table)),
        Err(error)
            if (error.kind == ErrorKind::UndefinedTable || temporary)
                && if_missing == IfMissing::Create =>
        {
            None
        }
        // The schema of temporary tables may not be there.
        Err(_) if temporary => {
            let what = format!("there is no temporary table '{name}'");
            return Err(Error::new(ErrorKind::UndefinedTable, what));
        }
        Err(error) => return Err(error),
    };
    let load = match (there, if_there) {
        (None, _) => blocking(|| context.store.bulk_create(new(name)?).map_err(Error::from))?,
        (Some(table), IfThere::Replace) => {
            blocking(|| context.store.bulk_replace(table.id, new(name)?).map_err(Error::from))?
        }
        (Some(table), IfThere::Append) => {
            let places = places_by_name(&table, &schema)?;
            let mut sink = Sink::new(context, Arc::clone(&table));
            while let Some(batch) = rows.next().await {
                sink.push(rows::shape(context, &table, &batch?, &places)?)?;
            }
            return sink.finish();
        }
        (Some(_), IfThere::Fail) => {
            return Err(Error::new(
                ErrorKind::DuplicateObject,
                format!("table '{name}' already exists"),
            ));
        }
    };
    fill(context, load, rows).await
}

/// Puts rows, whose columns are those of the table in their order, into a table that they
/// make; returns how many there were.
pub(crate) async fn fill(
    context: &Context,
    mut load: BulkLoad,
    mut rows: impl Stream<Item = Result<RecordBatch>> + Unpin,
) -> Result<u64> {
    let def = Arc::clone(load.def());
    let places: Vec<Option<usize>> = (0..def.live_columns().count()).map(Some).collect();
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows() as u64;
        let batch = rows::shape(context, &def, &batch, &places)?;
        blocking(|| load.push(batch))?;
    }
    blocking(|| load.finish())?;
    Ok(count)
}

/// For each column of the table its place among the columns of the rows, by name.
pub(super) fn places_by_name(table: &TableDef, schema: &Schema) -> Result<Vec<Option<usize>>> {
    let mut places = vec![None; table.live_columns().count()];
    for (at, field) in schema.fields().iter().enumerate() {
        let (index, _) = find(table, field.name())?;
        if places[index].replace(at).is_some() {
            return Err(Error::new(
                ErrorKind::InvalidStatement,
                format!("the rows have two columns '{}'", field.name()),
            ));
        }
    }
    Ok(places)
}
