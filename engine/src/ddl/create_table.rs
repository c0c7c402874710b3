//! CREATE TABLE.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use datafusion::sql::sqlparser::ast::{
    CreateTable, CreateTableOptions, Expr, IndexColumn, ObjectName, OrderByExpr, OrderByOptions,
    TableConstraint,
};
use sheaf_core::catalog::{CatalogChange, ColumnOrder, NewColumn, NewTable};

use super::column::{self, plain_key, unsupported_constraint};
use super::partition;
use super::table_options::TableOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output, temporary};
use crate::sql::{Resolved, fold, ident_position, position_of};

/// Columns of a key or a clustering.
pub(super) type Sorted = Vec<(String, ColumnOrder)>;

pub(super) fn run(context: &Context, table: &CreateTable) -> Result<Output> {
    check_clauses(table)?;
    if is_there(context, table)? {
        return Ok(Output::done("CREATE TABLE"));
    }
    let mut columns = Vec::with_capacity(table.columns.len());
    let mut keys: Vec<Sorted> = Vec::new();
    for definition in &table.columns {
        let written = column::read(context, definition)?;
        if written.primary_key {
            keys.push(vec![(written.column.name.clone(), ColumnOrder::default())]);
        }
        columns.push(written.column);
    }
    let new = new_table(context, table, columns, keys)?;
    super::change(context, CatalogChange::CreateTable(new))
        .map_err(|error| already_exists(error, &table.name))?;
    Ok(Output::done("CREATE TABLE"))
}

/// The schema and name that the table is to have. A temporary one has no schema that people
/// name.
fn resolve(context: &Context, table: &CreateTable) -> Result<Resolved> {
    if !table.temporary {
        return context.resolve_new(&table.name);
    }
    if table.name.0.len() > 1 {
        let what = "a temporary table has a name without a schema";
        return Err(Error::new(ErrorKind::InvalidStatement, what).at(position_of(&table.name)));
    }
    let resolved = context.resolve_new(&table.name)?;
    Ok(Resolved { schema: context.settings.temporary.clone(), ..resolved })
}

/// With IF NOT EXISTS: whether there is nothing to do.
pub(super) fn is_there(context: &Context, table: &CreateTable) -> Result<bool> {
    let name = resolve(context, table)?;
    let there =
        context.catalog.stored_table(&name).is_ok() || context.catalog.stored_view(&name).is_ok();
    if there && !table.if_not_exists {
        return Err(Error::new(
            ErrorKind::DuplicateObject,
            format!("table '{}' already exists", name.name),
        )
        .at(position_of(&table.name))
        .hint("use CREATE TABLE IF NOT EXISTS, or another name"));
    }
    Ok(there)
}

/// Somebody else may have made it since.
pub(super) fn already_exists(error: Error, name: &ObjectName) -> Error {
    error.at(position_of(name))
}

/// The definition for the catalog, from columns and what else is written.
pub(super) fn new_table(
    context: &Context,
    table: &CreateTable,
    mut columns: Vec<NewColumn>,
    mut keys: Vec<Sorted>,
) -> Result<NewTable> {
    let name = resolve(context, table)?;
    let schema = match table.temporary {
        true => temporary::schema(context)?,
        false => {
            let schema = context.catalog.schema(&name.schema);
            schema.map_err(|error| error.at(position_of(&table.name)))?.id
        }
    };
    for constraint in &table.constraints {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                plain_key(key)?;
                keys.push(key.columns.iter().map(key_column).collect::<Result<_>>()?);
            }
            TableConstraint::Unique(_) => return Err(unsupported_constraint("UNIQUE")),
            TableConstraint::ForeignKey(_) => return Err(unsupported_constraint("FOREIGN KEY")),
            TableConstraint::Check(_) => return Err(unsupported_constraint("CHECK")),
            other => return Err(Error::not_supported(format!("{other} in CREATE TABLE"))),
        }
    }
    if keys.len() > 1 {
        return Err(Error::new(
            ErrorKind::InvalidStatement,
            format!("table '{}' has more than one primary key", name.name),
        )
        .hint("write PRIMARY KEY (a, b) once for a key of several columns"));
    }
    let (primary_key, key_order): (Vec<_>, Vec<_>) =
        keys.pop().unwrap_or_default().into_iter().unzip();
    for key in &primary_key {
        match columns.iter_mut().find(|column| column.name == *key) {
            Some(column) => column.nullable = false,
            None => return Err(no_column(key, &columns, "the primary key")),
        }
    }
    let partition = table.partition_by.as_deref().map(partition::read).transpose()?;
    if let Some((column, _)) = &partition
        && !columns.iter().any(|c| c.name == *column)
    {
        return Err(no_column(column, &columns, "PARTITION BY"));
    }
    let terms = table.clustered_by.iter().flat_map(|by| by.sorted_by.iter().flatten());
    let clustering: Sorted =
        terms.map(|term| cluster_column(term, &columns)).collect::<Result<_>>()?;
    let (cluster_by, cluster_order) = clustering.into_iter().unzip();
    let TableOptions { encoding, row_store, lazy_upserts, ttl, ttl_column, durability } =
        read_options(&table.table_options)?;
    let durability = durability.or_else(|| table.temporary.then_some(temporary::DURABILITY));
    let row_store = row_store.unwrap_or_default();
    let lazy_upserts = lazy_upserts.unwrap_or_default();
    for (wanted, what) in
        [(row_store, "row_store is for point reads"), (lazy_upserts, "lazy_upserts is for upserts")]
    {
        if wanted && primary_key.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                format!("{what}, and the table has no PRIMARY KEY"),
            ));
        }
    }
    let ttl_column = ttl_column.or_else(|| {
        let (column, _) = partition.as_ref()?;
        ttl.and(Some(column.clone()))
    });
    let ttl = match (ttl_column, ttl) {
        (Some(column), after) if columns.iter().any(|c| c.name == column) => Some((column, after)),
        (Some(column), _) => return Err(no_column(&column, &columns, "ttl_column")),
        (None, None) => None,
        (None, Some(_)) => {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                "ttl counts from a column, and none is named",
            )
            .hint("add ttl_column = 'name', or PARTITION BY time_bucket('1 day', name)"));
        }
    };
    Ok(NewTable {
        schema,
        name: name.name,
        columns,
        primary_key,
        key_order,
        partition,
        cluster_by,
        cluster_order,
        encoding: encoding.unwrap_or_default(),
        row_store,
        lazy_upserts,
        ttl,
        durability,
        options: BTreeMap::new(),
    })
}

fn no_column(name: &str, columns: &[NewColumn], clause: &str) -> Error {
    Error::new(ErrorKind::UndefinedColumn, format!("column '{name}' of {clause} not found"))
        .suggest(name, columns.iter().map(|c| c.name.as_str()))
}

fn cluster_column(term: &OrderByExpr, columns: &[NewColumn]) -> Result<(String, ColumnOrder)> {
    let OrderByExpr { expr: Expr::Identifier(ident), options, with_fill: None } = term else {
        return Err(Error::not_supported(format!("CLUSTER BY {term}"))
            .at(position_of(&term.expr))
            .hint("name columns"));
    };
    let name = fold(ident);
    if columns.iter().any(|c| c.name == name) {
        Ok((name, order_of(options)))
    } else {
        Err(no_column(&name, columns, "CLUSTER BY").at(ident_position(ident)))
    }
}

/// As in PostgreSQL: NULLs are greater than all values unless it is said where they go.
fn order_of(options: &OrderByOptions) -> ColumnOrder {
    let descending = options.asc == Some(false);
    ColumnOrder { descending, nulls_first: options.nulls_first.unwrap_or(descending) }
}

fn key_column(column: &IndexColumn) -> Result<(String, ColumnOrder)> {
    let IndexColumn { column, operator_class: None } = column else {
        return Err(Error::not_supported("an operator class in PRIMARY KEY"));
    };
    match &column.expr {
        Expr::Identifier(_) if column.options.nulls_first.is_some() => {
            Err(Error::not_supported("NULLS FIRST or NULLS LAST in PRIMARY KEY")
                .hint("columns of a key are never NULL"))
        }
        Expr::Identifier(ident) => Ok((fold(ident), order_of(&column.options))),
        other => Err(Error::not_supported(format!("{other} in PRIMARY KEY")).hint("name columns")),
    }
}

/// `WITH (format = 'parquet', row_store = true, ttl = '30 days', ttl_column = 'seen')`
fn read_options(options: &CreateTableOptions) -> Result<TableOptions> {
    match options {
        CreateTableOptions::None => Ok(TableOptions::default()),
        CreateTableOptions::With(options) => TableOptions::read(options),
        other => Err(Error::not_supported(format!("{other} in CREATE TABLE"))),
    }
}

/// Refuses every clause that is not read above: what is built from the clauses that
/// are read must be all of the statement.
pub(super) fn check_clauses(table: &CreateTable) -> Result<()> {
    let read = CreateTableBuilder::new(table.name.clone())
        .if_not_exists(table.if_not_exists)
        .columns(table.columns.clone())
        .constraints(table.constraints.clone())
        .partition_by(table.partition_by.clone())
        .clustered_by(table.clustered_by.clone())
        .table_options(table.table_options.clone())
        .query(table.query.clone())
        .temporary(table.temporary)
        .build();
    if read == *table {
        return Ok(());
    }
    let what = if table.or_replace {
        "CREATE OR REPLACE TABLE"
    } else if table.external {
        "an external table"
    } else {
        "a clause of this CREATE TABLE"
    };
    Err(Error::not_supported(what)
        .at(position_of(&table.name))
        .hint("CREATE TABLE takes PARTITION BY, CLUSTER BY and WITH after its columns"))
}
