//! Statements about single rows, without a planner:
//!
//! ```text
//!   SELECT columns FROM t WHERE key = value
//!   INSERT INTO t VALUES (value, …), … [ON CONFLICT …]
//!   UPDATE t SET column = value, counter = counter + value WHERE key = value [AND …]
//!   DELETE FROM t WHERE key = value
//! ```
//!
//! A statement of just these forms asks for what the store does by itself; to plan it
//! takes a hundred times as long. Values are literals and parameters. What has any other
//! clause, expression or type goes the usual way, and so does what is wrong: the planner
//! knows how to say it.

mod cache;
mod changes;
mod delete;
mod insert;
mod key;
mod meaning;
mod operand;
mod select;
#[cfg(test)]
mod tests;
mod update;
mod write;

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::Statement;
use sheaf_core::Store;

use crate::error::Result;
use crate::session::{Output, Settings};

pub(crate) use cache::PointCache;
pub(crate) use operand::literal;

/// Bytes of a text that [`may_be`] looks at.
const TEXT_MAX: usize = 1024;

/// Parentheses that such a text may have: those of rows and lists, not a deep nest.
const PARENTHESES_MAX: usize = 40;

/// Whether a text may be such a statement: short, and without deep nesting.
pub(crate) fn may_be(sql: &str) -> bool {
    let Some(word) = sql.trim_start().get(..6) else { return false };
    let parentheses_max = match word.to_ascii_lowercase().as_str() {
        "select" => 0,
        "insert" | "update" | "delete" => PARENTHESES_MAX,
        _ => return false,
    };
    sql.len() <= TEXT_MAX && sql.bytes().filter(|b| *b == b'(').count() <= parentheses_max
}

/// A statement that may be about single rows; what it means depends on the catalog.
#[derive(Debug)]
pub(crate) struct PointStatement(Form);

#[derive(Debug)]
enum Form {
    Select(select::Select),
    Insert(insert::Insert),
    Update(update::Update),
    Delete(delete::Delete),
}

impl PointStatement {
    /// The statement, if it has one of the forms.
    pub(crate) fn recognise(statement: &Statement) -> Option<Self> {
        Some(Self(match statement {
            Statement::Query(query) => Form::Select(select::Select::recognise(query)?),
            Statement::Insert(insert) => Form::Insert(insert::Insert::recognise(insert)?),
            Statement::Update(update) => Form::Update(update::Update::recognise(update)?),
            Statement::Delete(delete) => Form::Delete(delete::Delete::recognise(delete)?),
            _ => return None,
        }))
    }

    /// Whether it commits, and so may wait for a disk.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self.0, Form::Select(_))
    }

    /// Runs it at the newest snapshot; `None` when it is the planner's, and nothing was done.
    pub(crate) fn run(
        &self,
        store: &Store,
        settings: &Settings,
        parameters: &[ScalarValue],
    ) -> Result<Option<Output>> {
        // To look for what the writer did may take a while, and nothing is written there.
        if store.is_read_only() {
            return Ok(None);
        }
        match &self.0 {
            Form::Select(select) => select.run(store, settings, parameters),
            Form::Insert(insert) => insert.run(store, settings, parameters),
            Form::Update(update) => update.run(store, settings, parameters),
            Form::Delete(delete) => delete.run(store, settings, parameters),
        }
    }
}
