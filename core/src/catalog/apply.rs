//! How a change becomes the next catalog: all checks of DDL that need no SQL.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};

use super::arrow_codec::OneValue;
use super::{
    Catalog, CatalogChange, ColumnDef, ColumnId, ColumnOrder, NewColumn, NewTable, PartitionSpecId,
    SchemaDef, SchemaId, TableDef, TableId, TimeToLive, UserDef, UserId, ViewDef, ViewId,
};
use crate::partition::PartitionSpec;
use crate::row;
use crate::{Error, Result};

/// The next catalog, and what of the old one must go with it.
#[derive(Debug)]
pub(crate) struct CatalogDelta {
    pub catalog: Catalog,
    /// Tables that exist no longer.
    pub dropped: Vec<TableId>,
    /// A table whose definition is new or changed.
    pub defined: Option<TableId>,
    /// A table that loses its rows.
    pub truncated: Option<TableId>,
}

impl Catalog {
    /// Applies `change`; the catalog itself stays as it is.
    pub(crate) fn apply(&self, change: &CatalogChange) -> Result<CatalogDelta> {
        let mut delta = CatalogDelta {
            catalog: self.clone(),
            dropped: Vec::new(),
            defined: None,
            truncated: None,
        };
        let next = &mut delta.catalog;
        match change {
            CatalogChange::CreateSchema { name } => {
                if next.schema(name).is_some() {
                    return Err(exists("schema", name));
                }
                let id = SchemaId(next.take_id());
                next.schemas.insert(id, SchemaDef { id, name: name.clone() });
            }
            CatalogChange::DropSchema { schema, cascade } => {
                let def = next.schemas.remove(schema).ok_or_else(|| missing("schema"))?;
                let tables: Vec<TableId> =
                    next.tables.values().filter(|t| t.schema == *schema).map(|t| t.id).collect();
                let views: Vec<ViewId> =
                    next.views.values().filter(|v| v.schema == *schema).map(|v| v.id).collect();
                let empty = tables.is_empty() && views.is_empty();
                if !(empty || *cascade) {
                    return Err(Error::Invalid(format!(
                        "schema '{}' is not empty: drop what is in it first, or use CASCADE",
                        def.name
                    )));
                }
                for id in &tables {
                    next.tables.remove(id);
                }
                for id in &views {
                    next.views.remove(id);
                }
                delta.dropped = tables;
            }
            CatalogChange::CreateTable(table) => {
                let def = next.new_table(table)?;
                delta.defined = Some(def.id);
                next.tables.insert(def.id, Arc::new(def));
            }
            CatalogChange::DropTable(id) => {
                next.tables.remove(id).ok_or_else(|| missing("table"))?;
                delta.dropped.push(*id);
            }
            CatalogChange::RenameTable { table, name } => {
                let schema = next.get(*table)?.schema;
                next.check_free(schema, name)?;
                next.redefine(*table, |def| {
                    def.name.clone_from(name);
                    Ok(())
                })?;
                delta.defined = Some(*table);
            }
            CatalogChange::AddColumn { table, column } => {
                next.redefine(*table, |def| add_column(def, column))?;
                delta.defined = Some(*table);
            }
            CatalogChange::DropColumn { table, column } => {
                next.redefine(*table, |def| drop_column(def, *column))?;
                delta.defined = Some(*table);
            }
            CatalogChange::RenameColumn { table, column, name } => {
                next.redefine(*table, |def| {
                    if def.live_columns().any(|c| c.name == *name) {
                        return Err(exists("column", name));
                    }
                    live_column(def, *column)?.name.clone_from(name);
                    Ok(())
                })?;
                delta.defined = Some(*table);
            }
            CatalogChange::SetDefault { table, column, default_sql } => {
                next.redefine(*table, |def| {
                    live_column(def, *column)?.default_sql.clone_from(default_sql);
                    Ok(())
                })?;
                delta.defined = Some(*table);
            }
            CatalogChange::SetTimeToLive { table, ttl } => {
                next.redefine(*table, |def| {
                    if let Some(ttl) = ttl {
                        check_time(live_column(def, ttl.column)?, "time to live")?;
                    }
                    def.ttl.clone_from(ttl);
                    Ok(())
                })?;
                delta.defined = Some(*table);
            }
            CatalogChange::SetDurability { table, durability } => {
                next.redefine(*table, |def| {
                    def.durability = *durability;
                    Ok(())
                })?;
                delta.defined = Some(*table);
            }
            CatalogChange::Truncate(id) => {
                next.get(*id)?;
                delta.truncated = Some(*id);
            }
            CatalogChange::CreateView { schema, name, sql, replace } => {
                let existing = next.view(*schema, name).map(|v| v.id);
                match existing {
                    Some(id) if *replace => {
                        next.views.remove(&id);
                    }
                    _ => next.check_free(*schema, name)?,
                }
                let id = ViewId(next.take_id());
                let view = ViewDef { id, schema: *schema, name: name.clone(), sql: sql.clone() };
                next.views.insert(id, view);
            }
            CatalogChange::DropView(id) => {
                next.views.remove(id).ok_or_else(|| missing("view"))?;
            }
            CatalogChange::CreateUser { name, password } => {
                if next.user(name).is_some() {
                    return Err(exists("user", name));
                }
                let id = UserId(next.take_id());
                let user = UserDef { id, name: name.clone(), password: password.clone() };
                next.users.insert(id, user);
            }
            CatalogChange::SetPassword { user, password } => {
                let def = next.users.get_mut(user).ok_or_else(|| missing("user"))?;
                def.password = password.clone();
            }
            CatalogChange::DropUser(id) => {
                next.users.remove(id).ok_or_else(|| missing("user"))?;
            }
        }
        Ok(delta)
    }

    /// The definition that `table` would get, with the identities it would get.
    pub(crate) fn new_table(&mut self, table: &NewTable) -> Result<TableDef> {
        self.check_free(table.schema, &table.name)?;
        if table.columns.is_empty() {
            return Err(Error::Invalid(format!("table '{}' needs a column", table.name)));
        }
        let mut names = HashSet::new();
        for column in &table.columns {
            if !names.insert(column.name.as_str()) {
                return Err(exists("column", &column.name));
            }
        }
        let mut columns = Vec::with_capacity(table.columns.len());
        for (i, column) in table.columns.iter().enumerate() {
            columns.push(ColumnDef {
                id: ColumnId(i as u32 + 1),
                name: column.name.clone(),
                data_type: column.data_type.clone(),
                // A key is never NULL, as in SQL.
                nullable: column.nullable && !table.primary_key.contains(&column.name),
                default_sql: column.default_sql.clone(),
                missing: None,
                added: 1,
                dropped: None,
            });
        }
        let find = |name: &String| {
            columns.iter().find(|c| c.name == *name).ok_or_else(|| Error::NotFound {
                what: format!("column '{name}' of table '{}'", table.name),
            })
        };
        let primary_key = ids_of(&table.primary_key, find)?;
        let cluster_by = ids_of(&table.cluster_by, find)?;
        let key_order = orders_of(without_nulls(&table.key_order), &primary_key)?;
        let cluster_order = orders_of(table.cluster_order.clone(), &cluster_by)?;
        for id in primary_key.iter().chain(&cluster_by) {
            let column = &columns[id.0 as usize - 1];
            row::check_type(&column.name, &column.data_type)?;
        }
        let partition = match &table.partition {
            Some((name, width)) => {
                let column = find(name)?;
                check_time(column, "partition")?;
                if !primary_key.is_empty() && !primary_key.contains(&column.id) {
                    return Err(Error::Invalid(format!(
                        "the primary key of a partitioned table must contain the partition \
                         column '{name}'"
                    )));
                }
                Some(PartitionSpec { id: PartitionSpecId(1), column: column.id, width: *width })
            }
            None => None,
        };
        let ttl = match &table.ttl {
            Some((name, after)) => {
                let column = find(name)?;
                check_time(column, "time to live")?;
                Some(TimeToLive { column: column.id, after: *after })
            }
            None => None,
        };
        let def = TableDef {
            id: TableId(self.take_id()),
            schema: table.schema,
            name: table.name.clone(),
            version: 1,
            columns,
            primary_key,
            key_order,
            partition,
            cluster_by,
            cluster_order,
            encoding: table.encoding,
            row_store: table.row_store,
            lazy_upserts: table.lazy_upserts,
            ttl,
            durability: table.durability,
            options: table.options.clone(),
            derived: Default::default(),
        };
        check_storable(&def)?;
        Ok(def)
    }

    /// The next identity.
    pub(crate) fn take_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn get(&self, id: TableId) -> Result<&Arc<TableDef>> {
        self.tables.get(&id).ok_or_else(|| missing("table"))
    }

    fn check_free(&self, schema: SchemaId, name: &str) -> Result<()> {
        if !self.schemas.contains_key(&schema) {
            return Err(missing("schema"));
        }
        if self.table(schema, name).is_some() {
            return Err(exists("table", name));
        }
        if self.view(schema, name).is_some() {
            return Err(exists("view", name));
        }
        Ok(())
    }

    fn redefine(
        &mut self,
        id: TableId,
        change: impl FnOnce(&mut TableDef) -> Result<()>,
    ) -> Result<()> {
        let mut def = TableDef::clone(self.get(id)?);
        def.version += 1;
        def.derived = Default::default();
        change(&mut def)?;
        self.tables.insert(id, Arc::new(def));
        Ok(())
    }
}

fn ids_of<'a>(
    names: &[String],
    find: impl Fn(&String) -> Result<&'a ColumnDef>,
) -> Result<Vec<ColumnId>> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let id = find(name)?.id;
        if ids.contains(&id) {
            return Err(Error::Invalid(format!("column '{name}' is named twice")));
        }
        ids.push(id);
    }
    Ok(ids)
}

/// Columns of a key have no NULLs, wherever they would be.
fn without_nulls(orders: &[ColumnOrder]) -> Vec<ColumnOrder> {
    let directions = orders.iter().map(|order| order.descending);
    directions.map(|descending| ColumnOrder { descending, ..ColumnOrder::default() }).collect()
}

/// What a definition says of the order of `columns`: nothing where it is the usual one.
fn orders_of(orders: Vec<ColumnOrder>, columns: &[ColumnId]) -> Result<Vec<ColumnOrder>> {
    if orders.iter().all(|order| *order == ColumnOrder::default()) {
        return Ok(Vec::new());
    }
    if orders.len() != columns.len() {
        return Err(Error::Invalid(format!(
            "{} columns have {} orders",
            columns.len(),
            orders.len()
        )));
    }
    Ok(orders)
}

fn add_column(def: &mut TableDef, column: &NewColumn) -> Result<()> {
    if def.live_columns().any(|c| c.name == column.name) {
        return Err(exists("column", &column.name));
    }
    if !column.nullable && column.missing.is_none() {
        return Err(Error::Invalid(format!(
            "column '{}' is NOT NULL, so existing rows need a DEFAULT",
            column.name
        )));
    }
    let id = def.columns.iter().map(|c| c.id.0).max().unwrap_or(0) + 1;
    def.columns.push(ColumnDef {
        id: ColumnId(id),
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        nullable: column.nullable,
        default_sql: column.default_sql.clone(),
        missing: column.missing.clone().map(OneValue),
        added: def.version,
        dropped: None,
    });
    check_storable(def)
}

fn drop_column(def: &mut TableDef, id: ColumnId) -> Result<()> {
    let role = if def.primary_key.contains(&id) {
        Some("the primary key")
    } else if def.partition.as_ref().is_some_and(|p| p.column == id) {
        Some("the partitioning")
    } else if def.cluster_by.contains(&id) {
        Some("the clustering")
    } else if def.ttl.as_ref().is_some_and(|ttl| ttl.column == id) {
        Some("the time to live")
    } else {
        None
    };
    let version = def.version;
    let last = def.live_columns().count() == 1;
    let column = live_column(def, id)?;
    if let Some(role) = role {
        return Err(Error::Invalid(format!(
            "column '{}' is part of {role} and cannot be dropped",
            column.name
        )));
    }
    if last {
        return Err(Error::Invalid("a table keeps at least one column".into()));
    }
    column.dropped = Some(version);
    Ok(())
}

fn live_column(def: &mut TableDef, id: ColumnId) -> Result<&mut ColumnDef> {
    def.columns
        .iter_mut()
        .find(|c| c.id == id && c.dropped.is_none())
        .ok_or_else(|| missing("column"))
}

fn check_time(column: &ColumnDef, role: &str) -> Result<()> {
    match column.data_type {
        DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Date32 => Ok(()),
        _ => Err(Error::Invalid(format!(
            "{role} column '{}' must be a TIMESTAMP, TIMESTAMPTZ or DATE",
            column.name
        ))),
    }
}

fn check_storable(def: &TableDef) -> Result<()> {
    sheaf_formats::segment::format(def.encoding).check_schema(def.arrow_schema())?;
    if def.is_keyed() {
        row::check_schema(def.arrow_schema())?;
    }
    Ok(())
}

fn exists(kind: &str, name: &str) -> Error {
    Error::AlreadyExists { what: format!("{kind} '{name}'") }
}

fn missing(kind: &str) -> Error {
    Error::NotFound { what: kind.to_owned() }
}
