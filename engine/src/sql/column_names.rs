//! Names of result columns: what is not named by AS has its own text for a name, and
//! no two columns of a select list have the same. The planner would refuse
//! `SELECT 1, 1`, and name `a + 1` by its own notation.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Select, SelectItem, Statement, VisitMut, VisitorMut,
};

use super::names::fold;

/// Longest name that is made from a text, in characters: PostgreSQL's limit.
const NAME_LEN_MAX: usize = 63;

/// Names the columns of every select list in the statement.
pub(super) fn name_columns(statement: &mut Statement) {
    // The visitor never breaks.
    let _ = VisitMut::visit(statement, &mut ColumnNames);
}

struct ColumnNames;

impl VisitorMut for ColumnNames {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut taken: HashSet<String> =
            select.projection.iter().filter_map(written_name).collect();
        let mut columns: HashSet<String> = HashSet::new();
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let name = match &*expr {
                // Columns keep their name, and their table's, unless they come twice.
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                    if columns.insert(expr.to_string()) {
                        continue;
                    }
                    text_name(expr)
                }
                other => text_name(other),
            };
            let name = free_name(&name, &taken);
            taken.insert(name.clone());
            let expr = expr.clone();
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
        }
        ControlFlow::Continue(())
    }
}

/// The name of a column that has one.
fn written_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(fold(ident)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(fold),
        _ => None,
    }
}

fn text_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => fold(ident),
        Expr::CompoundIdentifier(parts) => parts.last().map(fold).unwrap_or_default(),
        Expr::Nested(inner) => text_name(inner),
        Expr::Cast { expr, .. } => text_name(expr),
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Subquery(_) => "?column?".to_owned(),
        other => other.to_string().chars().take(NAME_LEN_MAX).collect(),
    }
}

/// `name`, or `name_1`, `name_2`… where it is taken.
fn free_name(name: &str, taken: &HashSet<String>) -> String {
    if !taken.contains(name) {
        return name.to_owned();
    }
    (1..).map(|n| format!("{name}_{n}")).find(|name| !taken.contains(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::sql::parse_one;

    #[test]
    fn columns_have_names_of_their_own() {
        for (sql, named) in [
            (
                "SELECT a, a + 1, count(*) FROM t",
                "SELECT a, a + 1 AS \"a + 1\", count(*) AS \"count(*)\" FROM t",
            ),
            ("SELECT 1, 1, a, a, b.a", "SELECT 1 AS \"1\", 1 AS \"1_1\", a, a AS \"a_1\", b.a"),
            (
                "SELECT a::INT, (SELECT 1)",
                "SELECT a::INT AS \"a\", (SELECT 1 AS \"1\") AS \"?column?\"",
            ),
            ("SELECT x AS \"1\", 1", "SELECT x AS \"1\", 1 AS \"1_1\""),
        ] {
            assert_eq!(parse_one(sql).unwrap().sql().to_string(), named);
        }
    }
}
