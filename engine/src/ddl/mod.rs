//! Statements that change the catalog, and CALL of the store's chores.

mod alter_table;
mod call;
mod column;
mod create_table;
mod create_table_as;
mod drop;
mod partition;
mod schema;
mod table_options;
mod truncate;
mod user;
mod view;

use datafusion::sql::sqlparser::ast::Statement;
use sheaf_core::catalog::CatalogChange;

use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};

pub(crate) use call::{call, checkpoint};
pub(crate) use create_table_as::columns_for;
pub(crate) use user::run as user;

/// Runs a statement that changes the catalog.
pub(crate) async fn run(context: &Context, statement: Statement) -> Result<Output> {
    match statement {
        Statement::CreateTable(table) => match &table.query {
            Some(_) => create_table_as::run(context, table).await,
            None => create_table::run(context, &table),
        },
        Statement::AlterTable(alter) => alter_table::run(context, alter),
        Statement::CreateView(create) => view::create(context, create).await,
        Statement::CreateSchema { .. } => schema::create(context, statement),
        Statement::Drop { .. } => drop::run(context, statement),
        Statement::Truncate(truncate) => truncate::run(context, &truncate),
        other => {
            Err(Error::new(ErrorKind::Internal, format!("not a change of the catalog: {other}")))
        }
    }
}

/// Commits one change.
fn change(context: &Context, change: CatalogChange) -> Result<()> {
    crate::session::blocking(|| context.store.change_catalog(change))?;
    Ok(())
}
