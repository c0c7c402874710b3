//! fjall through its Rust crate.

use std::path::Path;
use std::time::Duration;

use arrow::array::BinaryBuilder;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{BUFFER_BYTES, CACHE_BYTES, Engine, KEY_LEN, rocksdb, sum};
use crate::Failure;

/// Rows of a batch of Arrow.
const BATCH_ROWS: usize = 8192;

pub struct Fjall {
    db: Database,
    rows: Keyspace,
}

impl Fjall {
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let db = Database::builder(folder)
            .cache_size(CACHE_BYTES as u64)
            .journal_compression(CompressionType::None)
            .worker_threads(2)
            .open()?;
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(BUFFER_BYTES as u64)
                .data_block_compression_policy(CompressionPolicy::disabled())
                .expect_point_read_hits(false)
        };
        let rows = db.keyspace("kv", options)?;
        Ok(Self { db, rows })
    }
}

impl Engine for Fjall {
    fn put(&self, key: &[u8; KEY_LEN], value: &[u8], synced: bool) -> Result<(), Failure> {
        self.rows.insert(key.as_slice(), value)?;
        if synced {
            self.db.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn get(&self, key: &[u8; KEY_LEN]) -> Result<Option<u64>, Failure> {
        Ok(self.rows.get(key)?.map(|value| sum(&value)))
    }

    fn scan(&self, key: &[u8; KEY_LEN], limit: usize) -> Result<(usize, u64), Failure> {
        let (mut rows, mut bytes) = (0, 0);
        for item in self.rows.range(key.as_slice()..).take(limit) {
            bytes += sum(&item.value()?);
            rows += 1;
        }
        Ok((rows, bytes))
    }

    fn to_arrow(&self) -> Result<usize, Failure> {
        let mut rows = 0;
        let (mut keys, mut values) = (BinaryBuilder::new(), BinaryBuilder::new());
        for item in self.rows.iter() {
            let (key, value) = item.into_inner()?;
            keys.append_value(&key);
            values.append_value(&value);
            rows += 1;
            if rows % BATCH_ROWS == 0 {
                std::hint::black_box(rocksdb::batch(&mut keys, &mut values)?);
            }
        }
        std::hint::black_box(rocksdb::batch(&mut keys, &mut values)?);
        Ok(rows)
    }

    fn drain(&self) -> Result<(), Failure> {
        self.rows.rotate_memtable_and_wait()?;
        // Nothing running now and a little later: nothing is left to merge.
        let mut quiet = 0;
        while quiet < 3 {
            let busy = self.db.active_compactions() > 0 || self.db.outstanding_flushes() > 0;
            quiet = if busy { 0 } else { quiet + 1 };
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}
