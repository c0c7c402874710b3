//! Sheaf: a keyed table with a row store, through its Rust interface without SQL.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;
use futures::TryStreamExt;
use futures::executor::block_on;
use sheaf_core::catalog::{CatalogChange, NewColumn, NewTable, SchemaId, TableDef};
use sheaf_core::{
    Durability, OnConflict, Options, PartScan, RowBuilder, Store, Value, Write, WriteBatch,
};

use super::{BUFFER_BYTES, Engine, KEY_LEN, sum};
use crate::Failure;

pub struct Sheaf {
    store: Store,
    table: Arc<TableDef>,
}

impl Sheaf {
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let options = Options { memtable_bytes: BUFFER_BYTES, ..Options::default() };
        let store = Store::open(folder, options)?;
        let column = |name: &str| NewColumn {
            name: name.into(),
            data_type: DataType::BinaryView,
            nullable: false,
            default_sql: None,
            missing: None,
        };
        let found = |store: &Store| -> Result<Option<Arc<TableDef>>, Failure> {
            let snapshot = store.snapshot()?;
            Ok(snapshot.catalog().tables.values().find(|t| t.name == "kv").cloned())
        };
        if found(&store)?.is_none() {
            store.change_catalog(CatalogChange::CreateTable(NewTable {
                primary_key: vec!["k".into()],
                row_store: true,
                ..NewTable::new(SchemaId(1), "kv", vec![column("k"), column("v")])
            }))?;
        }
        let table = found(&store)?.ok_or("the table is missing")?;
        Ok(Self { store, table })
    }
}

impl Engine for Sheaf {
    fn put(&self, key: &[u8; KEY_LEN], value: &[u8], synced: bool) -> Result<(), Failure> {
        let mut rows = RowBuilder::new(&self.table)?;
        rows.push(&[Value::from(key.as_slice()), Value::from(value)])?;
        let durability = if synced { Durability::Sync } else { Durability::None };
        self.store.commit(WriteBatch {
            writes: vec![Write::Put { rows, on_conflict: OnConflict::Replace }],
            read_at: None,
            durability: Some(durability),
        })?;
        Ok(())
    }

    fn get(&self, key: &[u8; KEY_LEN]) -> Result<Option<u64>, Failure> {
        let table = self.store.snapshot()?.table(self.table.id)?;
        let Some(row) = table.row(&[Value::from(key.as_slice())])? else { return Ok(None) };
        match row.value(1)? {
            Value::Bytes(bytes) => Ok(Some(sum(&bytes))),
            other => Err(format!("a value is {other:?}").into()),
        }
    }

    fn scan(&self, key: &[u8; KEY_LEN], limit: usize) -> Result<(usize, u64), Failure> {
        let table = self.store.snapshot()?.table(self.table.id)?;
        let from = [Value::from(key.as_slice())];
        let (mut rows, mut bytes) = (0, 0);
        for row in table.range(Bound::Included(&from), Bound::Unbounded)?.take(limit) {
            if let Value::Bytes(value) = row?.value(1)? {
                rows += 1;
                bytes += sum(&value);
            }
        }
        Ok((rows, bytes))
    }

    fn to_arrow(&self) -> Result<usize, Failure> {
        let table = self.store.snapshot()?.table(self.table.id)?;
        let mut rows = 0;
        for part in table.parts()? {
            let scan = PartScan { projection: vec![0, 1], ..PartScan::default() };
            let mut stream = part.scan(scan)?;
            while let Some(batch) = block_on(stream.try_next())? {
                rows += batch.num_rows();
            }
        }
        Ok(rows)
    }

    fn drain(&self) -> Result<(), Failure> {
        self.store.flush(None)?;
        self.store.settle()?;
        Ok(())
    }
}
