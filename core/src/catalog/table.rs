//! Tables as the catalog knows them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::row::SortField;
use serde::{Deserialize, Serialize};
use sheaf_formats::segment::Encoding;

use super::arrow_codec;
use super::ids::{ColumnId, SchemaId, TableId};
use crate::Result;
use crate::partition::{BucketWidth, PartitionSpec};
use crate::row::{KeyCodec, RowCodec, RowLayout, Value, one_value};
use crate::write::Durability;

/// A column. Dropped columns stay, because older files and log records hold them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ColumnDef {
    /// Identity within the table.
    pub id: ColumnId,
    /// Current name.
    pub name: String,
    /// Exact Arrow type of the values.
    #[serde(with = "arrow_codec::data_type")]
    pub data_type: DataType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// SQL text of the default for new rows; evaluated by the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_sql: Option<String>,
    /// Value of this column in rows written before it existed: one element, frozen
    /// when the column was added. `None` means NULL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<arrow_codec::OneValue>,
    /// Table version that added the column.
    pub added: u32,
    /// Table version that dropped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u32>,
}

/// When rows expire. A row whose column is NULL lives for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeToLive {
    /// The column with a time.
    pub column: ColumnId,
    /// How long after that time; without it, the time itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<BucketWidth>,
}

/// How the values of a column are ordered in a key or inside segments.
///
/// The default is what tables of earlier versions have: ascending, NULLs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnOrder {
    /// From the greatest value to the least.
    pub descending: bool,
    /// NULLs before all values, whatever the direction. Columns of a key have none.
    pub nulls_first: bool,
}

impl Default for ColumnOrder {
    fn default() -> Self {
        Self { descending: false, nulls_first: true }
    }
}

impl ColumnOrder {
    /// The order of the column's values in `arrow-row`'s encoding.
    pub(crate) fn field(self, data_type: DataType) -> SortField {
        let Self { descending, nulls_first } = self;
        SortField::new_with_options(data_type, SortOptions { descending, nulls_first })
    }
}

/// A table. The definition is immutable: a change makes a new one with the next
/// `version`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableDef {
    /// Identity.
    pub id: TableId,
    /// The schema it lives in.
    pub schema: SchemaId,
    /// Current name.
    pub name: String,
    /// Counts the changes of this definition, from 1.
    pub version: u32,
    /// All columns that ever were, in order of creation.
    pub columns: Vec<ColumnDef>,
    /// Columns of the primary key, in order; empty for an append table.
    pub primary_key: Vec<ColumnId>,
    /// The order of each of them; all ascend when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_order: Vec<ColumnOrder>,
    /// How rows are divided into time buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<PartitionSpec>,
    /// Sort order inside a segment; the primary key when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_by: Vec<ColumnId>,
    /// The order of each of them; all ascend, NULLs first, when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_order: Vec<ColumnOrder>,
    /// Encoding of the segments.
    pub encoding: Encoding,
    /// Whether a keyed table keeps whole rows beside the columns of its segments, for
    /// point reads and ranges of keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub row_store: bool,
    /// Whether upserts of a keyed table leave the rows that they replace to be found later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lazy_upserts: bool,
    /// When rows expire, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TimeToLive>,
    /// When commits to this table are acknowledged; the store's default without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// Options given at creation that the engine interprets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// To be made anew when anything above changes.
    #[serde(skip)]
    pub(crate) derived: Derived,
}

/// What follows from a definition, made when it is first asked for: much more work
/// than to encode one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Derived {
    arrow: OnceLock<SchemaRef>,
    key_codec: OnceLock<Arc<KeyCodec>>,
    row_codec: OnceLock<Arc<RowCodec>>,
    row_layout: OnceLock<Arc<RowLayout>>,
}

impl ColumnDef {
    /// What rows from before the column say.
    pub(crate) fn missing_value(&self) -> Result<Value<'static>> {
        self.missing.as_ref().map_or(Ok(Value::Null), |value| one_value(&value.0))
    }
}

impl TableDef {
    /// Columns that a query sees, in order.
    pub fn live_columns(&self) -> impl Iterator<Item = &ColumnDef> {
        self.columns.iter().filter(|c| c.dropped.is_none())
    }

    /// Columns as they were at `version` of this table.
    pub fn columns_at(&self, version: u32) -> impl Iterator<Item = &ColumnDef> {
        self.columns
            .iter()
            .filter(move |c| c.added <= version && c.dropped.is_none_or(|d| version < d))
    }

    /// The Arrow schema of [`Self::live_columns`]: what writers hand in and what
    /// queries see.
    pub fn arrow_schema(&self) -> &SchemaRef {
        self.derived.arrow.get_or_init(|| {
            Arc::new(Schema::new(
                self.live_columns()
                    .map(|c| Field::new(&c.name, c.data_type.clone(), c.nullable))
                    .collect::<Vec<_>>(),
            ))
        })
    }

    /// The Arrow schema of [`Self::columns_at`].
    pub(crate) fn arrow_schema_at(&self, version: u32) -> SchemaRef {
        let field = |c: &ColumnDef| Field::new(&c.name, c.data_type.clone(), c.nullable);
        Arc::new(Schema::new(self.columns_at(version).map(field).collect::<Vec<_>>()))
    }

    /// Encodes the keys of this table.
    pub(crate) fn key_codec(&self) -> Result<Arc<KeyCodec>> {
        once(&self.derived.key_codec, || {
            KeyCodec::new(self.arrow_schema(), self.key_indices(), &self.key_order)
        })
    }

    /// Encodes rows of [`Self::arrow_schema`].
    pub(crate) fn row_codec(&self) -> Result<Arc<RowCodec>> {
        once(&self.derived.row_codec, || RowCodec::new(Arc::clone(self.arrow_schema())))
    }

    /// Encodes rows of a keyed table, [`Self::arrow_schema`].
    pub(crate) fn row_layout(&self) -> Result<Arc<RowLayout>> {
        once(&self.derived.row_layout, || {
            RowLayout::new(Arc::clone(self.arrow_schema()), self.key_codec()?)
        })
    }

    /// Encodes rows of a keyed table as they were at `version`.
    pub(crate) fn row_layout_at(&self, version: u32) -> Result<Arc<RowLayout>> {
        if version == self.version {
            return self.row_layout();
        }
        let schema = self.arrow_schema_at(version);
        let position = |id: &ColumnId| self.columns_at(version).position(|c| c.id == *id);
        let indices = self.primary_key.iter().filter_map(position).collect();
        let key = KeyCodec::new(&schema, indices, &self.key_order)?;
        Ok(Arc::new(RowLayout::new(schema, Arc::new(key))?))
    }

    /// The column with this identity.
    pub fn column(&self, id: ColumnId) -> Option<&ColumnDef> {
        self.columns.iter().find(|c| c.id == id)
    }

    /// Position of a column among the live ones.
    pub fn live_index(&self, id: ColumnId) -> Option<usize> {
        self.live_columns().position(|c| c.id == id)
    }

    /// Positions of the primary key's columns among the live ones, in key order.
    pub fn key_indices(&self) -> Vec<usize> {
        self.primary_key.iter().filter_map(|id| self.live_index(*id)).collect()
    }

    /// True when rows are found, replaced and deleted by primary key.
    pub fn is_keyed(&self) -> bool {
        !self.primary_key.is_empty()
    }

    /// Columns of the primary key with their orders.
    pub fn key_columns(&self) -> impl Iterator<Item = (ColumnId, ColumnOrder)> {
        with_orders(&self.primary_key, &self.key_order)
    }

    /// Columns of the clustering with their orders.
    pub fn cluster_columns(&self) -> impl Iterator<Item = (ColumnId, ColumnOrder)> {
        with_orders(&self.cluster_by, &self.cluster_order)
    }

    /// Columns that segments are sorted by: the clustering, or else the primary key.
    pub(crate) fn sort_columns(&self) -> impl Iterator<Item = (ColumnId, ColumnOrder)> {
        let (columns, orders) = match self.cluster_by.is_empty() {
            true => (&self.primary_key, &self.key_order),
            false => (&self.cluster_by, &self.cluster_order),
        };
        with_orders(columns, orders)
    }

    /// Whether segments are sorted by key. Floats sort by their bits there, and equal ones
    /// are one key.
    pub(crate) fn in_key_order(&self) -> bool {
        let mut sorted = self.sort_columns();
        self.key_columns().all(|(id, order)| {
            let floating = self.column(id).is_some_and(|c| c.data_type.is_floating());
            let same =
                |(other, by): (_, ColumnOrder)| other == id && by.descending == order.descending;
            !floating && sorted.next().is_some_and(same)
        })
    }

    /// Whether segments are sorted by anything.
    pub(crate) fn is_clustered(&self) -> bool {
        self.is_keyed() || !self.cluster_by.is_empty()
    }
}

fn with_orders(
    columns: &[ColumnId],
    orders: &[ColumnOrder],
) -> impl Iterator<Item = (ColumnId, ColumnOrder)> {
    let orders = orders.iter().copied().chain(std::iter::repeat(ColumnOrder::default()));
    columns.iter().copied().zip(orders)
}

fn once<T>(cell: &OnceLock<Arc<T>>, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
    if let Some(made) = cell.get() {
        return Ok(Arc::clone(made));
    }
    let made = Arc::new(make()?);
    Ok(Arc::clone(cell.get_or_init(|| made)))
}
