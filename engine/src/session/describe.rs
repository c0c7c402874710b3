//! DESCRIBE and SHOW: what there is, as rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, ShowStatementFilter, ShowStatementFilterPosition,
    ShowStatementOptions, Statement,
};

use super::{Context, Output};
use crate::error::{Error, Result};
use crate::sql::{self, fold, ident_position, position_of, resolve, sql_name, string_literal};

/// `DESCRIBE t`: columns with their SQL types.
pub(super) async fn table(context: &Context, name: &ObjectName) -> Result<Output> {
    let resolved = context.resolve(name)?;
    if let Ok(def) = context.catalog.stored_table(&resolved) {
        let key = |id| if def.primary_key.contains(id) { "PRIMARY KEY" } else { "" };
        let columns: Vec<_> = def.live_columns().collect();
        return rows([
            ("column_name", columns.iter().map(|c| Some(c.name.clone())).collect()),
            ("data_type", columns.iter().map(|c| Some(sql_name(&c.data_type))).collect()),
            ("is_nullable", columns.iter().map(|c| Some(yes_no(c.nullable))).collect()),
            ("column_default", columns.iter().map(|c| c.default_sql.clone()).collect()),
            ("key", columns.iter().map(|c| Some(key(&c.id).to_owned())).collect()),
        ]);
    }
    match context.catalog.find(&resolved.schema, &resolved.name).await? {
        Some(table) => schema(&table.schema()),
        None => Err(context
            .catalog
            .table_not_found(&resolved.schema, &resolved.name)
            .at(position_of(name))),
    }
}

/// `DESCRIBE SELECT …`: the columns that the query would have.
pub(super) async fn query(context: &Context, query: Query) -> Result<Output> {
    let plan = context.plan_query(query).await?;
    // The analyzer settles types that the planner leaves open.
    let plan = context.state.optimize(&plan)?;
    schema(plan.schema().as_arrow())
}

fn schema(schema: &Schema) -> Result<Output> {
    let fields = schema.fields();
    rows([
        ("column_name", fields.iter().map(|f| Some(f.name().clone())).collect()),
        ("data_type", fields.iter().map(|f| Some(sql_name(f.data_type()))).collect()),
        ("is_nullable", fields.iter().map(|f| Some(yes_no(f.is_nullable()))).collect()),
    ])
}

fn yes_no(value: bool) -> String {
    if value { "YES" } else { "NO" }.to_owned()
}

/// `SHOW name` and `SHOW ALL`.
pub(super) fn settings(context: &Context, variable: &[Ident]) -> Result<Output> {
    let name = variable.iter().map(fold).collect::<Vec<_>>();
    let options = context.state.config_options();
    let found = match name.as_slice() {
        [all] if all == "all" => context.settings.list(options),
        [time, zone] if time == "time" && zone == "zone" => {
            vec![context.settings.get("timezone", options)?]
        }
        name => {
            let error_at = variable.first().and_then(ident_position);
            vec![
                context
                    .settings
                    .get(&name.join("."), options)
                    .map_err(|error| error.at(error_at))?,
            ]
        }
    };
    rows([
        ("name", found.iter().map(|row| Some(row.name.clone())).collect()),
        ("value", found.iter().map(|row| row.value.clone()).collect()),
    ])
}

/// `SHOW TABLES`: tables and views of the session's or the given schema.
pub(super) async fn tables(context: &Context, options: &ShowStatementOptions) -> Result<Output> {
    let (schema, like) = show_options(options)?;
    let schema = schema.unwrap_or_else(|| context.settings.schema.clone());
    let text = format!(
        "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema = {}{} \
         ORDER BY table_schema, table_name",
        string_literal(&schema),
        like_condition("table_name", like.as_ref()),
    );
    run(context, &text).await
}

/// `SHOW SCHEMAS`.
pub(super) async fn schemas(context: &Context, options: &ShowStatementOptions) -> Result<Output> {
    let (_, like) = show_options(options)?;
    let text = format!(
        "SELECT schema_name FROM information_schema.schemata WHERE true{} ORDER BY schema_name",
        like_condition("schema_name", like.as_ref()),
    );
    run(context, &text).await
}

/// `SHOW COLUMNS FROM t`.
pub(super) async fn columns(context: &Context, options: &ShowStatementOptions) -> Result<Output> {
    let Some(name) = options.show_in.as_ref().and_then(|show_in| show_in.parent_name.as_ref())
    else {
        return Err(Error::not_supported("SHOW COLUMNS without a table")
            .hint("write SHOW COLUMNS FROM table"));
    };
    resolve(name, &context.settings.schema)?;
    table(context, name).await
}

async fn run(context: &Context, text: &str) -> Result<Output> {
    let plan = context.plan(Statement::Query(sql::parse_query_text(text)?)).await?;
    Output::running(context.stream(&plan).await?).await
}

/// The schema after IN or FROM, and the pattern after LIKE.
fn show_options(options: &ShowStatementOptions) -> Result<(Option<String>, Option<Expr>)> {
    let ShowStatementOptions { show_in, starts_with, limit, limit_from, filter_position } = options;
    if starts_with.is_some() || limit.is_some() || limit_from.is_some() {
        return Err(Error::not_supported("STARTS WITH or LIMIT in SHOW")
            .hint("query information_schema.tables"));
    }
    let schema = match show_in.as_ref().and_then(|show_in| show_in.parent_name.as_ref()) {
        Some(name) => Some(sql::one_ident(name)?),
        None => None,
    };
    let like = match filter_position {
        None => None,
        Some(
            ShowStatementFilterPosition::Infix(filter)
            | ShowStatementFilterPosition::Suffix(filter),
        ) => match filter {
            ShowStatementFilter::Like(pattern) => Some(string_literal(pattern)),
            other => {
                return Err(Error::not_supported(format!("{other} in SHOW"))
                    .hint("query information_schema.tables"));
            }
        },
    };
    Ok((schema, like))
}

fn like_condition(column: &str, pattern: Option<&Expr>) -> String {
    pattern.map(|pattern| format!(" AND {column} LIKE {pattern}")).unwrap_or_default()
}

/// Rows of text.
fn rows<const N: usize>(columns: [(&str, Vec<Option<String>>); N]) -> Result<Output> {
    let schema = Arc::new(Schema::new(
        columns
            .iter()
            .map(|(name, _)| Field::new(*name, DataType::Utf8View, true))
            .collect::<Vec<_>>(),
    ));
    let arrays = columns
        .into_iter()
        .map(|(_, values)| Arc::new(StringViewArray::from_iter(values)) as ArrayRef);
    let batch = RecordBatch::try_new(schema.clone(), arrays.collect())?;
    Ok(Output::rows(schema, vec![batch]))
}
