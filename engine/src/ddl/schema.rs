//! CREATE SCHEMA.

use datafusion::sql::sqlparser::ast::{SchemaName, Statement};
use sheaf_core::catalog::CatalogChange;

use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};
use crate::sql::{one_ident, position_of};

pub(super) fn create(context: &Context, statement: Statement) -> Result<Output> {
    let Statement::CreateSchema {
        schema_name: SchemaName::Simple(name),
        if_not_exists,
        with: None,
        options: None,
        default_collate_spec: None,
        clone: None,
    } = statement
    else {
        return Err(Error::not_supported("an option of CREATE SCHEMA"));
    };
    let folded = one_ident(&name)?;
    if matches!(folded.as_str(), "sheaf" | "information_schema")
        || folded.starts_with("pg_")
        || folded.starts_with('$')
    {
        return Err(Error::new(
            ErrorKind::InvalidStatement,
            format!("the name '{folded}' belongs to the system"),
        )
        .at(position_of(&name)));
    }
    if context.catalog.schema(&folded).is_ok() {
        if if_not_exists {
            return Ok(Output::done("CREATE SCHEMA"));
        }
        return Err(Error::new(
            ErrorKind::DuplicateObject,
            format!("schema '{folded}' already exists"),
        )
        .at(position_of(&name))
        .hint("use CREATE SCHEMA IF NOT EXISTS, or another name"));
    }
    super::change(context, CatalogChange::CreateSchema { name: folded })?;
    Ok(Output::done("CREATE SCHEMA"))
}
