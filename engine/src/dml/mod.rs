//! Statements that change rows. Each is a query at one snapshot whose rows become
//! one commit:
//!
//! ```text
//!   INSERT, COPY   source rows -> assigned to the columns' types -> Sink
//!   UPDATE         SELECT old row, new values FROM t WHERE … -> replace, or delete + insert
//!   DELETE         SELECT key or _rowid FROM t WHERE …        -> delete
//! ```
//!
//! Commits that depend on what was read carry the snapshot's number; the session
//! runs the statement again when somebody else changed the same rows meanwhile.

mod assign;
mod assign_text;
mod changes;
mod copy;
mod delete;
mod description;
mod ingest;
mod insert;
mod returning;
mod rows;
mod sink;
mod source;
mod target;
mod update;
mod upsert;

use datafusion::sql::sqlparser::ast::{CreateTable, Query, Statement};

use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};
use crate::sql;

pub(crate) use assign::assign;
pub(crate) use changes::write as write_changes;
pub use changes::{Action, Change};
pub(crate) use delete::Clauses as DeleteClauses;
pub(crate) use description::{assigned_parameters, returned};
pub use ingest::{IfMissing, IfThere, Ingest};
pub(crate) use ingest::{fill, run as ingest};
pub(crate) use insert::Clauses as InsertClauses;
pub(crate) use source::{default_of, is_default, named_columns, places};
pub(crate) use target::plain_name;
pub(crate) use update::{Assignments, Clauses as UpdateClauses};
pub(crate) use upsert::{EXCLUDED, check_target};

/// Whether [`run`] runs a statement of the parser's.
pub(crate) fn changes_rows(statement: &Statement) -> bool {
    matches!(statement, Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_))
}

/// Runs a statement that changes rows.
pub(crate) async fn run(context: &Context, statement: &sql::Statement) -> Result<Output> {
    let statement = match statement {
        sql::Statement::Copy(copy) => return copy::run(context, copy).await,
        sql::Statement::Sql(statement) => statement.as_ref(),
        sql::Statement::Cancel(_) | sql::Statement::Checkpoint | sql::Statement::User(_) => {
            return Err(Error::new(ErrorKind::Internal, "not a change of rows"));
        }
    };
    match statement {
        Statement::Insert(insert) => insert::run(context, insert).await,
        Statement::Update(update) => update::run(context, update).await,
        Statement::Delete(delete) => delete::run(context, delete).await,
        other => Err(Error::new(ErrorKind::Internal, format!("not a change of rows: {other}"))),
    }
}

/// The query behind a statement that changes rows, for EXPLAIN.
pub(crate) async fn explained(
    context: &Context,
    statement: &Statement,
) -> Result<(Context, Box<Query>)> {
    match statement {
        Statement::Insert(insert) => {
            Ok((context.clone(), Box::new(insert::query(context, insert)?)))
        }
        Statement::Update(update) => {
            let (context, query) = update::query(context, update)?;
            Ok((context, Box::new(query)))
        }
        Statement::Delete(delete) => {
            let (context, query) = delete::query(context, delete)?;
            Ok((context, Box::new(query)))
        }
        Statement::CreateTable(CreateTable { query: Some(query), .. }) => {
            Ok((context.clone(), query.clone()))
        }
        other => Err(Error::not_supported(format!(
            "EXPLAIN {}",
            other.to_string().split(' ').next().unwrap_or_default()
        ))),
    }
}
