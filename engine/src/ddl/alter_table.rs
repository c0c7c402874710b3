//! ALTER TABLE.

use std::sync::Arc;

use arrow::array::Array;
use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, DropBehavior, Ident, ObjectName,
    RenameTableNameKind, SqlOption,
};
use sheaf_core::catalog::{CatalogChange, ColumnDef, TableDef, TimeToLive};
use sheaf_core::partition::BucketWidth;

use super::column::{self, column_name, default_text, unsupported_constraint};
use super::table_options::{ResetOptions, TableOptions, fixed};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};
use crate::sql::{fold, ident_position, parse_expression, position_of};

pub(super) fn run(context: &Context, alter: AlterTable) -> Result<Output> {
    let AlterTable {
        name,
        if_exists,
        only: _,
        operations,
        location: None,
        on_cluster: None,
        table_type: None,
        end_token: _,
    } = alter
    else {
        return Err(Error::not_supported("this form of ALTER TABLE"));
    };
    let table = match context.table(&name) {
        Err(error) if if_exists && error.kind == ErrorKind::UndefinedTable => {
            return Ok(Output::done("ALTER TABLE"));
        }
        table => table?,
    };
    // Each change is a commit of its own: several would not be one.
    let [operation] = operations.as_slice() else {
        return Err(several_changes());
    };
    let changes = changes(context, &table, operation)?;
    if let Some(change) = changes {
        super::change(context, change).map_err(|error| error.at(position_of(&name)))?;
    }
    Ok(Output::done("ALTER TABLE"))
}

/// What the operation asks of the catalog; `None` when there is nothing to do.
fn changes(
    context: &Context,
    table: &Arc<TableDef>,
    operation: &AlterTableOperation,
) -> Result<Option<CatalogChange>> {
    Ok(match operation {
        AlterTableOperation::AddColumn {
            column_keyword: _,
            if_not_exists,
            column_def,
            column_position,
        } => {
            if column_position.is_some() {
                return Err(Error::not_supported("FIRST or AFTER in ADD COLUMN")
                    .hint("a new column is the last one"));
            }
            if *if_not_exists && find(table, &column_def.name).is_ok() {
                return Ok(None);
            }
            Some(add_column(context, table, column_def)?)
        }
        AlterTableOperation::DropColumn {
            has_column_keyword: _,
            column_names,
            if_exists,
            drop_behavior,
        } => {
            if *drop_behavior == Some(DropBehavior::Cascade) {
                return Err(Error::not_supported("CASCADE in DROP COLUMN")
                    .hint("nothing depends on a column but views, which are read anew"));
            }
            let [name] = column_names.as_slice() else {
                return Err(Error::not_supported("several columns in one DROP COLUMN")
                    .hint("write one ALTER TABLE for each"));
            };
            match find(table, name) {
                Err(_) if *if_exists => None,
                column => Some(CatalogChange::DropColumn { table: table.id, column: column?.id }),
            }
        }
        AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
            Some(CatalogChange::RenameColumn {
                table: table.id,
                column: find(table, old_column_name)?.id,
                name: column_name(new_column_name)?,
            })
        }
        AlterTableOperation::RenameTable { table_name: RenameTableNameKind::To(name) } => {
            Some(CatalogChange::RenameTable {
                table: table.id,
                name: renamed(context, table, name)?,
            })
        }
        AlterTableOperation::AlterColumn { column_name, op } => {
            Some(alter_column(context, table, column_name, op)?)
        }
        AlterTableOperation::SetOptionsParens { options } => Some(options_change(table, options)?),
        AlterTableOperation::AddConstraint { .. } => {
            return Err(unsupported_constraint("of ADD CONSTRAINT"));
        }
        other => return Err(Error::not_supported(format!("ALTER TABLE … {other}"))),
    })
}

fn add_column(
    context: &Context,
    table: &TableDef,
    definition: &datafusion::sql::sqlparser::ast::ColumnDef,
) -> Result<CatalogChange> {
    let written = column::read(context, definition)?;
    let position = ident_position(&definition.name);
    if written.primary_key {
        return Err(Error::not_supported("a primary key in ADD COLUMN")
            .at(position)
            .hint("make a new table with CREATE TABLE"));
    }
    let mut column = written.column;
    if let Some(text) = &column.default_sql {
        // Rows that are there already get the value that the default has now.
        let value = context.evaluate(parse_expression(text)?, 1)?;
        let value = crate::dml::assign(&value, &column.name, &column.data_type)?;
        column.missing = (value.null_count() == 0).then_some(value);
    }
    if !column.nullable && column.missing.is_none() {
        let rows: u64 = context
            .catalog
            .snapshot()
            .table(table.id)?
            .parts()?
            .iter()
            .map(|part| part.rows())
            .sum();
        if rows > 0 {
            return Err(Error::new(
                ErrorKind::NotNullViolation,
                format!(
                    "column '{}' cannot be NOT NULL: the rows that are there have no value for it",
                    column.name
                ),
            )
            .at(position)
            .hint("give it a DEFAULT"));
        }
    }
    Ok(CatalogChange::AddColumn { table: table.id, column })
}

fn alter_column(
    context: &Context,
    table: &TableDef,
    name: &Ident,
    operation: &AlterColumnOperation,
) -> Result<CatalogChange> {
    let column = find(table, name)?;
    let default_sql = match operation {
        AlterColumnOperation::SetDefault { value } => {
            let like = sheaf_core::catalog::NewColumn {
                name: column.name.clone(),
                data_type: column.data_type.clone(),
                nullable: column.nullable,
                default_sql: None,
                missing: None,
            };
            default_text(context, &like, value)?
        }
        AlterColumnOperation::DropDefault => None,
        AlterColumnOperation::SetNotNull | AlterColumnOperation::DropNotNull => {
            return Err(Error::not_supported("changing NOT NULL").at(ident_position(name)));
        }
        other => {
            return Err(
                Error::not_supported(format!("ALTER COLUMN … {other}")).at(ident_position(name))
            );
        }
    };
    Ok(CatalogChange::SetDefault { table: table.id, column: column.id, default_sql })
}

/// `SET (ttl = '30 days')`, and `RESET (ttl)`, whose options have no value.
fn options_change(table: &TableDef, options: &[SqlOption]) -> Result<CatalogChange> {
    let names = options.iter().map(|option| match option {
        SqlOption::Ident(name) => Some(name),
        _ => None,
    });
    if let Some(names) = names.collect::<Option<Vec<&Ident>>>() {
        return match ResetOptions::read(&names)? {
            ResetOptions { ttl: true, durability: true } => Err(several_changes()),
            ResetOptions { ttl: true, durability: false } => {
                Ok(CatalogChange::SetTimeToLive { table: table.id, ttl: None })
            }
            ResetOptions { ttl: false, .. } => {
                Ok(CatalogChange::SetDurability { table: table.id, durability: None })
            }
        };
    }
    match TableOptions::read(options)? {
        TableOptions { encoding: Some(_), .. } => Err(fixed("format")),
        TableOptions { row_store: Some(_), .. } => Err(fixed("row_store")),
        TableOptions { lazy_upserts: Some(_), .. } => Err(fixed("lazy_upserts")),
        TableOptions { durability, ttl: None, ttl_column: None, .. } => {
            Ok(CatalogChange::SetDurability { table: table.id, durability })
        }
        TableOptions { durability: None, ttl, ttl_column, .. } => {
            let ttl = time_to_live(table, ttl, ttl_column)?;
            Ok(CatalogChange::SetTimeToLive { table: table.id, ttl: Some(ttl) })
        }
        _ => Err(several_changes()),
    }
}

/// The time to live with what is given; the rest stays as it is.
fn time_to_live(
    table: &TableDef,
    after: Option<BucketWidth>,
    column: Option<String>,
) -> Result<TimeToLive> {
    let current = table.ttl.as_ref();
    let column = match column {
        Some(name) => find(table, &Ident::with_quote('"', name))?.id,
        None => current
            .map(|ttl| ttl.column)
            .or_else(|| table.partition.as_ref().map(|partition| partition.column))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidParameter,
                    "ttl counts from a column, and none is named",
                )
                .hint("add ttl_column = 'name'")
            })?,
    };
    Ok(TimeToLive { column, after: after.or_else(|| current.and_then(|ttl| ttl.after)) })
}

fn several_changes() -> Error {
    Error::not_supported("several changes in one ALTER TABLE")
        .hint("write one ALTER TABLE for each")
}

fn renamed(context: &Context, table: &TableDef, name: &ObjectName) -> Result<String> {
    let target = context.resolve(name)?;
    let qualified = name.0.len() > 1;
    if qualified && context.catalog.schema(&target.schema)?.id != table.schema {
        return Err(Error::not_supported("moving a table to another schema").at(position_of(name)));
    }
    Ok(target.name)
}

fn find<'a>(table: &'a TableDef, name: &Ident) -> Result<&'a ColumnDef> {
    let folded = fold(name);
    table.live_columns().find(|column| column.name == folded).ok_or_else(|| {
        Error::new(
            ErrorKind::UndefinedColumn,
            format!("column '{folded}' of table '{}' not found", table.name),
        )
        .at(ident_position(name))
        .suggest(&folded, table.live_columns().map(|c| c.name.as_str()))
    })
}
