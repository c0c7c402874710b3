//! Changes of single rows: some columns, counters, compare-and-set.

use std::sync::Arc;

use arrow::datatypes::DataType;
use bytes::Bytes;

use super::{Row, RowLayout, Value};
use crate::catalog::TableDef;
use crate::{Error, Result};

/// A change of the row with one key, worked out when it commits: nobody else's commit comes
/// between what it reads and what it writes.
///
/// ```no_run
/// # fn f(store: &sheaf_core::Store, t: &std::sync::Arc<sheaf_core::catalog::TableDef>)
/// # -> sheaf_core::Result<()> {
/// use sheaf_core::{RowUpdate, Value, Write, WriteBatch};
///
/// // A counter that begins at 1.
/// let page = Value::from("index.html");
/// let hit = RowUpdate::new(t, &[page.clone()])?
///     .add("hits", Value::from(1))?
///     .or_insert(&[page, Value::from(1)])?;
/// store.commit(WriteBatch { writes: vec![Write::Update(hit)], ..WriteBatch::default() })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RowUpdate {
    pub(crate) table: Arc<TableDef>,
    layout: Arc<RowLayout>,
    pub(crate) key: Bytes,
    /// By position among the live columns.
    changes: Vec<(usize, Change)>,
    expected: Vec<(usize, Value<'static>)>,
    /// The packed columns of a new row.
    otherwise: Option<Bytes>,
}

#[derive(Clone, Debug)]
enum Change {
    Set(Value<'static>),
    Add(Value<'static>),
}

impl RowUpdate {
    /// Of the row of `table` with this key: a value for each of its columns, in key order.
    /// Without more, nothing changes; a row that is not there is not an error.
    pub fn new(table: &Arc<TableDef>, key: &[Value<'_>]) -> Result<Self> {
        if !table.is_keyed() {
            return Err(Error::Invalid(format!("table '{}' has no primary key", table.name)));
        }
        let layout = table.row_layout()?;
        Ok(Self {
            key: layout.key_bytes(table, key)?.into(),
            table: Arc::clone(table),
            layout,
            changes: Vec::new(),
            expected: Vec::new(),
            otherwise: None,
        })
    }

    /// Gives a column a value.
    pub fn set(mut self, column: &str, value: Value<'_>) -> Result<Self> {
        self.changes.push((self.changeable(column)?, Change::Set(value.into_owned())));
        Ok(self)
    }

    /// Adds to a column of numbers, or in its units to one of times; NULL stays NULL. An
    /// integer that the column cannot hold fails the commit.
    pub fn add(mut self, column: &str, value: Value<'_>) -> Result<Self> {
        self.changes.push((self.changeable(column)?, Change::Add(value.into_owned())));
        Ok(self)
    }

    /// Changes nothing unless a column has this value now; NULL is a value here. The commit
    /// counts the row as skipped then.
    pub fn expect(mut self, column: &str, value: Value<'_>) -> Result<Self> {
        let at = self.position(column)?;
        let value = match (value, self.table.arrow_schema().field(at).data_type()) {
            // As the column would hold it.
            (Value::Float(value), DataType::Float32) => Value::Float(f64::from(value as f32)),
            (value, _) => value.into_owned(),
        };
        self.expected.push((at, value));
        Ok(self)
    }

    /// Inserts this row, a value for each live column, when there is none with the key.
    pub fn or_insert(mut self, row: &[Value<'_>]) -> Result<Self> {
        let (key, packed) = self.layout.row_bytes(&self.table, row)?;
        if key != self.key {
            return Err(Error::Invalid("the row to insert has another key".into()));
        }
        self.otherwise = Some(packed.into());
        Ok(self)
    }

    /// The packed columns that the row has afterwards; `None` when nothing changes.
    pub(crate) fn apply(&self, row: Option<&Row>) -> Result<Option<Bytes>> {
        let Some(row) = row else { return Ok(self.otherwise.clone()) };
        for (column, expected) in &self.expected {
            if row.value(*column)? != *expected {
                return Ok(None);
            }
        }
        if self.changes.is_empty() {
            return Ok(None);
        }
        let columns = self.table.arrow_schema().fields().len();
        let mut values = (0..columns).map(|i| row.value(i)).collect::<Result<Vec<_>>>()?;
        for (column, change) in &self.changes {
            values[*column] = match change {
                Change::Set(value) => value.clone(),
                Change::Add(value) => self.sum(&values[*column], value, *column)?,
            };
        }
        let (_, packed) = self.layout.row_bytes(&self.table, &values)?;
        Ok(Some(packed.into()))
    }

    fn sum<'v>(&self, a: &Value<'v>, b: &Value<'v>, column: usize) -> Result<Value<'v>> {
        let name = self.table.arrow_schema().field(column).name();
        Ok(match (a, b) {
            (Value::Null, _) | (_, Value::Null) => Value::Null,
            (Value::Int(a), Value::Int(b)) => Value::Int(a.checked_add(*b).ok_or_else(|| {
                Error::Invalid(format!("the sum does not fit into column '{name}'"))
            })?),
            (Value::Float(a), Value::Float(b)) => Value::Float(a + b),
            (Value::Float(a), Value::Int(b)) => Value::Float(a + *b as f64),
            (a, b) => {
                let (a, b) = (a.kind(), b.kind());
                return Err(Error::Invalid(format!(
                    "column '{name}' holds {a}, to which {b} cannot be added"
                )));
            }
        })
    }

    fn changeable(&self, column: &str) -> Result<usize> {
        let at = self.position(column)?;
        if self.table.key_indices().contains(&at) {
            return Err(Error::Invalid(format!("column '{column}' is part of the key")));
        }
        Ok(at)
    }

    fn position(&self, column: &str) -> Result<usize> {
        self.table.live_columns().position(|c| c.name == column).ok_or_else(|| Error::NotFound {
            what: format!("column '{column}' of table '{}'", self.table.name),
        })
    }
}
