//! Refuses clauses that the planner would drop without a word, and rewrites the few
//! that it knows under another name.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Fetch, GroupByExpr, Join, LimitClause, OrderByKind, Query, Select, SelectFlavor,
    SelectItem, SetExpr, Spanned, Statement, TableFactor, TableWithJoins, VisitMut, VisitorMut,
    WildcardAdditionalOptions,
};

use super::names::position_of;
use super::numbers;
use crate::error::{Error, Result};

/// Checks a statement and everything in it.
pub(super) fn check(statement: &mut Statement) -> Result<()> {
    with_before_insert(statement);
    match VisitMut::visit(statement, &mut Supported) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// `WITH x AS (…) INSERT … SELECT … FROM x`: the parser takes the INSERT for the
/// body of a query; the WITH belongs to the INSERT's own query.
fn with_before_insert(statement: &mut Statement) {
    let Statement::Query(query) = statement else { return };
    let SetExpr::Insert(Statement::Insert(insert)) = query.body.as_mut() else { return };
    let Some(source) = insert.source.as_mut() else { return };
    if source.with.is_none() {
        source.with = query.with.take();
        *statement = Statement::Insert(insert.clone());
    }
}

struct Supported;

type Flow = ControlFlow<Box<Error>>;

fn refuse(when: bool, what: &str, node: &impl Spanned) -> Flow {
    if when {
        return ControlFlow::Break(Box::new(Error::not_supported(what).at(position_of(node))));
    }
    ControlFlow::Continue(())
}

impl VisitorMut for Supported {
    type Break = Box<Error>;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        rewrite_fetch(query)?;
        let Query {
            with,
            body,
            order_by,
            limit_clause: _,
            fetch: _,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = &*query;
        if let Some(lock) = locks.first() {
            refuse(true, &lock.to_string(), query)?;
        }
        refuse(for_clause.is_some(), "FOR XML, JSON or BROWSE", query)?;
        refuse(settings.is_some(), "SETTINGS in a query", query)?;
        refuse(format_clause.is_some(), "FORMAT in a query", query)?;
        refuse(!pipe_operators.is_empty(), "the pipe operator |>", query)?;
        for Cte { alias: _, query: _, from, materialized: _, closing_paren_token: _ } in
            with.iter().flat_map(|with| &with.cte_tables)
        {
            refuse(from.is_some(), "FROM in a WITH clause", query)?;
        }
        if let Some(order) = order_by {
            refuse(order.interpolate.is_some(), "INTERPOLATE in ORDER BY", query)?;
            match &order.kind {
                OrderByKind::All(_) => {}
                OrderByKind::Expressions(terms) => {
                    refuse(
                        terms.iter().any(|term| term.with_fill.is_some()),
                        "WITH FILL in ORDER BY",
                        query,
                    )?;
                }
            }
        }
        let writes = matches!(
            body.as_ref(),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        );
        refuse(writes, "INSERT, UPDATE or DELETE inside a query", query)?;
        refuse(matches!(body.as_ref(), SetExpr::Table(_)), "TABLE name as a query", query)
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        numbers::rewrite(expr);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Flow {
        from_first(select);
        let Select {
            select_token: _,
            // Hints are comments: they may be obeyed, they need not.
            optimizer_hints: _,
            distinct: _,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection: _,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection: _,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having: _,
            named_window: _,
            qualify: _,
            window_before_qualify: _,
            value_table_mode,
            flavor: _,
        } = &*select;
        refuse(
            select_modifiers.as_ref().is_some_and(|m| m.is_any_set()),
            "a modifier after SELECT",
            select,
        )?;
        refuse(top.is_some(), "TOP", select)?;
        refuse(exclude.is_some(), "EXCLUDE after the select list", select)?;
        if into.is_some() {
            return ControlFlow::Break(Box::new(
                Error::not_supported("SELECT INTO")
                    .at(position_of(select))
                    .hint("use CREATE TABLE … AS SELECT"),
            ));
        }
        refuse(!lateral_views.is_empty(), "LATERAL VIEW", select)?;
        refuse(prewhere.is_some(), "PREWHERE", select)?;
        refuse(!connect_by.is_empty(), "CONNECT BY", select)?;
        let modifiers = match group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => modifiers,
        };
        if !modifiers.is_empty() {
            return ControlFlow::Break(Box::new(
                Error::not_supported("WITH after GROUP BY")
                    .at(position_of(select))
                    .hint("write GROUP BY ROLLUP (…) or CUBE (…)"),
            ));
        }
        refuse(!cluster_by.is_empty(), "CLUSTER BY in a query", select)?;
        refuse(!distribute_by.is_empty(), "DISTRIBUTE BY", select)?;
        refuse(!sort_by.is_empty(), "SORT BY", select)?;
        refuse(value_table_mode.is_some(), "SELECT AS VALUE or STRUCT", select)?;
        for TableWithJoins { relation: _, joins } in from {
            for Join { relation, global, join_operator: _ } in joins {
                refuse(*global, "GLOBAL JOIN", relation)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
        match &*factor {
            TableFactor::Table {
                name,
                alias: _,
                args: _,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                refuse(!with_hints.is_empty(), "a table hint", name)?;
                refuse(version.is_some(), "a query on an earlier version", name)?;
                refuse(*with_ordinality, "WITH ORDINALITY", name)?;
                refuse(!partitions.is_empty(), "PARTITION in a query", name)?;
                refuse(json_path.is_some(), "a JSON path behind a table", name)?;
                refuse(sample.is_some(), "TABLESAMPLE", name)?;
                refuse(!index_hints.is_empty(), "an index hint", name)
            }
            TableFactor::Derived { lateral: _, subquery, alias: _, sample } => {
                refuse(sample.is_some(), "TABLESAMPLE", subquery.as_ref())
            }
            TableFactor::Function { lateral: _, name, args: _, with_ordinality, alias: _ } => {
                refuse(*with_ordinality, "WITH ORDINALITY", name)
            }
            // The planner refuses what it cannot do in these.
            TableFactor::TableFunction { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            other => refuse(true, "this kind of relation", other),
        }
    }
}

/// `FROM t SELECT a` is `SELECT a FROM t`, and `FROM t` is `SELECT * FROM t`.
fn from_first(select: &mut Select) {
    if select.flavor == SelectFlavor::FromFirstNoSelect {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    }
    select.flavor = SelectFlavor::Standard;
}

/// `FETCH FIRST n ROWS ONLY` is LIMIT n.
fn rewrite_fetch(query: &mut Query) -> Flow {
    let Some(Fetch { with_ties, percent, quantity }) = &query.fetch else {
        return ControlFlow::Continue(());
    };
    refuse(*with_ties, "FETCH … WITH TIES", query)?;
    refuse(*percent, "FETCH … PERCENT", query)?;
    let rows = quantity.clone().unwrap_or_else(|| {
        Expr::value(datafusion::sql::sqlparser::ast::Value::Number("1".to_owned(), false))
    });
    query.limit_clause = match query.limit_clause.take() {
        None => {
            Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: vec![] })
        }
        Some(LimitClause::LimitOffset { limit: None, offset, limit_by }) => {
            Some(LimitClause::LimitOffset { limit: Some(rows), offset, limit_by })
        }
        Some(both) => {
            query.limit_clause = Some(both);
            return refuse(true, "LIMIT together with FETCH", query);
        }
    };
    query.fetch = None;
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use crate::error::ErrorKind;
    use crate::sql::parse;

    #[test]
    fn what_would_be_dropped_is_refused() {
        for sql in [
            "SELECT * FROM t FOR UPDATE",
            "SELECT * FROM (SELECT * FROM t FOR SHARE) s",
            "SELECT * FROM t TABLESAMPLE SYSTEM (10)",
            "SELECT * FROM t FETCH FIRST 3 ROWS WITH TIES",
            "SELECT a INTO b FROM t",
            "SELECT * FROM f(1) WITH ORDINALITY",
        ] {
            assert_eq!(parse(sql).unwrap_err().kind, ErrorKind::NotSupported, "{sql}");
        }
    }

    #[test]
    fn fetch_first_is_a_limit() {
        let statements =
            parse("SELECT * FROM t ORDER BY a OFFSET 1 FETCH FIRST 3 ROWS ONLY").unwrap();
        assert!(statements[0].sql().to_string().contains("LIMIT 3"), "{}", statements[0].sql());
    }

    #[test]
    fn with_before_insert_is_the_inserts() {
        let statements = parse("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x").unwrap();
        assert!(
            statements[0].sql().to_string().starts_with("INSERT INTO t WITH x"),
            "{}",
            statements[0].sql()
        );
    }
}
