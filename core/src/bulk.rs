//! Bulk load: new rows go straight into segments and appear in one commit.
//!
//! Rows of a table without order or partitions stream into their segment as they come.
//! Where rows must be brought into order first, those of the next segment gather while
//! a thread writes the one before.

use std::collections::{BTreeMap, HashSet};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use crate::batch_bytes;
use crate::catalog::TableDef;
use crate::commit::{BulkCommit, Command, Created, check_rows};
use crate::compaction::SETTLED;
use crate::lookup;
use crate::memory::MemoryUse;
use crate::partition::{Bucket, split};
use crate::row::key_hash;
use crate::segment::{
    Rowids, SegmentHandle, SegmentInput, SegmentMeta, Seqs, order, reorder, stream_segment,
    write_segment,
};
use crate::state::{Pin, State};
use crate::store::Writer;
use crate::write::Commit;
use crate::{Error, Result};

/// Bytes of rows that wait for their segment, over all buckets, before the largest
/// bucket is written out; also when they take more than one over [`SHARE_OF_MEMORY`] of the
/// memory limit.
const BUFFER_BYTES: usize = 512 << 20;
const SHARE_OF_MEMORY: usize = 8;
/// Batches that may wait to stream into their segment.
const STREAM_BATCHES: usize = 16;
/// Rows and bytes that are encoded at a time: enough for one block of the narrower
/// columns, few enough to stay near the processor and small in memory.
const STRETCH_ROWS: usize = 256 << 10;
const STRETCH_BYTES: usize = 64 << 20;

/// A bulk load in progress. Dropping it leaves nothing behind.
pub struct BulkLoad {
    writer: Arc<Writer>,
    def: Arc<TableDef>,
    create: Option<Created>,
    buffers: BTreeMap<Bucket, Buffer>,
    buffered_bytes: usize,
    /// Bytes of the rows that a thread is writing.
    writing_bytes: usize,
    /// What the load has taken of the memory budget.
    counted_bytes: usize,
    /// The segment that rows stream into.
    stream: Option<Stream>,
    written: Vec<SegmentMeta>,
    /// Rows were refused, or not written.
    failed: bool,
    /// Writes the segments of a bucket, or the end of a streamed one.
    writing: Option<JoinHandle<Written>>,
    /// The state that the load began with, kept for the search for duplicates.
    began: (Pin, Arc<State>),
}

/// Ends when the sender is dropped.
struct Stream {
    sender: SyncSender<RecordBatch>,
    thread: JoinHandle<Written>,
    rows: usize,
}

#[derive(Default)]
struct Buffer {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl BulkLoad {
    pub(crate) fn new(
        writer: Arc<Writer>,
        def: Arc<TableDef>,
        create: Option<Created>,
        began: (Pin, Arc<State>),
    ) -> Self {
        Self {
            writer,
            def,
            create,
            buffers: BTreeMap::new(),
            buffered_bytes: 0,
            writing_bytes: 0,
            counted_bytes: 0,
            stream: None,
            written: Vec::new(),
            failed: false,
            writing: None,
            began,
        }
    }

    /// The table's definition; rows must have its [`TableDef::arrow_schema`].
    pub fn def(&self) -> &Arc<TableDef> {
        &self.def
    }

    /// Adds rows. NOT NULL is checked here, keys at [`Self::finish`]. After an error the
    /// load cannot be finished.
    pub fn push(&mut self, rows: RecordBatch) -> Result<()> {
        let taken = self.take(rows);
        self.failed |= taken.is_err();
        self.count();
        taken
    }

    /// Takes what it holds now from the memory budget.
    fn count(&mut self) {
        let stream = if self.stream.is_some() { 2 * STRETCH_BYTES } else { 0 };
        // What is being written is there in its order, and encoded, too.
        let bytes = self.buffered_bytes + 2 * self.writing_bytes + stream;
        let memory = self.writer.memory();
        match bytes.checked_sub(self.counted_bytes) {
            Some(more) => memory.grow(MemoryUse::Jobs, more),
            None => memory.shrink(MemoryUse::Jobs, self.counted_bytes - bytes),
        }
        self.counted_bytes = bytes;
    }

    fn take(&mut self, rows: RecordBatch) -> Result<()> {
        check_rows(&self.def, &rows)?;
        if self.def.partition.is_none() && !self.def.is_clustered() {
            return self.stream(rows);
        }
        for (bucket, rows) in split(&self.def, rows)? {
            let bytes = batch_bytes(&rows);
            let buffer = self.buffers.entry(bucket).or_default();
            buffer.rows += rows.num_rows();
            buffer.bytes += bytes;
            buffer.batches.push(rows);
            self.buffered_bytes += bytes;
            if buffer.rows >= self.writer.segment_rows() {
                self.write_out(bucket)?;
            }
        }
        let memory = self.writer.memory().limit();
        while self.buffered_bytes > BUFFER_BYTES.min(memory / SHARE_OF_MEMORY) {
            let largest = self.buffers.iter().max_by_key(|(_, b)| b.bytes).map(|(b, _)| *b);
            let Some(bucket) = largest else { break };
            self.write_out(bucket)?;
        }
        Ok(())
    }

    /// Commits all rows at once, or none with an error.
    pub fn finish(mut self) -> Result<Commit> {
        if self.failed {
            return Err(Error::Invalid("rows of the load were refused or lost".into()));
        }
        let buckets: Vec<Bucket> = self.buffers.keys().copied().collect();
        for bucket in buckets {
            self.write_out(bucket)?;
        }
        self.end_stream()?;
        self.wait()?;
        let (pin, state) = &self.began;
        let mut checked = None;
        if self.def.is_keyed() {
            let handles = self
                .written
                .iter()
                .map(|meta| {
                    SegmentHandle::open(&self.writer.context().vfs, &self.def, meta.clone())
                })
                .collect::<Result<Vec<_>>>()?;
            self.check_among_themselves(&handles)?;
            if let Some(table) = state.tables.get(&self.def.id) {
                lookup::check_absent(table, &handles, self.def.key_codec()?.as_ref())?;
                checked = Some((Arc::clone(state), pin.seq));
            }
        }
        let bulk = BulkCommit {
            def: Arc::clone(&self.def),
            create: self.create.clone(),
            segments: self.written.clone(),
            checked,
        };
        let outcome = self.writer.call(|reply| Command::Bulk(Box::new(bulk), reply));
        // After a commit the files belong to the database. After a failed write of the
        // manifest nobody knows whether it names them, so they stay, and the next
        // opening finds out (I5).
        if matches!(outcome, Ok(_) | Err(Error::Io { .. } | Error::Stopped(_))) {
            self.written.clear();
        }
        outcome
    }

    /// Sends rows to the thread that writes their segment, and begins the next segment
    /// when one is full.
    fn stream(&mut self, mut rows: RecordBatch) -> Result<()> {
        let limit = self.writer.segment_rows();
        while rows.num_rows() > 0 {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => none.insert(Stream::begin(&self.writer, &self.def)?),
            };
            let len = rows.num_rows().min(limit - stream.rows);
            stream.rows += len;
            let lost = stream.sender.send(rows.slice(0, len)).is_err();
            if lost || stream.rows == limit {
                self.end_stream()?;
            }
            if lost {
                // The thread ends before its sender only with an error.
                self.wait()?;
            }
            rows = rows.slice(len, rows.num_rows() - len);
        }
        Ok(())
    }

    /// Lets the thread of the stream finish by itself.
    fn end_stream(&mut self) -> Result<()> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        drop(stream.sender);
        let before = self.wait();
        self.writing = Some(stream.thread);
        before
    }

    /// Gives the rows of a bucket to a thread that writes them, once the rows before
    /// them are written.
    fn write_out(&mut self, bucket: Bucket) -> Result<()> {
        let Some(buffer) = self.buffers.remove(&bucket) else { return Ok(()) };
        self.buffered_bytes -= buffer.bytes;
        self.wait()?;
        self.writing_bytes = buffer.bytes;
        let (writer, def) = (Arc::clone(&self.writer), Arc::clone(&self.def));
        self.writing = Some(spawn(move || write_bucket(&writer, &def, bucket, buffer))?);
        Ok(())
    }

    /// Waits for the segments that are being written.
    fn wait(&mut self) -> Result<()> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        self.writing_bytes = 0;
        let (written, result) = writing.join().unwrap_or_else(|panic| resume_unwind(panic));
        self.written.extend(written);
        result
    }

    /// Fails when two loaded rows have the same key. The key contains the partition
    /// column, so only segments of one bucket can share keys.
    fn check_among_themselves(&self, segments: &[Arc<SegmentHandle>]) -> Result<()> {
        let codec = self.def.key_codec()?;
        let duplicate = |key: &[u8]| Error::DuplicateKey {
            table: self.def.name.clone(),
            key: codec.describe(&self.def, key),
        };
        for (i, segment) in segments.iter().enumerate() {
            let earlier: Vec<_> =
                segments[..i].iter().filter(|s| s.meta.bucket == segment.meta.bucket).collect();
            // Entries come in hash order, so equal keys are in one run of equal hashes.
            let mut run: (u64, HashSet<Bytes>) = Default::default();
            for (key, _) in segment.all_keys()? {
                let hash = key_hash(&key);
                if run.0 != hash {
                    run = (hash, HashSet::new());
                }
                if !run.1.insert(key.clone()) {
                    return Err(duplicate(&key));
                }
                for other in &earlier {
                    if !other.find_key(&key, hash)?.is_empty() {
                        return Err(duplicate(&key));
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a thread wrote: its segments, all of them when the result is no error.
type Written = (Vec<SegmentMeta>, Result<()>);

fn spawn(work: impl FnOnce() -> Written + Send + 'static) -> Result<JoinHandle<Written>> {
    std::thread::Builder::new()
        .name("sheaf-load".to_owned())
        .spawn(work)
        .map_err(|source| Error::Io { path: "a thread to write segments".to_owned(), source })
}

impl Stream {
    fn begin(writer: &Arc<Writer>, def: &Arc<TableDef>) -> Result<Self> {
        let (sender, receiver) = sync_channel(STREAM_BATCHES);
        let (writer, def) = (Arc::clone(writer), Arc::clone(def));
        let thread = spawn(move || {
            let mut stretches = stretches(receiver, def.arrow_schema());
            match stream_segment(writer.context(), &def, &mut stretches) {
                Ok(meta) => (vec![meta], Ok(())),
                Err(error) => (Vec::new(), Err(error)),
            }
        })?;
        Ok(Self { sender, thread, rows: 0 })
    }
}

/// The batches of a stream, several at a time.
fn stretches(
    batches: Receiver<RecordBatch>,
    schema: &SchemaRef,
) -> impl Iterator<Item = sheaf_formats::Result<RecordBatch>> {
    std::iter::from_fn(move || {
        let mut gathered = vec![batches.recv().ok()?];
        let mut rows = gathered[0].num_rows();
        let mut bytes = batch_bytes(&gathered[0]);
        while rows < STRETCH_ROWS && bytes < STRETCH_BYTES {
            let Ok(batch) = batches.recv() else { break };
            rows += batch.num_rows();
            bytes += batch_bytes(&batch);
            gathered.push(batch);
        }
        Some(concat_batches(schema, &gathered).map_err(Into::into))
    })
}

fn write_bucket(writer: &Writer, def: &TableDef, bucket: Bucket, buffer: Buffer) -> Written {
    let mut written = Vec::new();
    let result = (|| {
        let all = concat_batches(def.arrow_schema(), &buffer.batches)?;
        drop(buffer);
        let limit = writer.segment_rows();
        for start in (0..all.num_rows()).step_by(limit) {
            let rows = all.slice(start, limit.min(all.num_rows() - start));
            let rows = match order(def, &rows)? {
                Some(order) => reorder(&rows, &order)?,
                None => rows,
            };
            let rowids = if def.is_keyed() { Rowids::None } else { Rowids::AtCommit };
            let level = SETTLED;
            let input = SegmentInput { bucket, rows, seqs: Seqs::AtCommit, rowids, level };
            written.push(write_segment(writer.context(), def, input)?);
        }
        Ok(())
    })();
    (written, result)
}

impl Drop for BulkLoad {
    fn drop(&mut self) {
        self.writer.memory().shrink(MemoryUse::Jobs, self.counted_bytes);
        // Files that are being written must be known before they can be removed.
        let stream = self.stream.take().map(|Stream { thread, .. }| thread);
        for thread in self.writing.take().into_iter().chain(stream) {
            if let Ok((written, _)) = thread.join() {
                self.written.extend(written);
            }
        }
        for meta in &self.written {
            for path in meta.paths(self.def.id) {
                if let Err(error) = self.writer.context().vfs.delete(&path) {
                    tracing::warn!(path, %error, "a file of an abandoned load stays behind");
                }
            }
        }
    }
}
