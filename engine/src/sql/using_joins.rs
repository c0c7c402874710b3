//! Columns that `JOIN … USING` merges. The planner knows them in some places, and always takes the
//! left side's, which is NULL for rows that only the right side of a RIGHT or FULL join has; here
//! they are written as what they are, `b.n` or `coalesce(a.n, b.n)`, before it looks.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, OrderByKind, Query,
    ReplaceSelectElement, ReplaceSelectItem, Select, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, Value, VisitMut, VisitorMut,
};

use super::names::{fold, one_ident};
use crate::error::{Error, Result};

/// Writes the merged columns of every SELECT in the statement.
pub(super) fn merge_columns(statement: &mut Statement) -> Result<()> {
    match VisitMut::visit(statement, &mut UsingJoins) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct UsingJoins;

impl VisitorMut for UsingJoins {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let SetExpr::Select(select) = query.body.as_mut() else {
            return ControlFlow::Continue(());
        };
        let merged = match Merged::of(&mut select.from) {
            Ok(merged) => merged,
            Err(error) => return ControlFlow::Break(error),
        };
        let Some(order_by) = query.order_by.as_mut().filter(|_| merged.differ) else {
            return ControlFlow::Continue(());
        };
        // An order by a column of the result is one by what is written there.
        let shown = |name: &str| {
            select.projection.iter().any(|item| match item {
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => fold(ident) == name,
                SelectItem::ExprWithAlias { alias, .. } => fold(alias) == name,
                SelectItem::Wildcard(_) => true,
                _ => false,
            })
        };
        if let OrderByKind::Expressions(expressions) = &mut order_by.kind {
            for ordered in expressions {
                match &ordered.expr {
                    Expr::Identifier(ident) if shown(&fold(ident)) => {}
                    _ => merged.write(&mut ordered.expr),
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        match Merged::of(&mut select.from) {
            Ok(merged) if merged.differ => merged.write_all(select),
            // The planner knows that both sides are the same, except here.
            Ok(merged) if select.from.len() == 1 => merged.write(&mut select.selection),
            Ok(_) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// The merged columns of a FROM clause.
#[derive(Default)]
struct Merged {
    /// By name: the columns of which the first that is not NULL is the value.
    columns: HashMap<String, Vec<Expr>>,
    /// Whether one of them is another than that of the leftmost relation.
    differ: bool,
}

impl Merged {
    fn of(from: &mut [TableWithJoins]) -> Result<Self> {
        let mut merged = Self::default();
        for relation in from {
            let mut left = vec![name_of(&relation.relation)];
            for join in &mut relation.joins {
                merged.add(join, &left)?;
                left.push(name_of(&join.relation));
            }
        }
        Ok(merged)
    }

    /// Adds the columns that a join merges with those of the relations to its left.
    fn add(&mut self, join: &mut Join, left: &[Option<Ident>]) -> Result<()> {
        let keeps = match &join.join_operator {
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Keeps::Right,
            JoinOperator::FullOuter(_) => Keeps::Both,
            _ => Keeps::Left,
        };
        match constraint(&mut join.join_operator) {
            Some(JoinConstraint::Using(columns)) => {
                for column in columns {
                    let name = one_ident(column)?;
                    let known = self.columns.get(&name).cloned();
                    let ours = known.or_else(|| match left {
                        [Some(only)] => Some(vec![column_of(only, &name)]),
                        _ => None,
                    });
                    let theirs = name_of(&join.relation).map(|right| column_of(&right, &name));
                    let value = match (keeps, ours, theirs) {
                        (Keeps::Left, Some(ours), _) => ours,
                        (Keeps::Left, None, _) => continue,
                        (Keeps::Right, _, Some(theirs)) => vec![theirs],
                        (Keeps::Both, Some(mut ours), Some(theirs)) => {
                            ours.push(theirs);
                            ours
                        }
                        _ => return Err(unclear(&name)),
                    };
                    self.differ |= keeps != Keeps::Left;
                    self.columns.insert(name, value);
                }
            }
            Some(JoinConstraint::Natural) if keeps != Keeps::Left => {
                return Err(Error::not_supported("a RIGHT or FULL join that is NATURAL")
                    .hint("name the columns by USING"));
            }
            Some(JoinConstraint::On(condition)) if self.differ => self.write(condition),
            _ => {}
        }
        Ok(())
    }

    /// Writes the columns in all clauses of a SELECT but its FROM.
    fn write_all(&self, select: &mut Select) {
        for item in &mut select.projection {
            match item {
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => {
                    if let Some(value) = self.columns.get(&fold(ident)) {
                        let (expr, alias) = (first_known(value), ident.clone());
                        *item = SelectItem::ExprWithAlias { expr, alias };
                    }
                }
                SelectItem::Wildcard(options) => {
                    let left_out = format!("{:?}{:?}", options.opt_exclude, options.opt_except);
                    let replace =
                        options.opt_replace.get_or_insert(ReplaceSelectItem { items: vec![] });
                    for (name, value) in &self.columns {
                        let ident = Ident::with_quote('"', name.as_str());
                        let named =
                            replace.items.iter().any(|item| fold(&item.column_name) == *name);
                        if !named && !left_out.contains(&format!("{name:?}")) {
                            replace.items.push(Box::new(ReplaceSelectElement {
                                expr: first_known(value),
                                column_name: ident,
                                as_keyword: true,
                            }));
                        }
                    }
                    if replace.items.is_empty() {
                        options.opt_replace = None;
                    }
                }
                other => self.write(other),
            }
        }
        self.write(&mut select.distinct);
        self.write(&mut select.selection);
        self.write(&mut select.having);
        self.write(&mut select.qualify);
        self.write(&mut select.named_window);
        if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
            self.write(expressions);
        }
    }

    /// Writes the columns in a part of the statement, but not in the queries inside of it.
    fn write(&self, part: &mut impl VisitMut) {
        // The visitor never breaks.
        let _ = part.visit(&mut Writer { merged: self, queries: 0 });
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Keeps {
    Left,
    Right,
    Both,
}

struct Writer<'a> {
    merged: &'a Merged,
    /// Queries that we are inside of, whose columns are their own.
    queries: usize,
}

impl VisitorMut for Writer<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    /// After what is inside of it, so that what was written is not looked at again.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.queries == 0
            && let Expr::Identifier(ident) = expr
            && let Some(value) = self.merged.columns.get(&fold(ident))
        {
            *expr = first_known(value);
        }
        ControlFlow::Continue(())
    }
}

/// The name that columns of a relation have in front of them.
fn name_of(relation: &TableFactor) -> Option<Ident> {
    match relation {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

fn column_of(relation: &Ident, column: &str) -> Expr {
    Expr::CompoundIdentifier(vec![relation.clone(), Ident::with_quote('"', column)])
}

/// The first of the values that is not NULL.
fn first_known(values: &[Expr]) -> Expr {
    let [before @ .., last] = values else { return Expr::value(Value::Null) };
    if before.is_empty() {
        return last.clone();
    }
    let conditions = before.iter().map(|value| CaseWhen {
        condition: Expr::IsNotNull(Box::new(value.clone())),
        result: value.clone(),
    });
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: conditions.collect(),
        else_result: Some(Box::new(last.clone())),
    }
}

fn unclear(column: &str) -> Error {
    Error::not_supported(format!("USING ({column}) of a RIGHT or FULL join of several relations"))
        .hint("write the condition with ON, and the column as coalesce(a.n, b.n)")
}

#[cfg(test)]
mod tests {
    use crate::sql::parse_one;

    #[test]
    fn merged_columns_are_written_out() {
        for (sql, written) in [
            (
                "SELECT x FROM a JOIN b USING (n) WHERE n > 1",
                "SELECT x FROM a JOIN b USING(n) WHERE a.\"n\" > 1",
            ),
            (
                "SELECT n FROM a AS l RIGHT JOIN s.b USING (n) WHERE n IN (SELECT n FROM c) ORDER BY n",
                "SELECT b.\"n\" AS n FROM a AS l RIGHT JOIN s.b USING(n) \
                 WHERE b.\"n\" IN (SELECT n FROM c) ORDER BY n",
            ),
            (
                "SELECT * FROM a FULL JOIN b USING (n)",
                "SELECT * REPLACE (CASE WHEN a.\"n\" IS NOT NULL THEN a.\"n\" ELSE b.\"n\" END AS \"n\") \
                 FROM a FULL JOIN b USING(n)",
            ),
            (
                "SELECT x FROM a, b JOIN c USING (n) WHERE n > 1",
                "SELECT x FROM a, b JOIN c USING(n) WHERE n > 1",
            ),
        ] {
            assert_eq!(parse_one(sql).unwrap().sql().to_string(), written);
        }
        for refused in [
            "SELECT 1 FROM a NATURAL FULL JOIN b",
            "SELECT 1 FROM a JOIN b ON a.x = b.x FULL JOIN c USING (n)",
        ] {
            assert!(parse_one(refused).unwrap_err().message.contains("FULL"), "{refused}");
        }
    }
}
