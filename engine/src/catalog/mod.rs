//! What names mean during one statement: tables, views, system views and files, all
//! at one snapshot.

mod information;
mod rows;
mod system;
mod views;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::session_state::SessionState;
use sheaf_core::catalog::{Catalog, SchemaDef, TableDef, ViewDef};
use sheaf_core::{Columns, Snapshot, Store};

use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Readings};
use crate::relation::Relations;
use crate::scan::SnapshotTable;
use crate::session::{Running, Settings, temporary};
use crate::sql::Resolved;

pub(crate) use views::qualified_text;

/// Schema of the views about the database itself.
const SYSTEM: &str = "sheaf";
/// Schema of the standard's views about tables and columns.
const INFORMATION: &str = "information_schema";
/// Schema of the tables that a statement makes for itself. Users cannot write
/// this name by accident, and nothing is ever created in it.
pub(crate) const SCRATCH: &str = "$statement";
/// Schema of the relations of the program that runs the statement.
const PROGRAM: &str = "$program";
/// A view may stand on views, but not without end.
const VIEW_DEPTH_MAX: usize = 32;

/// The names of one statement.
#[derive(Clone)]
pub(crate) struct PinnedCatalog {
    store: Store,
    snapshot: Snapshot,
    /// Functions and settings for planning views.
    state: Arc<SessionState>,
    settings: Arc<Settings>,
    readings: Readings,
    running: Arc<Running>,
    scratch: HashMap<String, Arc<dyn TableProvider>>,
    relations: Relations,
    view_depth: usize,
}

impl PinnedCatalog {
    pub(crate) fn new(
        store: Store,
        snapshot: Snapshot,
        state: Arc<SessionState>,
        settings: Arc<Settings>,
        readings: Readings,
        running: Arc<Running>,
        relations: Relations,
    ) -> Self {
        Self {
            store,
            snapshot,
            state,
            settings,
            readings,
            running,
            scratch: HashMap::new(),
            relations,
            view_depth: 0,
        }
    }

    /// Rows that readers of files skipped.
    pub(crate) fn readings(&self) -> &Readings {
        &self.readings
    }

    /// The same names, and those of tables that the statement makes for itself.
    pub(crate) fn with_scratch(
        &self,
        tables: impl IntoIterator<Item = (&'static str, Arc<dyn TableProvider>)>,
    ) -> Self {
        let mut catalog = self.clone();
        catalog.scratch.extend(tables.into_iter().map(|(name, table)| (name.to_owned(), table)));
        catalog
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(crate) fn names(&self) -> &Arc<Catalog> {
        self.snapshot.catalog()
    }

    /// The schema of an unqualified name.
    pub(crate) fn schema_of(&self, name: &str) -> &str {
        if self.relations.get(name).is_some() {
            return PROGRAM;
        }
        self.settings.schema_of(name, self.names())
    }

    /// Whether the session may know of a schema: not of others' temporary tables.
    fn shows(&self, schema: &str) -> bool {
        !temporary::is_temporary(schema) || schema == self.settings.temporary
    }

    /// The relation with this name, if there is one.
    pub(crate) async fn find(
        &self,
        schema: &str,
        name: &str,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        match schema {
            SCRATCH => return Ok(self.scratch.get(name).cloned()),
            PROGRAM => return views::relation(self, name).await,
            SYSTEM => return system::table(self, name),
            INFORMATION => return information::table(self, name).await,
            _ => {}
        }
        if let Some(schema) = self.names().schema(schema).filter(|it| self.shows(&it.name)) {
            if let Some(table) = self.names().table(schema.id, name) {
                return Ok(Some(self.scan(table, Columns::Visible)?));
            }
            if let Some(view) = self.names().view(schema.id, name) {
                return views::table(self, view).await.map(Some);
            }
        }
        files::named(&self.state, &self.readings, name).await
    }

    /// The names that a view sees, one level further down.
    fn deeper(&self, view: &str) -> Result<Self> {
        if self.view_depth >= VIEW_DEPTH_MAX {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("view '{view}' stands on views more than {VIEW_DEPTH_MAX} deep"),
            ));
        }
        Ok(Self { view_depth: self.view_depth + 1, ..self.clone() })
    }

    /// A table as DataFusion reads it.
    pub(crate) fn scan(
        &self,
        table: &TableDef,
        columns: Columns,
    ) -> Result<Arc<dyn TableProvider>> {
        let snapshot = self.snapshot.table(table.id)?.with_columns(columns);
        let schema =
            self.names().schemas.get(&table.schema).map_or("", |schema| schema.name.as_str());
        Ok(Arc::new(SnapshotTable::new(format!("{schema}.{}", table.name), &snapshot)?))
    }

    /// The stored table with this name: what can be written to.
    pub(crate) fn stored_table(&self, name: &Resolved) -> Result<&Arc<TableDef>> {
        if name.schema == PROGRAM {
            return Err(Error::new(
                ErrorKind::InvalidStatement,
                format!("'{}' is a relation of the program, not a table", name.name),
            ));
        }
        let schema = self.schema(&name.schema)?;
        if let Some(table) = self.names().table(schema.id, &name.name) {
            return Ok(table);
        }
        if self.names().view(schema.id, &name.name).is_some() {
            return Err(Error::new(
                ErrorKind::InvalidStatement,
                format!("'{}' is a view, not a table", name.name),
            ));
        }
        Err(self.table_not_found(&name.schema, &name.name))
    }

    /// The view with this name.
    pub(crate) fn stored_view(&self, name: &Resolved) -> Result<&ViewDef> {
        let schema = self.schema(&name.schema)?;
        if let Some(view) = self.names().view(schema.id, &name.name) {
            return Ok(view);
        }
        if self.names().table(schema.id, &name.name).is_some() {
            return Err(Error::new(
                ErrorKind::InvalidStatement,
                format!("'{}' is a table, not a view", name.name),
            ));
        }
        let views = self.names().views.values().filter(|v| v.schema == schema.id);
        Err(Error::new(ErrorKind::UndefinedTable, format!("view '{}' not found", name.name))
            .suggest(&name.name, views.map(|v| v.name.as_str())))
    }

    /// The schema with this name.
    pub(crate) fn schema(&self, name: &str) -> Result<&SchemaDef> {
        if matches!(name, SYSTEM | INFORMATION) {
            return Err(Error::new(
                ErrorKind::InvalidStatement,
                format!("schema '{name}' belongs to the system and cannot be changed"),
            ));
        }
        let schema = self.names().schema(name).filter(|schema| self.shows(&schema.name));
        schema.ok_or_else(|| self.schema_not_found(name))
    }

    fn schema_not_found(&self, name: &str) -> Error {
        Error::new(ErrorKind::UndefinedSchema, format!("schema '{name}' not found"))
            .suggest(name, self.schemas().map(|s| s.name.as_str()).chain([SYSTEM, INFORMATION]))
    }

    /// The error for a relation that is not there, with the nearest name.
    pub(crate) fn table_not_found(&self, schema: &str, name: &str) -> Error {
        let relations: Vec<String> = match schema {
            SYSTEM => system::NAMES.iter().map(|n| (*n).to_owned()).collect(),
            INFORMATION => information::NAMES.iter().map(|n| (*n).to_owned()).collect(),
            _ => match self.schemas().find(|known| known.name == schema) {
                Some(def) => self.relations_of(def).map(str::to_owned).collect(),
                None => return self.schema_not_found(schema),
            },
        };
        if relations.is_empty() {
            // Nothing to suggest here: perhaps another schema has it.
            let elsewhere =
                self.schemas().find(|schema| self.relations_of(schema).any(|r| r == name));
            let error = Error::new(ErrorKind::UndefinedTable, format!("table '{name}' not found"));
            return match elsewhere {
                Some(other) => error.hint(format!("did you mean '{}.{name}'?", other.name)),
                None => error,
            };
        }
        Error::new(ErrorKind::UndefinedTable, format!("table '{name}' not found"))
            .suggest(name, relations.iter().map(String::as_str))
    }

    /// The schemas that the session may know of.
    fn schemas(&self) -> impl Iterator<Item = &SchemaDef> {
        self.names().schemas.values().filter(|schema| self.shows(&schema.name))
    }

    fn relations_of(&self, schema: &SchemaDef) -> impl Iterator<Item = &str> {
        let id = schema.id;
        let tables =
            self.names().tables.values().filter(move |t| t.schema == id).map(|t| t.name.as_str());
        let views =
            self.names().views.values().filter(move |v| v.schema == id).map(|v| v.name.as_str());
        tables.chain(views)
    }
}
