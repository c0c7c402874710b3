//! Small syntax trees for the queries behind UPDATE, DELETE, RETURNING and SHOW.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, ObjectName, Query, Select, SelectFlavor, SelectItem, SetExpr,
    TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Value, WildcardAdditionalOptions,
};

/// `SELECT projection FROM from WHERE selection`
pub(crate) fn select(
    projection: Vec<SelectItem>,
    from: Vec<TableWithJoins>,
    selection: Option<Expr>,
) -> Query {
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(Select {
            select_token: AttachedToken::empty(),
            optimizer_hints: vec![],
            distinct: None,
            select_modifiers: None,
            top: None,
            top_before_distinct: false,
            projection,
            exclude: None,
            into: None,
            from,
            lateral_views: vec![],
            prewhere: None,
            selection,
            connect_by: vec![],
            group_by: GroupByExpr::Expressions(vec![], vec![]),
            cluster_by: vec![],
            distribute_by: vec![],
            sort_by: vec![],
            having: None,
            named_window: vec![],
            qualify: None,
            window_before_qualify: false,
            value_table_mode: None,
            flavor: SelectFlavor::Standard,
        }))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: vec![],
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: vec![],
    }
}

/// `schema.name AS alias`
pub(crate) fn relation(schema: &str, name: &str, alias: &str) -> TableWithJoins {
    let quoted = |text: &str| Ident::with_quote('"', text);
    let alias = TableAlias { explicit: true, name: quoted(alias), columns: vec![], at: None };
    relation_named(ObjectName::from(vec![quoted(schema), quoted(name)]), Some(alias))
}

/// `name [AS alias]`
pub(crate) fn relation_named(name: ObjectName, alias: Option<TableAlias>) -> TableWithJoins {
    TableWithJoins {
        relation: TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints: vec![],
            version: None,
            with_ordinality: false,
            partitions: vec![],
            json_path: None,
            sample: None,
            index_hints: vec![],
        },
        joins: vec![],
    }
}

/// `SELECT * FROM (query) AS named (a, b)`
pub(crate) fn with_column_names(query: Query, names: Vec<Ident>) -> Query {
    let alias = TableAlias {
        explicit: true,
        name: Ident::with_quote('"', "named"),
        columns: names
            .into_iter()
            .map(|name| TableAliasColumnDef { name, data_type: None })
            .collect(),
        at: None,
    };
    let relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(alias),
        sample: None,
    };
    select(
        vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
        vec![TableWithJoins { relation, joins: vec![] }],
        None,
    )
}

/// `alias.column`
pub(crate) fn column_of(alias: &str, column: &str) -> Expr {
    Expr::CompoundIdentifier(vec![Ident::with_quote('"', alias), Ident::with_quote('"', column)])
}

/// `'text'`
pub(crate) fn string_literal(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}
