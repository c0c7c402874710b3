//! The table that a statement changes, and how the query behind it names the table.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, SelectItem, TableAlias, TableFactor, TableWithJoins,
};
use sheaf_core::Columns;
use sheaf_core::catalog::TableDef;

use crate::catalog::SCRATCH;
use crate::error::{Error, Result};
use crate::session::Context;
use crate::sql::{column_of, fold, position_of, relation};

/// Name of the target in the scratch schema.
const TARGET: &str = "target";
/// The hidden column of append tables.
const ROWID: &str = "_rowid";

/// The table of an UPDATE or DELETE.
pub(super) struct Target {
    pub def: Arc<TableDef>,
    /// What the statement calls it.
    pub alias: String,
}

impl Target {
    pub fn new(context: &Context, name: &ObjectName, alias: Option<&Ident>) -> Result<Self> {
        let def = context.table(name)?;
        let alias = alias.map_or_else(|| def.name.clone(), fold);
        Ok(Self { def, alias })
    }

    /// Reads `UPDATE name [AS alias]` or `DELETE FROM name [AS alias]`.
    pub fn of_relation(context: &Context, written: &TableWithJoins) -> Result<Self> {
        let TableWithJoins { relation, joins } = written;
        if !joins.is_empty() {
            return Err(Error::not_supported("a join as the table to change")
                .hint("use UPDATE … FROM or DELETE … USING"));
        }
        // Hints, versions and samples were refused when the statement was parsed.
        match relation {
            TableFactor::Table { name, alias, args: None, .. } => match alias {
                Some(TableAlias { explicit: _, name: alias, columns, at: None })
                    if columns.is_empty() =>
                {
                    Self::new(context, name, Some(alias))
                }
                Some(alias) => {
                    Err(Error::not_supported(format!("the alias {alias} of the table to change")))
                }
                None => Self::new(context, name, None),
            },
            other => Err(Error::not_supported("a change of this relation")
                .at(position_of(other))
                .hint("name a table")),
        }
    }

    /// A context in which the query behind the statement finds the table, with the
    /// columns that identify its rows.
    pub fn scratch(&self, context: &Context) -> Result<Context> {
        let columns = if self.def.is_keyed() { Columns::Visible } else { Columns::WithRowId };
        Ok(context.with_scratch([(TARGET, context.catalog.scan(&self.def, columns)?)]))
    }

    /// The table in FROM.
    pub fn relation(&self) -> TableWithJoins {
        relation(SCRATCH, TARGET, &self.alias)
    }

    /// A column of the table.
    pub fn column(&self, name: &str) -> Expr {
        column_of(&self.alias, name)
    }

    /// The columns that identify a row: the primary key, or the hidden row id.
    pub fn identity(&self) -> Vec<Expr> {
        if !self.def.is_keyed() {
            return vec![self.column(ROWID)];
        }
        let keys = self.def.primary_key.iter().filter_map(|id| self.def.column(*id));
        keys.map(|column| self.column(&column.name)).collect()
    }
}

/// The name of a table that is written without an alias or anything else.
pub(crate) fn plain_name(written: &TableWithJoins) -> Option<&ObjectName> {
    match written {
        // Hints, versions and samples were refused when the statement was parsed.
        TableWithJoins {
            relation: TableFactor::Table { name, alias: None, args: None, .. },
            joins,
        } if joins.is_empty() => Some(name),
        _ => None,
    }
}

/// Names for the expressions of a select list, which may repeat: `#0`, `#1`…
pub(super) fn numbered(expressions: impl IntoIterator<Item = Expr>) -> Vec<SelectItem> {
    expressions
        .into_iter()
        .enumerate()
        .map(|(i, expr)| SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', format!("#{i}")),
        })
        .collect()
}
