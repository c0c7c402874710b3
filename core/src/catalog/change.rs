//! Changes of the catalog: what DDL asks of the store.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use sheaf_formats::segment::Encoding;

use super::ids::{ColumnId, SchemaId, TableId, UserId, ViewId};
use super::table::{ColumnOrder, TimeToLive};
use super::user::PasswordHash;
use crate::partition::BucketWidth;
use crate::write::Durability;

/// A column to be created.
#[derive(Clone, Debug)]
pub struct NewColumn {
    /// Name, already folded.
    pub name: String,
    /// Exact Arrow type.
    pub data_type: DataType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// SQL text of the default for new rows.
    pub default_sql: Option<String>,
    /// One value that existing rows get (ADD COLUMN only); `None` is NULL.
    pub missing: Option<ArrayRef>,
}

/// A table to be created; columns are named because they have no identity yet.
#[derive(Clone, Debug)]
pub struct NewTable {
    /// The schema it goes into.
    pub schema: SchemaId,
    /// Name, already folded.
    pub name: String,
    /// Columns in order.
    pub columns: Vec<NewColumn>,
    /// Names of the primary key's columns; empty for an append table.
    pub primary_key: Vec<String>,
    /// The order of each of them; all ascend when it is empty.
    pub key_order: Vec<ColumnOrder>,
    /// Time column and bucket width.
    pub partition: Option<(String, BucketWidth)>,
    /// Names of the clustering columns; empty means the primary key.
    pub cluster_by: Vec<String>,
    /// The order of each of them; all ascend, NULLs first, when it is empty.
    pub cluster_order: Vec<ColumnOrder>,
    /// Encoding of the segments.
    pub encoding: Encoding,
    /// Whether a keyed table keeps whole rows beside its columns, for point reads.
    pub row_store: bool,
    /// Whether upserts that replace whatever is there look for it later, when a scan, a
    /// range, a flush or a merge needs to know. [`crate::Commit::replaced`] is then what
    /// memtables knew.
    pub lazy_upserts: bool,
    /// Column with a time, and how long after it rows expire; without, at that time.
    pub ttl: Option<(String, Option<BucketWidth>)>,
    /// When commits to it are acknowledged; the store's default without.
    pub durability: Option<Durability>,
    /// Options for the engine.
    pub options: BTreeMap<String, String>,
}

impl NewTable {
    /// A table without a key, and with what is usual for the rest.
    pub fn new(schema: SchemaId, name: impl Into<String>, columns: Vec<NewColumn>) -> Self {
        Self {
            schema,
            name: name.into(),
            columns,
            primary_key: Vec::new(),
            key_order: Vec::new(),
            partition: None,
            cluster_by: Vec::new(),
            cluster_order: Vec::new(),
            encoding: Encoding::default(),
            row_store: false,
            lazy_upserts: false,
            ttl: None,
            durability: None,
            options: BTreeMap::new(),
        }
    }
}

/// One atomic change of the catalog. Each fails with a clear error when its
/// object is missing or already there; `IF [NOT] EXISTS` is the caller's.
#[derive(Clone, Debug)]
pub enum CatalogChange {
    /// A new namespace.
    CreateSchema {
        /// Name, already folded.
        name: String,
    },
    /// Drops an empty namespace, or with `cascade` everything in it.
    DropSchema {
        /// The schema.
        schema: SchemaId,
        /// Drop what it holds too.
        cascade: bool,
    },
    /// A new table.
    CreateTable(NewTable),
    /// Drops a table and its rows.
    DropTable(TableId),
    /// Renames a table.
    RenameTable {
        /// The table.
        table: TableId,
        /// New name, already folded.
        name: String,
    },
    /// Adds a column at the end.
    AddColumn {
        /// The table.
        table: TableId,
        /// The column.
        column: NewColumn,
    },
    /// Drops a column that is not part of key, partition or clustering.
    DropColumn {
        /// The table.
        table: TableId,
        /// The column.
        column: ColumnId,
    },
    /// Renames a column.
    RenameColumn {
        /// The table.
        table: TableId,
        /// The column.
        column: ColumnId,
        /// New name, already folded.
        name: String,
    },
    /// Sets or clears the default for new rows.
    SetDefault {
        /// The table.
        table: TableId,
        /// The column.
        column: ColumnId,
        /// SQL text, or `None` to clear it.
        default_sql: Option<String>,
    },
    /// Sets or clears when rows expire.
    SetTimeToLive {
        /// The table.
        table: TableId,
        /// Column and time after it, or `None` when rows live for ever.
        ttl: Option<TimeToLive>,
    },
    /// Sets or clears when commits to a table are acknowledged.
    SetDurability {
        /// The table.
        table: TableId,
        /// `None` is the store's default.
        durability: Option<Durability>,
    },
    /// Removes every row.
    Truncate(TableId),
    /// A new view; with `replace`, in place of one of the same name.
    CreateView {
        /// The schema it goes into.
        schema: SchemaId,
        /// Name, already folded.
        name: String,
        /// The query's SQL text.
        sql: String,
        /// Take the place of an existing view.
        replace: bool,
    },
    /// Drops a view.
    DropView(ViewId),
    /// A new user.
    CreateUser {
        /// Name, already folded.
        name: String,
        /// What the password is checked with.
        password: PasswordHash,
    },
    /// Changes what a password is checked with.
    SetPassword {
        /// The user.
        user: UserId,
        /// The new one's.
        password: PasswordHash,
    },
    /// Drops a user.
    DropUser(UserId),
}
