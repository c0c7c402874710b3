//! The catalog: schemas, tables, views, users, by identity.

mod apply;
pub mod arrow_codec;
mod change;
mod ids;
mod table;
mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use change::{CatalogChange, NewColumn, NewTable};
pub use ids::{ColumnId, PartitionSpecId, SchemaId, TableId, UserId, ViewId};
pub use table::{ColumnDef, ColumnOrder, TableDef, TimeToLive};
pub use user::{PasswordHash, UserDef};

/// The schema that exists from the start and that unqualified names mean.
pub const DEFAULT_SCHEMA: &str = "public";

/// A namespace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SchemaDef {
    /// Identity.
    pub id: SchemaId,
    /// Current name.
    pub name: String,
}

/// A view: a name for a query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ViewDef {
    /// Identity.
    pub id: ViewId,
    /// The schema it lives in.
    pub schema: SchemaId,
    /// Current name.
    pub name: String,
    /// The query's SQL text.
    pub sql: String,
}

/// Everything that has a name, at one version of the database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Catalog {
    /// Namespaces; [`DEFAULT_SCHEMA`] is made with the database.
    pub schemas: BTreeMap<SchemaId, SchemaDef>,
    /// Tables.
    pub tables: BTreeMap<TableId, Arc<TableDef>>,
    /// Views.
    pub views: BTreeMap<ViewId, ViewDef>,
    /// Those who log in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<UserId, UserDef>,
    /// The next identity of any kind.
    pub next_id: u32,
}

impl Default for Catalog {
    fn default() -> Self {
        let id = SchemaId(1);
        let public = SchemaDef { id, name: DEFAULT_SCHEMA.to_owned() };
        Self {
            schemas: BTreeMap::from([(id, public)]),
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            users: BTreeMap::new(),
            next_id: 2,
        }
    }
}

impl Catalog {
    /// The schema with this name.
    pub fn schema(&self, name: &str) -> Option<&SchemaDef> {
        self.schemas.values().find(|s| s.name == name)
    }

    /// The table with this name in a schema.
    pub fn table(&self, schema: SchemaId, name: &str) -> Option<&Arc<TableDef>> {
        self.tables.values().find(|t| t.schema == schema && t.name == name)
    }

    /// The view with this name in a schema.
    pub fn view(&self, schema: SchemaId, name: &str) -> Option<&ViewDef> {
        self.views.values().find(|v| v.schema == schema && v.name == name)
    }

    /// The user with this name.
    pub fn user(&self, name: &str) -> Option<&UserDef> {
        self.users.values().find(|u| u.name == name)
    }
}
