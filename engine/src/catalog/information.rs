//! The schema `information_schema`: the standard's views, with SQL names of types.

use std::sync::Arc;

use arrow::array::Int32Array;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use futures::future::BoxFuture;
use sheaf_core::catalog::TableDef;

use super::rows::{numbers, table as rows, texts};
use super::{INFORMATION, PinnedCatalog, SYSTEM, system, views};
use crate::error::Result;
use crate::session::temporary;
use crate::sql::{CATALOG, sql_name};

pub(super) const NAMES: [&str; 6] =
    ["tables", "columns", "schemata", "views", "table_constraints", "key_column_usage"];

/// Boxed, because the columns of a view are known by planning it, and a view may
/// stand on these views.
pub(super) fn table<'a>(
    catalog: &'a PinnedCatalog,
    name: &'a str,
) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>>> {
    Box::pin(async move {
        match name {
            "tables" => tables(catalog),
            "columns" => columns(catalog).await,
            "schemata" => schemata(catalog),
            "views" => view_texts(catalog),
            "table_constraints" => table_constraints(catalog),
            "key_column_usage" => key_column_usage(catalog),
            _ => Ok(None),
        }
    })
}

/// Schema, name and kind of every relation, by schema and name.
fn relations(catalog: &PinnedCatalog) -> Vec<(String, String, &'static str)> {
    let names = catalog.names();
    let schema = |id| names.schemas.get(id).map(|s| s.name.clone()).unwrap_or_default();
    let mut relations: Vec<_> = names
        .tables
        .values()
        .map(|t| (schema(&t.schema), t.name.clone(), "BASE TABLE"))
        .filter(|(schema, ..)| catalog.shows(schema))
        .map(|(schema, name, kind)| match temporary::is_temporary(&schema) {
            true => (schema, name, "LOCAL TEMPORARY"),
            false => (schema, name, kind),
        })
        .chain(names.views.values().map(|v| (schema(&v.schema), v.name.clone(), "VIEW")))
        .collect();
    relations.sort();
    let system = system::NAMES.iter().map(|name| (SYSTEM, *name));
    let information = NAMES.iter().map(|name| (INFORMATION, *name));
    relations.extend(system.chain(information).map(|(s, n)| (s.to_owned(), n.to_owned(), "VIEW")));
    relations
}

fn tables(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let relations = relations(catalog);
    rows(vec![
        ("table_catalog", texts(relations.iter().map(|_| Some(CATALOG)))),
        ("table_schema", texts(relations.iter().map(|r| Some(&r.0)))),
        ("table_name", texts(relations.iter().map(|r| Some(&r.1)))),
        ("table_type", texts(relations.iter().map(|r| Some(r.2)))),
    ])
}

struct ColumnRow {
    schema: String,
    table: String,
    name: String,
    position: i32,
    default: Option<String>,
    nullable: bool,
    data_type: String,
}

async fn columns(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let names = catalog.names();
    let mut columns = Vec::new();
    for (schema, table, _) in relations(catalog) {
        let id = names.schema(&schema).map(|s| s.id);
        if let Some(def) = id.and_then(|id| names.table(id, &table)) {
            columns.extend(def.live_columns().zip(1..).map(|(column, position)| ColumnRow {
                schema: schema.clone(),
                table: table.clone(),
                name: column.name.clone(),
                position,
                default: column.default_sql.clone(),
                nullable: column.nullable,
                data_type: sql_name(&column.data_type),
            }));
            continue;
        }
        let described: Option<SchemaRef> = match id.and_then(|id| names.view(id, &table)) {
            // A view whose tables are gone has no columns to tell.
            Some(view) => views::table(catalog, view).await.ok().map(|t| t.schema()),
            None if schema == SYSTEM => system::table(catalog, &table)?.map(|t| t.schema()),
            // This very view among them: its columns are not known yet.
            None => None,
        };
        for (field, position) in described.iter().flat_map(|s| s.fields()).zip(1..) {
            columns.push(ColumnRow {
                schema: schema.clone(),
                table: table.clone(),
                name: field.name().clone(),
                position,
                default: None,
                nullable: field.is_nullable(),
                data_type: sql_name(field.data_type()),
            });
        }
    }
    rows(vec![
        ("table_catalog", texts(columns.iter().map(|_| Some(CATALOG)))),
        ("table_schema", texts(columns.iter().map(|c| Some(&c.schema)))),
        ("table_name", texts(columns.iter().map(|c| Some(&c.table)))),
        ("column_name", texts(columns.iter().map(|c| Some(&c.name)))),
        ("ordinal_position", numbers(columns.iter().map(|c| c.position))),
        ("column_default", texts(columns.iter().map(|c| c.default.as_ref()))),
        ("is_nullable", texts(columns.iter().map(|c| Some(if c.nullable { "YES" } else { "NO" })))),
        ("data_type", texts(columns.iter().map(|c| Some(&c.data_type)))),
    ])
}

fn schemata(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let mut schemas: Vec<&str> = catalog.schemas().map(|s| s.name.as_str()).collect();
    schemas.sort_unstable();
    schemas.extend([SYSTEM, INFORMATION]);
    rows(vec![
        ("catalog_name", texts(schemas.iter().map(|_| Some(CATALOG)))),
        ("schema_name", texts(schemas.iter().map(Some))),
    ])
}

fn view_texts(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let names = catalog.names();
    let views: Vec<_> = names.views.values().collect();
    rows(vec![
        ("table_catalog", texts(views.iter().map(|_| Some(CATALOG)))),
        (
            "table_schema",
            texts(views.iter().map(|v| names.schemas.get(&v.schema).map(|s| &s.name))),
        ),
        ("table_name", texts(views.iter().map(|v| Some(&v.name)))),
        ("view_definition", texts(views.iter().map(|v| Some(&v.sql)))),
    ])
}

/// Schema and definition of the tables with a primary key, by schema and name.
fn keyed(catalog: &PinnedCatalog) -> Vec<(&str, &TableDef)> {
    let names = catalog.names();
    let schema = |table: &TableDef| names.schemas.get(&table.schema).map(|s| s.name.as_str());
    let tables = names.tables.values().map(AsRef::as_ref).filter(|t: &&TableDef| t.is_keyed());
    let mut keyed: Vec<_> = tables
        .filter_map(|table| Some((schema(table)?, table)))
        .filter(|(schema, _)| catalog.shows(schema))
        .collect();
    keyed.sort_by_key(|(schema, table)| (*schema, table.name.as_str()));
    keyed
}

/// The name that PostgreSQL gives to the constraint of a primary key.
fn key_name(table: &TableDef) -> String {
    format!("{}_pkey", table.name)
}

fn table_constraints(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let keyed = keyed(catalog);
    rows(vec![
        ("constraint_catalog", texts(keyed.iter().map(|_| Some(CATALOG)))),
        ("constraint_schema", texts(keyed.iter().map(|(schema, _)| Some(schema)))),
        ("constraint_name", texts(keyed.iter().map(|(_, table)| Some(key_name(table))))),
        ("table_catalog", texts(keyed.iter().map(|_| Some(CATALOG)))),
        ("table_schema", texts(keyed.iter().map(|(schema, _)| Some(schema)))),
        ("table_name", texts(keyed.iter().map(|(_, table)| Some(&table.name)))),
        ("constraint_type", texts(keyed.iter().map(|_| Some("PRIMARY KEY")))),
        ("is_deferrable", texts(keyed.iter().map(|_| Some("NO")))),
        ("initially_deferred", texts(keyed.iter().map(|_| Some("NO")))),
        ("enforced", texts(keyed.iter().map(|_| Some("YES")))),
    ])
}

fn key_column_usage(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let keyed = keyed(catalog);
    let mut columns = Vec::new();
    for (schema, table) in &keyed {
        let live: Vec<&str> = table.live_columns().map(|column| column.name.as_str()).collect();
        let key = table.key_indices().into_iter().map(|at| live[at]);
        columns.extend(key.zip(1..).map(|(column, position)| (*schema, *table, column, position)));
    }
    rows(vec![
        ("constraint_catalog", texts(columns.iter().map(|_| Some(CATALOG)))),
        ("constraint_schema", texts(columns.iter().map(|c| Some(c.0)))),
        ("constraint_name", texts(columns.iter().map(|c| Some(key_name(c.1))))),
        ("table_catalog", texts(columns.iter().map(|_| Some(CATALOG)))),
        ("table_schema", texts(columns.iter().map(|c| Some(c.0)))),
        ("table_name", texts(columns.iter().map(|c| Some(&c.1.name)))),
        ("column_name", texts(columns.iter().map(|c| Some(c.2)))),
        ("ordinal_position", numbers(columns.iter().map(|c| c.3))),
        ("position_in_unique_constraint", Arc::new(Int32Array::new_null(columns.len()))),
    ])
}
