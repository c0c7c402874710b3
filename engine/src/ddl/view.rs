//! CREATE VIEW.

use datafusion::sql::sqlparser::ast::{CreateTableOptions, CreateView};
use sheaf_core::catalog::CatalogChange;

use crate::catalog::qualified_text;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};
use crate::sql::{ident_position, position_of, with_column_names};

pub(super) async fn create(context: &Context, view: CreateView) -> Result<Output> {
    let CreateView {
        or_alter: false,
        or_replace,
        materialized,
        secure: false,
        name,
        name_before_not_exists: _,
        columns,
        query,
        options: CreateTableOptions::None,
        cluster_by,
        comment: None,
        with_no_schema_binding: false,
        if_not_exists,
        temporary: false,
        copy_grants: false,
        to: None,
        params: None,
    } = view
    else {
        return Err(Error::not_supported("an option of CREATE VIEW"));
    };
    if materialized || !cluster_by.is_empty() {
        return Err(Error::not_supported("a materialized view")
            .at(position_of(&name))
            .hint("use CREATE TABLE … AS SELECT"));
    }
    let resolved = context.resolve_new(&name)?;
    let schema =
        context.catalog.schema(&resolved.schema).map_err(|error| error.at(position_of(&name)))?.id;
    let table_is_there = context.catalog.stored_table(&resolved).is_ok();
    let view_is_there = context.catalog.stored_view(&resolved).is_ok();
    if if_not_exists && (table_is_there || view_is_there) {
        return Ok(Output::done("CREATE VIEW"));
    }
    if table_is_there || (view_is_there && !or_replace) {
        return Err(Error::new(
            ErrorKind::DuplicateObject,
            format!("'{}' already exists", resolved.name),
        )
        .at(position_of(&name))
        .hint(if table_is_there {
            "it is a table: choose another name"
        } else {
            "use CREATE OR REPLACE VIEW"
        }));
    }
    let mut names = Vec::with_capacity(columns.len());
    for column in columns {
        if column.data_type.is_some() || column.options.is_some() {
            return Err(Error::not_supported("a type or an option on a view's column")
                .at(ident_position(&column.name)));
        }
        names.push(column.name);
    }
    let query = if names.is_empty() { *query } else { with_column_names(*query, names) };
    let sql = qualified_text(&context.catalog, &query)?;
    // A view that cannot be planned is of no use to anybody.
    context.plan_query(query).await?;
    super::change(
        context,
        CatalogChange::CreateView { schema, name: resolved.name, sql, replace: or_replace },
    )?;
    Ok(Output::done("CREATE VIEW"))
}
