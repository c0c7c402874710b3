//! Rows in files by a hash of what they are joined by: what is equal is in the same part.

use std::io::BufWriter;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{
    BatchCoalescer, filter_record_batch, is_not_null, take_record_batch,
};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SpillFile, SpillWriter, TaskContext};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_expr_common::utils::evaluate_expressions_to_arrays;
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::SpillMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};
use sheaf_core::{batch_bytes, compact_views};

/// Parts that rows go into at a time.
pub(super) const PARTS: usize = 16;

/// Bytes of a batch in a file, more or less: one of each part is in memory while it fills.
const BATCH_BYTES: Range<usize> = 8 << 10..256 << 10;

/// The part of what queries may hold that the batches of one side take, one over this.
const FILLING: usize = 16;

/// What hashes are begun with: an odd number without a pattern.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Rows of a batch in a file at most.
const BATCH_ROWS: usize = 8192;

/// One side of a join: its columns, and what it is joined by.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) schema: SchemaRef,
    pub(super) keys: Vec<PhysicalExprRef>,
}

/// Where files are made, and who counts them.
#[derive(Clone)]
pub(super) struct Spills {
    pub(super) context: Arc<TaskContext>,
    pub(super) metrics: SpillMetrics,
}

/// Rows of one part, in the order in which they came.
#[derive(Clone)]
pub(super) struct Part {
    files: Vec<Arc<dyn SpillFile>>,
    rows: usize,
    has_null_keys: bool,
}

impl Part {
    /// One without rows.
    pub(super) fn empty() -> Self {
        Self { files: Vec::new(), rows: 0, has_null_keys: false }
    }

    /// Rows in it.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes what another has, too.
    pub(super) fn append(&mut self, other: Self) {
        self.files.extend(other.files);
        self.rows += other.rows;
        self.has_null_keys |= other.has_null_keys;
    }

    /// Whether a key of a row in it is NULL.
    pub(super) fn has_null_keys(&self) -> bool {
        self.has_null_keys
    }

    /// Its rows whose keys are not NULL.
    pub(super) fn read_keyed(&self, side: &Side, spills: &Spills) -> SendableRecordBatchStream {
        let (rows, keys) = (self.read(side, spills), side.keys.clone());
        let rows = rows.and_then(move |rows| {
            std::future::ready(keys.iter().try_fold(rows, |rows, key| {
                let key = key.evaluate(&rows)?.into_array(rows.num_rows())?;
                Ok(filter_record_batch(&rows, &is_not_null(&key)?)?)
            }))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&side.schema), rows))
    }

    /// Its rows, which are those of `side`.
    pub(super) fn read(&self, side: &Side, spills: &Spills) -> SendableRecordBatchStream {
        let (schema, metrics) = (Arc::clone(&side.schema), spills.metrics.clone());
        let files = SpillManager::new(spills.context.runtime_env(), metrics, Arc::clone(&schema));
        let rows = stream::iter(self.files.clone())
            .map(move |file| files.read_spill_as_stream(file, None))
            .try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

/// Writes the rows of one side into files.
pub(super) struct Writer {
    side: Side,
    hash: RandomState,
    parts: Vec<Filling>,
    batch_bytes: usize,
    spills: Spills,
    /// Of the batches that are not written yet.
    memory: MemoryReservation,
    hashes: Vec<u64>,
}

/// A part that is being written.
#[derive(Default)]
struct Filling {
    waiting: Option<BatchCoalescer>,
    /// Bytes of what is waiting, more or less.
    bytes: usize,
    file: Option<Open>,
    rows: usize,
    has_null_keys: bool,
}

struct Open {
    file: Arc<dyn SpillFile>,
    writer: StreamWriter<BufWriter<Box<dyn SpillWriter>>>,
}

impl Writer {
    /// For rows of `side`, which come by another hash with each `level`.
    pub(super) fn new(side: &Side, level: usize, spills: &Spills) -> Self {
        let pool = spills.context.memory_pool();
        let batch_bytes = match pool.memory_limit() {
            MemoryLimit::Finite(all) => {
                let writers = spills.context.session_config().target_partitions();
                (all / FILLING / PARTS / writers).clamp(BATCH_BYTES.start, BATCH_BYTES.end)
            }
            _ => BATCH_BYTES.end,
        };
        // Without these bytes there are no files, and without files there is no memory.
        let memory = MemoryConsumer::new("HashJoinFiles").register(pool);
        memory.grow(PARTS * batch_bytes);
        // Seeds that differ in few bits give hashes that differ by little; rows were dealt out to
        // threads by zero.
        let hash = RandomState::with_seed(SEED.wrapping_mul(level as u64 + 1));
        let parts = (0..PARTS).map(|_| Filling::default()).collect();
        Self {
            side: side.clone(),
            hash,
            parts,
            batch_bytes,
            spills: spills.clone(),
            memory,
            hashes: Vec::new(),
        }
    }

    /// Writes rows.
    pub(super) fn write(&mut self, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let keys = evaluate_expressions_to_arrays(&self.side.keys, &rows)?;
        let has_null_keys = keys.iter().any(|key| key.logical_null_count() > 0);
        self.hashes.clear();
        self.hashes.resize(rows.num_rows(), 0);
        create_hashes(&keys, &self.hash, &mut self.hashes)?;
        let mut places: Vec<Vec<u32>> = vec![Vec::new(); PARTS];
        for (row, hash) in self.hashes.iter().enumerate() {
            // The lower bits are those that tables go by.
            places[(hash >> 32) as usize % PARTS].push(row as u32);
        }
        let schema = &self.side.schema;
        // Batches may say of a column that it is never NULL where their side does not.
        let rows = RecordBatch::try_new(Arc::clone(schema), rows.columns().to_vec())?;
        for (part, places) in self.parts.iter_mut().zip(places) {
            if places.is_empty() {
                continue;
            }
            part.rows += places.len();
            // Said of all parts that these rows go to, which is enough to say it of their side.
            part.has_null_keys |= has_null_keys;
            let taken = take_record_batch(&rows, &UInt32Array::from(places))?;
            // Few wide rows may be more than a batch in a file.
            let (rows, bytes) = (taken.num_rows(), batch_bytes(&taken).max(1));
            let most = (rows * self.batch_bytes / bytes).clamp(1, rows);
            let waiting = part
                .waiting
                .get_or_insert_with(|| BatchCoalescer::new(Arc::clone(schema), BATCH_ROWS));
            for start in (0..rows).step_by(most) {
                let piece = compact_views(&taken.slice(start, most.min(rows - start)));
                let piece = piece.map_err(|error| DataFusionError::External(Box::new(error)))?;
                part.bytes += bytes * piece.num_rows() / rows;
                waiting.push_batch(piece)?;
                if part.bytes >= self.batch_bytes {
                    waiting.finish_buffered_batch()?;
                }
                while let Some(batch) = waiting.next_completed_batch() {
                    part.bytes = 0;
                    append(&mut part.file, &batch, &self.spills)?;
                }
            }
        }
        Ok(())
    }

    /// Writes all rows of a stream.
    pub(super) async fn write_all(&mut self, mut rows: SendableRecordBatchStream) -> Result<()> {
        while let Some(batch) = rows.next().await {
            self.write(batch?)?;
        }
        Ok(())
    }

    /// What was written.
    pub(super) fn finish(self) -> Result<Vec<Part>> {
        let Self { parts, spills, memory, .. } = self;
        let parts = parts.into_iter().map(|part| part.finish(&spills)).collect();
        drop(memory);
        parts
    }
}

impl Filling {
    fn finish(mut self, spills: &Spills) -> Result<Part> {
        if let Some(mut waiting) = self.waiting {
            waiting.finish_buffered_batch()?;
            while let Some(batch) = waiting.next_completed_batch() {
                append(&mut self.file, &batch, spills)?;
            }
        }
        let Some(Open { file, mut writer }) = self.file else { return Ok(Part::empty()) };
        writer.finish()?;
        let writer = writer.into_inner()?.into_inner();
        writer.map_err(|error| DataFusionError::IoError(error.into_error()))?.finish()?;
        spills.metrics.spilled_bytes.add(file.size().unwrap_or_default() as usize);
        Ok(Part { files: vec![file], rows: self.rows, has_null_keys: self.has_null_keys })
    }
}

/// Writes a batch to a file, which is made with the first.
fn append(open: &mut Option<Open>, batch: &RecordBatch, spills: &Spills) -> Result<()> {
    let open = match open {
        Some(open) => open,
        None => {
            let disk = &spills.context.runtime_env().disk_manager;
            let file = disk.create_tmp_file("one part of a join")?;
            let compression = spills.context.session_config().spill_compression();
            let options = IpcWriteOptions::default().try_with_compression(compression.into())?;
            let writer = BufWriter::new(file.open_writer()?);
            let writer = StreamWriter::try_new_with_options(writer, &batch.schema(), options)?;
            spills.metrics.spill_file_count.add(1);
            open.insert(Open { file, writer })
        }
    };
    open.writer.write(batch)?;
    spills.metrics.spilled_rows.add(batch.num_rows());
    Ok(())
}
