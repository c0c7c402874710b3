//! Files of text: blocks of rows become text on several threads.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::bytes::Bytes;
use super::compress::compress;
use super::gather::Gather;
use super::in_order::InOrder;
use super::target::Target;
use super::{Encoder, WriteOptions};
use crate::Result;
use crate::external::Compression;

/// Rows of a block: enough of them for compression to have something to work with.
const BLOCK_ROWS: usize = 16_384;
/// Bytes in memory of the rows of a block, unless a batch has more.
const BLOCK_BYTES_MAX: usize = 16 << 20;

/// How a format writes rows.
pub(super) trait Rows: Send + Sync + 'static {
    /// What comes before the rows.
    fn begin(&self) -> Vec<u8>;

    /// Appends rows. `is_first` with the first ones of the file.
    fn write(&self, batch: &RecordBatch, is_first: bool, out: &mut Vec<u8>) -> Result<()>;

    /// What comes after the rows.
    fn end(&self) -> Vec<u8>;
}

/// Writes a file of text.
pub(super) struct TextFile<R> {
    rows: Arc<R>,
    line: InOrder<Bytes>,
    gather: Gather,
    name: Arc<str>,
    compression: Compression,
    is_first: bool,
}

impl<R: Rows> TextFile<R> {
    pub(super) fn new(rows: R, target: Box<dyn Target>, options: &WriteOptions) -> Result<Self> {
        let name: Arc<str> = target.name().into();
        Ok(Self {
            rows: Arc::new(rows),
            compression: options.compression(&name)?,
            line: InOrder::start(options.threads, Bytes(target))?,
            gather: Gather::new(BLOCK_ROWS, BLOCK_BYTES_MAX),
            name,
            is_first: true,
        })
    }

    fn block(&mut self, batches: Vec<RecordBatch>, is_last: bool) -> Result<()> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        let (rows, name, compression) =
            (Arc::clone(&self.rows), Arc::clone(&self.name), self.compression);
        self.line.push(move || {
            let mut out = if is_first { rows.begin() } else { Vec::new() };
            for (index, batch) in batches.iter().enumerate() {
                rows.write(batch, is_first && index == 0, &mut out)?;
            }
            if is_last {
                out.extend(rows.end());
            }
            compress(&name, out, compression)
        })
    }
}

impl<R: Rows> Encoder for TextFile<R> {
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let mut full = Vec::new();
        self.gather.push(batch, |group| {
            full.push(group);
            Ok::<_, crate::Error>(())
        })?;
        full.into_iter().try_for_each(|group| self.block(group, false))
    }

    fn finish(mut self: Box<Self>) -> Result<Box<dyn Target>> {
        // Even without rows: what begins and ends a file, or an empty member.
        let rest = self.gather.take();
        self.block(rest, true)?;
        Ok(self.line.finish()?.0)
    }
}
