//! Which columns of its answer a query orders by, and how many rows it allows.

use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, Value,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::failure::{During, Failure, Result};

/// The order that a query asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ordering {
    /// Columns of the answer that it is sorted by. They end before the first expression
    /// that is no column of the answer: of that order nothing can be seen.
    pub columns: Vec<usize>,
    /// The most rows that it may have.
    pub limit: Option<usize>,
}

impl Ordering {
    /// The order in a query's text, whose answer has columns with these names.
    pub fn of(sql: &str, names: &[String]) -> Result<Self> {
        let statements = Parser::parse_sql(&GenericDialect {}, sql).during("reading the order")?;
        let Some(Statement::Query(query)) = statements.first() else {
            return Err(Failure::new("an order is asked of something that is no query"));
        };
        let limit = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit: Some(limit), .. }) => number(limit),
            _ => None,
        };
        let expressions = match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(expressions)) => expressions.as_slice(),
            _ => &[],
        };
        let select = first_select(query);
        let columns = expressions.iter().map_while(|by| column(&by.expr, select, names)).collect();
        Ok(Self { columns, limit })
    }
}

/// The select that names the columns of the answer.
fn first_select(query: &Query) -> Option<&Select> {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::Query(query) => body = &query.body,
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    }
}

fn column(by: &Expr, select: Option<&Select>, names: &[String]) -> Option<usize> {
    if let Some(position) = number(by) {
        return position.checked_sub(1);
    }
    let named = last_name(by).and_then(|name| names.iter().position(|n| *n == name));
    let items = select.map_or(&[][..], |select| select.projection.as_slice());
    // With a star the items are not the columns.
    let plain = |item: &SelectItem| {
        matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
    };
    if !items.iter().all(plain) {
        return named;
    }
    named.or_else(|| {
        items.iter().position(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                expr == by || last_name(expr).is_some_and(|name| Some(name) == last_name(by))
            }
            _ => false,
        })
    })
}

fn last_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(name.value.to_lowercase()),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.to_lowercase()),
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.to_string().parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordering(sql: &str, names: &[&str]) -> Ordering {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Ordering::of(sql, &names).unwrap()
    }

    #[test]
    fn columns_are_found_by_name_position_and_expression() {
        let found = ordering(
            "SELECT a, t.b, sum(c) AS s, d + 1 FROM t ORDER BY s DESC, b, 1, d + 1 NULLS FIRST LIMIT 5",
            &["a", "b", "s", "d + 1"],
        );
        assert_eq!(found, Ordering { columns: vec![2, 1, 0, 3], limit: Some(5) });
    }

    #[test]
    fn the_order_ends_at_what_the_answer_does_not_show() {
        let found = ordering("SELECT a, b FROM t ORDER BY a, a + b, b", &["a", "b"]);
        assert_eq!(found, Ordering { columns: vec![0], limit: None });
        assert_eq!(ordering("SELECT a FROM t LIMIT 3", &["a"]).limit, Some(3));
    }

    #[test]
    fn stars_and_unions_have_columns_too() {
        assert_eq!(ordering("SELECT * FROM t ORDER BY b", &["a", "b"]).columns, [1]);
        let union = "SELECT a, b FROM t UNION ALL SELECT c, d FROM u ORDER BY b, a";
        assert_eq!(ordering(union, &["a", "b"]).columns, [1, 0]);
        let with = "WITH x AS (SELECT 1 AS a ORDER BY 1) SELECT a FROM x";
        assert_eq!(ordering(with, &["a"]), Ordering::default());
    }
}
