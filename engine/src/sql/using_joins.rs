//! Columns that `JOIN … USING` merges. The planner knows them in some places, and always takes the
//! left side's, which is NULL for rows that only the right side of a RIGHT or FULL join has; here
//! they are written as what they are, `b.n` or what is `coalesce(a.n, b.n)`, before it looks.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, ExcludeSelectItem, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator,
    ObjectName, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, TableAlias, TableFactor, TableWithJoins, UpdateTableFromKind, Value, VisitMut,
    VisitorMut, WildcardAdditionalOptions,
};

use super::names::{fold, one_ident};
use crate::error::{Error, Result};

/// Writes the merged columns of every SELECT in the statement, whose columns have their names.
pub(super) fn merge_columns(statement: &mut Statement) -> Result<()> {
    match VisitMut::visit(statement, &mut UsingJoins) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct UsingJoins;

impl VisitorMut for UsingJoins {
    type Break = Error;

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<Error> {
        let from = match statement {
            Statement::Update(update) => match &mut update.from {
                Some(
                    UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from),
                ) => from,
                None => return ControlFlow::Continue(()),
            },
            Statement::Delete(delete) => match &mut delete.using {
                Some(from) => from,
                None => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        match Merged::of(from) {
            Ok(merged) if merged.differ => ControlFlow::Break(refused("in UPDATE or DELETE")),
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let SetExpr::Select(select) = query.body.as_mut() else {
            return ControlFlow::Continue(());
        };
        match Merged::of(&mut select.from) {
            Ok(merged) if merged.is_written(select) => {
                if let Some(order_by) = &mut query.order_by {
                    merged.write_order(&mut order_by.kind, &select.projection);
                }
                ControlFlow::Continue(())
            }
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let written =
            Merged::of(&mut select.from).and_then(|merged| match merged.is_written(select) {
                true => merged.write_all(select),
                false => Ok(()),
            });
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The merged columns of a FROM clause.
#[derive(Default)]
struct Merged {
    /// By name: the columns of which the first that is not NULL is the value.
    columns: BTreeMap<String, Vec<Expr>>,
    /// Whether one of them is another than that of the leftmost relation.
    differ: bool,
    /// The relations, and which of their columns are merged, as far as that is known.
    relations: Option<Vec<(ObjectName, Vec<String>)>>,
}

impl Merged {
    fn of(from: &mut [TableWithJoins]) -> Result<Self> {
        let mut merged = Self { relations: Some(Vec::new()), ..Self::default() };
        for relation in from.iter_mut() {
            if relation.joins.iter_mut().any(uses) {
                name_all(relation);
            }
        }
        let names = from.iter().flat_map(|f| {
            std::iter::once(&f.relation).chain(f.joins.iter().map(|join| &join.relation))
        });
        let names: Vec<String> = names.filter_map(name_of).map(|name| fold(&name)).collect();
        let mut once = HashSet::new();
        let twice: HashSet<&String> = names.iter().filter(|name| !once.insert(*name)).collect();
        // Of two with one name, none can be said.
        let named =
            |relation: &TableFactor| name_of(relation).filter(|name| !twice.contains(&fold(name)));
        for relation in from {
            check_inside(&mut relation.relation)?;
            let mut left = vec![named(&relation.relation)];
            merged.add_relation(&relation.relation, left[0].as_ref());
            for join in &mut relation.joins {
                check_inside(&mut join.relation)?;
                let right = named(&join.relation);
                merged.add_relation(&join.relation, right.as_ref());
                merged.add(join, &left, right.as_ref())?;
                left.push(right);
            }
        }
        Ok(merged)
    }

    fn add_relation(&mut self, relation: &TableFactor, named: Option<&Ident>) {
        let name = match (relation, named) {
            (TableFactor::Table { name, alias: None, .. }, Some(_)) => name.clone(),
            (_, Some(alias)) => ObjectName::from(vec![alias.clone()]),
            (_, None) => return self.relations = None,
        };
        if let Some(relations) = &mut self.relations {
            relations.push((name, Vec::new()));
        }
    }

    /// Adds the columns that a join merges with those of the relations to its left.
    fn add(
        &mut self,
        join: &mut Join,
        left: &[Option<Ident>],
        right: Option<&Ident>,
    ) -> Result<()> {
        let keeps = match &join.join_operator {
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Keeps::Right,
            JoinOperator::FullOuter(_) => Keeps::Both,
            _ => Keeps::Left,
        };
        let crosses = matches!(join.join_operator, JoinOperator::CrossJoin(_));
        match constraint(&mut join.join_operator) {
            Some(JoinConstraint::Using(columns)) => {
                for column in columns {
                    self.add_column(one_ident(column)?, keeps, left, right)?;
                }
            }
            Some(JoinConstraint::Natural) => {
                if keeps != Keeps::Left || self.differ {
                    return Err(Error::not_supported("NATURAL with a RIGHT or FULL join")
                        .hint("name the columns by USING, or write the condition with ON"));
                }
                self.relations = None;
            }
            Some(JoinConstraint::On(condition)) => self.write(condition),
            _ if crosses => {}
            // Semi joins show the columns of one side.
            _ => self.relations = None,
        }
        Ok(())
    }

    fn add_column(
        &mut self,
        name: String,
        keeps: Keeps,
        left: &[Option<Ident>],
        right: Option<&Ident>,
    ) -> Result<()> {
        let alone = match left {
            [Some(only)] => Some(vec![column_of(only, &name)]),
            _ => None,
        };
        let known = self.columns.get(&name).cloned();
        let leftmost = left[0].as_ref().map(|first| vec![column_of(first, &name)]);
        if known.is_some() && known != leftmost {
            return Err(refused("that is joined once more USING the column"));
        }
        let is_first = known.is_none();
        let theirs = right.map(|right| column_of(right, &name));
        let (Some(mut ours), Some(theirs)) = (known.or(alone), theirs) else {
            if keeps != Keeps::Left {
                return Err(refused("of several relations, or of one without a name"));
            }
            self.relations = None;
            return Ok(());
        };
        if let Some(relations) = &mut self.relations {
            let merged = relations.len() - 1;
            // The leftmost has it merged already, when it is joined once more.
            if is_first {
                relations[merged - left.len()].1.push(name.clone());
            }
            relations[merged].1.push(name.clone());
        }
        match keeps {
            Keeps::Left => {}
            Keeps::Right => ours = vec![theirs],
            Keeps::Both => ours.push(theirs),
        }
        self.differ |= keeps != Keeps::Left;
        self.columns.insert(name, ours);
        Ok(())
    }

    /// Whether the columns are to be written. Without need it is left to the planner what a name
    /// means that another relation may have, too.
    fn is_written(&self, select: &Select) -> bool {
        !self.columns.is_empty() && (self.differ || select.from.len() == 1)
    }

    /// Writes the columns in all clauses of a SELECT but its FROM.
    fn write_all(&self, select: &mut Select) -> Result<()> {
        let mut projection = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => {
                    projection.push(match self.columns.get(&fold(&ident)) {
                        Some(value) => {
                            SelectItem::ExprWithAlias { expr: first_known(value), alias: ident }
                        }
                        None => SelectItem::UnnamedExpr(Expr::Identifier(ident)),
                    });
                }
                SelectItem::Wildcard(options) => match self.all_columns(&options) {
                    Some(columns) => projection.extend(columns),
                    None if self.differ => return Err(refused("whose columns are shown by *")),
                    None => projection.push(SelectItem::Wildcard(options)),
                },
                mut other => {
                    self.write(&mut other);
                    projection.push(other);
                }
            }
        }
        select.projection = projection;
        self.write(&mut select.distinct);
        self.write(&mut select.selection);
        self.write(&mut select.having);
        self.write(&mut select.qualify);
        self.write(&mut select.named_window);
        if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
            self.write(expressions);
        }
        Ok(())
    }

    /// What `*` stands for: the merged columns, then the others of each relation.
    fn all_columns(&self, options: &WildcardAdditionalOptions) -> Option<Vec<SelectItem>> {
        let relations = self.relations.as_ref()?;
        if *options
            != (WildcardAdditionalOptions {
                wildcard_token: options.wildcard_token.clone(),
                ..Default::default()
            })
        {
            return None;
        }
        let merged = self.columns.iter().map(|(name, value)| SelectItem::ExprWithAlias {
            expr: first_known(value),
            alias: Ident::with_quote('"', name.as_str()),
        });
        let others = relations.iter().map(|(relation, merged)| {
            let quoted =
                |name: &String| ObjectName::from(vec![Ident::with_quote('"', name.as_str())]);
            let left_out: Vec<_> = merged.iter().map(quoted).collect();
            let opt_exclude =
                (!left_out.is_empty()).then_some(ExcludeSelectItem::Multiple(left_out));
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(relation.clone()),
                WildcardAdditionalOptions { opt_exclude, ..Default::default() },
            )
        });
        Some(merged.chain(others).collect())
    }

    /// An order by a column of the result is one by what is written there.
    fn write_order(&self, order_by: &mut OrderByKind, projection: &[SelectItem]) {
        let shown = |name: &str| {
            projection.iter().any(|item| match item {
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => fold(ident) == name,
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                    parts.last().is_some_and(|last| fold(last) == name)
                }
                SelectItem::ExprWithAlias { alias, .. } => fold(alias) == name,
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => true,
                _ => false,
            })
        };
        if let OrderByKind::Expressions(expressions) = order_by {
            for ordered in expressions {
                match &ordered.expr {
                    Expr::Identifier(ident) if shown(&fold(ident)) => {}
                    _ => self.write(&mut ordered.expr),
                }
            }
        }
    }

    /// Writes the columns in a part of the statement, but not in the queries inside of it.
    fn write(&self, part: &mut impl VisitMut) {
        if !self.columns.is_empty() {
            // The visitor never breaks.
            let _ = part.visit(&mut Writer { merged: self, queries: 0 });
        }
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
        TableFactor::Table { name, args: None, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

/// Names the relations that have no name of their own, so that their columns can be said, in the
/// text of a view as well, where tables are written with their schemas.
fn name_all(from: &mut TableWithJoins) {
    let joined = from.joins.iter_mut().map(|join| &mut join.relation);
    for (number, relation) in std::iter::once(&mut from.relation).chain(joined).enumerate() {
        let (alias, name) = match relation {
            TableFactor::Derived { alias, .. } => (alias, None),
            TableFactor::Table { name, alias, .. } if name.0.len() == 1 => (alias, name.0.last()),
            _ => continue,
        };
        let name = name.and_then(|name| name.as_ident().cloned());
        let name = name.unwrap_or_else(|| Ident::with_quote('"', format!("unnamed_{number}")));
        alias.get_or_insert(TableAlias { explicit: true, name, columns: vec![], at: None });
    }
}

/// Joins in parentheses are the planner's, which must not be one that it has wrong.
fn check_inside(relation: &mut TableFactor) -> Result<()> {
    let TableFactor::NestedJoin { table_with_joins, .. } = relation else { return Ok(()) };
    match Merged::of(std::slice::from_mut(table_with_joins))?.differ {
        true => Err(refused("in parentheses")),
        false => Ok(()),
    }
}

fn uses(join: &mut Join) -> bool {
    matches!(constraint(&mut join.join_operator), Some(JoinConstraint::Using(_)))
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

fn refused(which: &str) -> Error {
    Error::not_supported(format!("USING for a RIGHT or FULL join {which}"))
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
                "SELECT x FROM a AS a JOIN b AS b USING(n) WHERE a.\"n\" > 1",
            ),
            (
                "SELECT n, n FROM a AS l RIGHT JOIN s.b USING (n) WHERE n IN (SELECT n FROM c) ORDER BY n",
                "SELECT b.\"n\" AS n, b.\"n\" AS \"n_1\" FROM a AS l RIGHT JOIN s.b USING(n) \
                 WHERE b.\"n\" IN (SELECT n FROM c) ORDER BY n",
            ),
            (
                "SELECT * FROM a FULL JOIN b USING (n)",
                "SELECT CASE WHEN a.\"n\" IS NOT NULL THEN a.\"n\" ELSE b.\"n\" END AS \"n\", \
                 a.* EXCLUDE (\"n\"), b.* EXCLUDE (\"n\") FROM a AS a FULL JOIN b AS b USING(n)",
            ),
            (
                "SELECT x FROM a, b JOIN c USING (n) WHERE n > 1",
                "SELECT x FROM a, b AS b JOIN c AS c USING(n) WHERE n > 1",
            ),
        ] {
            assert_eq!(parse_one(sql).unwrap().sql().to_string(), written);
        }
        for refused in [
            "SELECT 1 FROM a NATURAL FULL JOIN b",
            "SELECT 1 FROM a JOIN b ON a.x = b.x FULL JOIN c USING (n)",
            "SELECT 1 FROM a FULL JOIN b USING (n) JOIN c USING (n)",
            "SELECT 1 FROM a RIGHT JOIN b USING (n) NATURAL JOIN c",
            "SELECT 1 FROM (a FULL JOIN b USING (n))",
            "SELECT 1 FROM a FULL JOIN s.a USING (n)",
            "UPDATE t SET x = n FROM a FULL JOIN b USING (n)",
        ] {
            assert!(parse_one(refused).unwrap_err().message.contains("FULL"), "{refused}");
        }
    }
}
