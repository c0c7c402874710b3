//! RocksDB through its Rust crate.

use std::path::Path;

use arrow::array::{BinaryBuilder, RecordBatch};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Options, WaitForCompactOptions, WriteOptions,
};

use super::{BUFFER_BYTES, CACHE_BYTES, Engine, KEY_LEN, sum};
use crate::Failure;

/// Rows of a batch of Arrow.
const BATCH_ROWS: usize = 8192;

pub struct RocksDb {
    db: DB,
    synced: WriteOptions,
}

impl RocksDb {
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_hyper_clock_cache(CACHE_BYTES, 0));
        table.set_bloom_filter(10.0, false);
        table.set_format_version(6);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&table);
        options.set_compression_type(DBCompressionType::None);
        options.set_write_buffer_size(BUFFER_BYTES);
        options.set_max_write_buffer_number(4);
        options.increase_parallelism(2);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_memtable_whole_key_filtering(true);
        options.set_memtable_prefix_bloom_ratio(0.02);
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Ok(Self { db: DB::open(&options, folder)?, synced })
    }
}

impl Engine for RocksDb {
    fn put(&self, key: &[u8; KEY_LEN], value: &[u8], synced: bool) -> Result<(), Failure> {
        if synced {
            self.db.put_opt(key, value, &self.synced)?;
        } else {
            self.db.put(key, value)?;
        }
        Ok(())
    }

    fn get(&self, key: &[u8; KEY_LEN]) -> Result<Option<u64>, Failure> {
        Ok(self.db.get_pinned(key)?.map(|value| sum(&value)))
    }

    fn scan(&self, key: &[u8; KEY_LEN], limit: usize) -> Result<(usize, u64), Failure> {
        let (mut rows, mut bytes) = (0, 0);
        let mut iterator = self.db.raw_iterator();
        iterator.seek(key);
        while rows < limit
            && let Some(value) = iterator.value()
        {
            bytes += sum(value);
            rows += 1;
            iterator.next();
        }
        iterator.status()?;
        Ok((rows, bytes))
    }

    fn to_arrow(&self) -> Result<usize, Failure> {
        let mut rows = 0;
        let mut iterator = self.db.raw_iterator();
        iterator.seek_to_first();
        let (mut keys, mut values) = (BinaryBuilder::new(), BinaryBuilder::new());
        while let Some((key, value)) = iterator.item() {
            keys.append_value(key);
            values.append_value(value);
            rows += 1;
            if rows % BATCH_ROWS == 0 {
                std::hint::black_box(batch(&mut keys, &mut values)?);
            }
            iterator.next();
        }
        std::hint::black_box(batch(&mut keys, &mut values)?);
        iterator.status()?;
        Ok(rows)
    }

    fn drain(&self) -> Result<(), Failure> {
        self.db.flush()?;
        self.db.wait_for_compact(&WaitForCompactOptions::default())?;
        Ok(())
    }
}

/// The rows gathered so far.
pub fn batch(keys: &mut BinaryBuilder, values: &mut BinaryBuilder) -> Result<RecordBatch, Failure> {
    Ok(RecordBatch::try_from_iter([
        ("k", std::sync::Arc::new(keys.finish()) as arrow::array::ArrayRef),
        ("v", std::sync::Arc::new(values.finish())),
    ])?)
}
