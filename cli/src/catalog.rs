//! What `.tables` and `.schema` show.

use std::io::Write;

use sheafdb::Database;
use sheafdb::core::catalog::{Catalog, ColumnId, ColumnOrder, SchemaId, TableDef, ViewDef};
use sheafdb::core::partition::BucketWidth;
use sheafdb::{sql_name, sql_order};

use crate::message::Failure;

/// Names of tables and views.
pub fn names(database: &Database) -> Result<Vec<String>, Failure> {
    let snapshot = database.store().snapshot()?;
    let catalog = snapshot.catalog();
    let tables = catalog.tables.values().map(|t| match is_temporary(catalog, t.schema) {
        true => quoted(&t.name) + " (temporary)",
        false => qualified(catalog, t.schema, &t.name),
    });
    let views = catalog.views.values().map(|v| qualified(catalog, v.schema, &v.name) + " (view)");
    let mut names: Vec<String> = tables.chain(views).collect();
    names.sort();
    Ok(names)
}

/// Statements that would make the tables and views again: all, or those with `name`.
pub fn write_definitions(
    database: &Database,
    name: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let snapshot = database.store().snapshot()?;
    let catalog = snapshot.catalog();
    let name = name.to_lowercase();
    let wanted = |full: String, short: &str| name.is_empty() || name == full || name == short;
    let mut found = false;
    for table in
        catalog.tables.values().filter(|t| wanted(qualified(catalog, t.schema, &t.name), &t.name))
    {
        writeln!(out, "{}", table_definition(catalog, table))?;
        found = true;
    }
    for view in
        catalog.views.values().filter(|v| wanted(qualified(catalog, v.schema, &v.name), &v.name))
    {
        writeln!(out, "{}", view_definition(catalog, view))?;
        found = true;
    }
    if found || name.is_empty() {
        Ok(())
    } else {
        Err(Failure::Other(format!("no table or view \"{name}\": .tables lists them")))
    }
}

fn table_definition(catalog: &Catalog, table: &TableDef) -> String {
    let mut parts: Vec<String> = table
        .live_columns()
        .map(|column| {
            let not_null = if column.nullable { "" } else { " NOT NULL" };
            let default = column
                .default_sql
                .as_ref()
                .map(|sql| format!(" DEFAULT {sql}"))
                .unwrap_or_default();
            format!(
                "{} {}{not_null}{default}",
                quoted(&column.name),
                sql_name(&column.data_type).to_uppercase()
            )
        })
        .collect();
    if table.is_keyed() {
        parts.push(format!("PRIMARY KEY ({})", sorted(table, table.key_columns())));
    }
    let (temporary, name) = match is_temporary(catalog, table.schema) {
        true => (" TEMPORARY", quoted(&table.name)),
        false => ("", qualified(catalog, table.schema, &table.name)),
    };
    let mut sql = format!("CREATE{temporary} TABLE {name} (\n    {}\n)", parts.join(",\n    "));
    if let Some(partition) = &table.partition
        && let Some(column) = table.column(partition.column)
    {
        sql.push_str(&format!(
            "\nPARTITION BY time_bucket('{}', {})",
            width(partition.width),
            quoted(&column.name)
        ));
    }
    if !table.cluster_by.is_empty() {
        sql.push_str(&format!("\nCLUSTER BY ({})", sorted(table, table.cluster_columns())));
    }
    sql + ";"
}

/// Columns in a list, with their orders.
fn sorted(table: &TableDef, columns: impl Iterator<Item = (ColumnId, ColumnOrder)>) -> String {
    let columns: Vec<String> = columns
        .filter_map(|(id, order)| Some((table.column(id)?, order)))
        .map(|(column, order)| quoted(&column.name) + sql_order(column, order))
        .collect();
    columns.join(", ")
}

fn view_definition(catalog: &Catalog, view: &ViewDef) -> String {
    format!("CREATE VIEW {} AS {};", qualified(catalog, view.schema, &view.name), view.sql)
}

/// A bucket's width in the largest unit that divides it.
fn width(width: BucketWidth) -> String {
    const UNITS: [(i64, &str); 4] = [
        (86_400_000_000, "days"),
        (3_600_000_000, "hours"),
        (60_000_000, "minutes"),
        (1_000_000, "seconds"),
    ];
    match width {
        BucketWidth::Months(months) => format!("{months} months"),
        BucketWidth::Micros(micros) => match UNITS.iter().find(|(unit, _)| micros % unit == 0) {
            Some((unit, name)) => format!("{} {name}", micros / unit),
            None => format!("{micros} microseconds"),
        },
    }
}

/// Schemas of temporary tables have names that nobody writes.
fn is_temporary(catalog: &Catalog, schema: SchemaId) -> bool {
    catalog.schemas.get(&schema).is_some_and(|schema| schema.name.starts_with('$'))
}

/// The name as a query needs it: with its schema unless that is `public`.
fn qualified(catalog: &Catalog, schema: SchemaId, name: &str) -> String {
    match catalog.schemas.get(&schema) {
        Some(schema) if schema.name != "public" => {
            format!("{}.{}", quoted(&schema.name), quoted(name))
        }
        _ => quoted(name),
    }
}

/// Quoted only where folding would change the name.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
