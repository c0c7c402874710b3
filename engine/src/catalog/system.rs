//! The schema `sheaf`: what the store tells about tables, segments, memtables, jobs
//! and settings, by name instead of by id.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use sheaf_core::MemoryUse;
use sheaf_core::catalog::{Catalog, ColumnId, ColumnOrder, TableDef, TableId};
use sheaf_core::partition::BucketWidth;

use super::PinnedCatalog;
use super::rows::{Column, booleans, counts, instants, numbers, table as rows, texts};
use crate::error::Result;
use crate::sql::sql_order;

pub(super) const NAMES: [&str; 10] = [
    "tables",
    "segments",
    "memtables",
    "jobs",
    "stalls",
    "memory",
    "queries",
    "rejects",
    "settings",
    "users",
];

pub(super) fn table(catalog: &PinnedCatalog, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    match name {
        "tables" => tables(catalog),
        "segments" => segments(catalog),
        "memtables" => memtables(catalog),
        "jobs" => jobs(catalog),
        "stalls" => stalls(catalog),
        "memory" => memory(catalog),
        "queries" => queries(catalog),
        "rejects" => rejects(catalog),
        "settings" => settings(catalog),
        "users" => users(catalog),
        _ => Ok(None),
    }
}

/// Schema and name of a table, as two columns. A table that is dropped meanwhile
/// has none.
fn names<'a>(catalog: &'a Catalog, ids: impl Iterator<Item = Option<TableId>>) -> [Column; 2] {
    let defs: Vec<Option<&'a TableDef>> =
        ids.map(|id| id.and_then(|id| catalog.tables.get(&id)).map(Arc::as_ref)).collect();
    let schema_of = |def: &TableDef| catalog.schemas.get(&def.schema).map(|s| s.name.as_str());
    [
        ("table_schema", texts(defs.iter().map(|def| def.and_then(schema_of)))),
        ("table_name", texts(defs.iter().map(|def| def.map(|d| d.name.as_str())))),
    ]
}

/// Columns in a list, with their orders; NULL when there are none.
fn columns_of(
    def: &TableDef,
    columns: impl Iterator<Item = (ColumnId, ColumnOrder)>,
) -> Option<String> {
    let names: Vec<String> = columns
        .filter_map(|(id, order)| Some((def.column(id)?, order)))
        .map(|(column, order)| format!("{}{}", column.name, sql_order(column, order)))
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn partition_of(def: &TableDef) -> Option<String> {
    let partition = def.partition.as_ref()?;
    let column = &def.column(partition.column)?.name;
    Some(format!("time_bucket('{}', {column})", interval_text(partition.width)))
}

/// When rows expire: `seen + 30 days`.
fn expiry_of(def: &TableDef) -> Option<String> {
    let ttl = def.ttl.as_ref()?;
    let column = &def.column(ttl.column)?.name;
    Some(match ttl.after {
        Some(after) => format!("{column} + {}", interval_text(after)),
        None => column.clone(),
    })
}

fn interval_text(width: BucketWidth) -> String {
    let (count, unit) = match width {
        BucketWidth::Months(months) => (i64::from(months), "month"),
        BucketWidth::Micros(micros) => {
            let units = [(86_400_000_000, "day"), (3_600_000_000, "hour"), (1_000_000, "second")];
            let whole = units.into_iter().find(|(length, _)| micros % length == 0);
            whole.map_or((micros, "microsecond"), |(length, unit)| (micros / length, unit))
        }
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn tables(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let mut infos = catalog.store.tables()?;
    infos.retain(|info| catalog.names().tables.contains_key(&info.table));
    let def = |id: &TableId| catalog.names().tables.get(id);
    let [schema, name] = names(catalog.names(), infos.iter().map(|i| Some(i.table)));
    rows(vec![
        schema,
        name,
        (
            "kind",
            texts(
                infos
                    .iter()
                    .map(|i| def(&i.table).map(|d| if d.is_keyed() { "keyed" } else { "append" })),
            ),
        ),
        (
            "primary_key",
            texts(infos.iter().map(|i| def(&i.table).and_then(|d| columns_of(d, d.key_columns())))),
        ),
        ("partition_by", texts(infos.iter().map(|i| def(&i.table).and_then(|d| partition_of(d))))),
        (
            "cluster_by",
            texts(
                infos
                    .iter()
                    .map(|i| def(&i.table).and_then(|d| columns_of(d, d.cluster_columns()))),
            ),
        ),
        (
            "format",
            texts(
                infos
                    .iter()
                    .map(|i| def(&i.table).map(|d| format!("{:?}", d.encoding).to_lowercase())),
            ),
        ),
        ("row_store", booleans(infos.iter().map(|i| def(&i.table).is_some_and(|d| d.row_store)))),
        (
            "lazy_upserts",
            booleans(infos.iter().map(|i| def(&i.table).is_some_and(|d| d.lazy_upserts))),
        ),
        ("expires", texts(infos.iter().map(|i| def(&i.table).and_then(|d| expiry_of(d))))),
        (
            "durability",
            texts(infos.iter().map(|i| {
                def(&i.table).and_then(|d| d.durability).map(|durability| durability.to_string())
            })),
        ),
        ("rows", counts(infos.iter().map(|i| Some(i.rows)))),
        ("segments", counts(infos.iter().map(|i| Some(i.segments)))),
        ("disk_bytes", counts(infos.iter().map(|i| Some(i.disk_bytes)))),
        ("memtable_rows", counts(infos.iter().map(|i| Some(i.memtable_rows)))),
        ("memtable_bytes", counts(infos.iter().map(|i| Some(i.memtable_bytes)))),
        ("deleted_rows", counts(infos.iter().map(|i| Some(i.deleted_rows)))),
        ("compaction_debt_rows", counts(infos.iter().map(|i| Some(i.compaction_debt_rows)))),
    ])
}

fn segments(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let infos = catalog.store.segments()?;
    let [schema, name] = names(catalog.names(), infos.iter().map(|i| Some(i.table)));
    rows(vec![
        schema,
        name,
        ("path", texts(infos.iter().map(|i| Some(&i.path)))),
        ("bucket_start", instants(infos.iter().map(|i| i.bucket_start))),
        ("rows", counts(infos.iter().map(|i| Some(i.rows)))),
        ("deleted_rows", counts(infos.iter().map(|i| Some(i.deleted_rows)))),
        ("bytes", counts(infos.iter().map(|i| Some(i.bytes)))),
        ("min_seq", counts(infos.iter().map(|i| Some(i.min_seq)))),
        ("max_seq", counts(infos.iter().map(|i| Some(i.max_seq)))),
        ("level", numbers(infos.iter().map(|i| i32::try_from(i.level).unwrap_or(i32::MAX)))),
        ("format", texts(infos.iter().map(|i| Some(i.encoding)))),
    ])
}

fn memtables(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let infos = catalog.store.memtables()?;
    let [schema, name] = names(catalog.names(), infos.iter().map(|i| Some(i.table)));
    rows(vec![
        schema,
        name,
        ("kind", texts(infos.iter().map(|i| Some(i.kind)))),
        ("active", booleans(infos.iter().map(|i| i.active))),
        ("rows", counts(infos.iter().map(|i| Some(i.rows)))),
        ("bytes", counts(infos.iter().map(|i| Some(i.bytes)))),
        ("min_seq", counts(infos.iter().map(|i| Some(i.min_seq)))),
        ("max_seq", counts(infos.iter().map(|i| Some(i.max_seq)))),
    ])
}

fn stalls(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let infos = catalog.store.stalls();
    rows(vec![
        ("kind", texts(infos.iter().map(|i| Some(i.kind)))),
        ("reason", texts(infos.iter().map(|i| Some(i.reason)))),
        ("started", instants(infos.iter().map(|i| Some(i.started_us)))),
        ("ended", instants(infos.iter().map(|i| Some(i.ended_us)))),
        ("writes", counts(infos.iter().map(|i| Some(i.writes)))),
        ("stalled_us", counts(infos.iter().map(|i| Some(i.stalled_us)))),
    ])
}

fn jobs(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let infos = catalog.store.jobs();
    let [schema, name] = names(catalog.names(), infos.iter().map(|i| i.table));
    rows(vec![
        ("job", counts(infos.iter().map(|i| Some(i.id)))),
        ("kind", texts(infos.iter().map(|i| Some(i.kind)))),
        schema,
        name,
        ("started", instants(infos.iter().map(|i| Some(i.started_us)))),
        ("duration_us", counts(infos.iter().map(|i| i.duration_us))),
        ("reason", texts(infos.iter().map(|i| Some(i.reason)))),
        ("rows_in", counts(infos.iter().map(|i| Some(i.rows_in)))),
        ("rows_out", counts(infos.iter().map(|i| Some(i.rows_out)))),
        ("bytes_in", counts(infos.iter().map(|i| Some(i.bytes_in)))),
        ("bytes_out", counts(infos.iter().map(|i| Some(i.bytes_out)))),
        ("error", texts(infos.iter().map(|i| i.error.as_deref()))),
    ])
}

/// What memory is used for, and its limit.
fn memory(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let memory = catalog.store.memory();
    let mut uses = MemoryUse::ALL.map(|(name, by)| (name, memory.used(by))).to_vec();
    uses.extend([("all", memory.total()), ("limit", memory.limit())]);
    rows(vec![
        ("used_by", texts(uses.iter().map(|(name, _)| Some(*name)))),
        ("bytes", counts(uses.iter().map(|(_, bytes)| Some(*bytes as u64)))),
    ])
}

/// The statements that run, this one included.
fn queries(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let infos = catalog.running.list();
    rows(vec![
        ("query", counts(infos.iter().map(|i| Some(i.id)))),
        ("user_name", texts(infos.iter().map(|i| i.user.as_deref()))),
        ("started", instants(infos.iter().map(|i| Some(i.started_us)))),
        ("rows", counts(infos.iter().map(|i| Some(i.rows)))),
        ("bytes", counts(infos.iter().map(|i| Some(i.bytes)))),
        ("sql", texts(infos.iter().map(|i| Some(&i.sql)))),
    ])
}

/// Rows that this session's readings of files skipped.
fn rejects(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let rejected = catalog.readings().rows();
    let of = |text: &Option<String>| text.clone();
    rows(vec![
        ("reading", counts(rejected.iter().map(|(reading, _)| Some(*reading)))),
        ("file", texts(rejected.iter().map(|(_, row)| Some(row.file.clone())))),
        ("line", counts(rejected.iter().map(|(_, row)| row.line))),
        ("column_name", texts(rejected.iter().map(|(_, row)| of(&row.column)))),
        ("value", texts(rejected.iter().map(|(_, row)| of(&row.value)))),
        ("reason", texts(rejected.iter().map(|(_, row)| Some(row.reason.clone())))),
    ])
}

fn settings(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let settings = catalog.settings.list(catalog.state.config_options());
    rows(vec![
        ("name", texts(settings.iter().map(|s| Some(&s.name)))),
        ("value", texts(settings.iter().map(|s| s.value.as_ref()))),
        ("description", texts(settings.iter().map(|s| Some(&s.description)))),
    ])
}

/// Those who log in where the database is served.
fn users(catalog: &PinnedCatalog) -> Result<Option<Arc<dyn TableProvider>>> {
    let users = &catalog.names().users;
    rows(vec![("user_name", texts(users.values().map(|user| Some(&user.name))))])
}
