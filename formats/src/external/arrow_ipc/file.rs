//! The file: a footer says where each batch is, so they are read in any order.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::{Block, root_as_footer};
use bytes::Bytes;

use super::super::columns::{guarded, malformed};
use super::super::ordered::{Piece, Pieces};
use super::super::{Source, io_error};
use super::message::{Checked, Dictionaries, Message, checked_schema, damaged};
use super::stream::CONTINUATION;
use super::{MAGIC, MAGIC_LEN, Plan};
use crate::Result;

/// The length of the footer, which is behind it, and the magic bytes.
const TAIL_LEN: usize = 10;

pub(super) struct File {
    source: Arc<dyn Source>,
    schema: Schema,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
}

impl File {
    /// Reads the footer.
    pub(super) fn open(source: Arc<dyn Source>) -> Result<(Self, SchemaRef)> {
        let name = source.name().to_owned();
        let refuse = |what: &str| malformed(&name, what);
        let size = source.size();
        let Some(tail_at) = size.checked_sub(TAIL_LEN as u64).filter(|&at| at >= MAGIC_LEN as u64)
        else {
            return Err(refuse("the file ends before its footer"));
        };
        let tail = source.read_at(tail_at, TAIL_LEN).map_err(io_error(&name))?;
        let (len, magic) = tail.split_at(4);
        if magic != MAGIC {
            return Err(refuse("the file does not end with ARROW1: it is cut off or damaged"));
        }
        let len =
            len.try_into().map(i32::from_le_bytes).ok().and_then(|len| u64::try_from(len).ok());
        let footer_at = len.and_then(|len| tail_at.checked_sub(len));
        let (Some(len), Some(footer_at)) = (len, footer_at) else {
            return Err(refuse("the footer claims to be longer than the file"));
        };
        let footer = source.read_at(footer_at, len as usize).map_err(io_error(&name))?;
        let footer = root_as_footer(&footer).map_err(|e| malformed(&name, damaged(&e)))?;
        let schema = footer.schema().ok_or_else(|| refuse("the footer has no schema"))?;
        let schema = checked_schema(schema).map_err(|what| malformed(&name, what))?;
        let found = Arc::new(Schema::new(schema.fields().clone()));
        let file = Self {
            schema,
            dictionaries: footer.dictionaries().into_iter().flatten().copied().collect(),
            batches: footer.recordBatches().into_iter().flatten().copied().collect(),
            source,
        };
        Ok((file, found))
    }

    pub(super) fn batches(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn pieces(self, plan: Arc<Plan>) -> Result<Box<dyn Pieces>> {
        let mut known = Dictionaries::new();
        for block in &self.dictionaries {
            let message = message(&self.source, block)?;
            guarded(&plan.name, || {
                let read = message.dictionary(&self.schema, &mut known);
                read.map_err(|what| malformed(&plan.name, what))
            })?;
        }
        let known = Arc::new(known);
        Ok(Box::new(Batches { source: self.source, blocks: self.batches, next: 0, plan, known }))
    }
}

struct Batches {
    source: Arc<dyn Source>,
    blocks: Vec<Block>,
    next: usize,
    plan: Arc<Plan>,
    known: Arc<Dictionaries>,
}

impl Pieces for Batches {
    fn next_piece(&mut self) -> Result<Option<Piece>> {
        let Some(&block) = self.blocks.get(self.next) else { return Ok(None) };
        self.next += 1;
        let (source, plan) = (Arc::clone(&self.source), Arc::clone(&self.plan));
        let known = Arc::clone(&self.known);
        Ok(Some(Box::new(move |emit| plan.emit(&message(&source, &block)?, &known, emit))))
    }
}

/// Reads the message of a block.
fn message(source: &Arc<dyn Source>, block: &Block) -> Result<Message> {
    let name = source.name();
    let within = || {
        let offset = u64::try_from(block.offset()).ok()?;
        let metadata_len = usize::try_from(block.metaDataLength()).ok()?;
        let body_len = usize::try_from(block.bodyLength()).ok()?;
        let len = metadata_len.checked_add(body_len)?;
        let end = offset.checked_add(len as u64)?;
        (end <= source.size()).then_some((offset, len, metadata_len))
    };
    let Some((offset, len, metadata_len)) = within() else {
        return Err(malformed(name, "a batch is beyond the end of the file"));
    };
    let bytes = source.read_at(offset, len).map_err(io_error(name))?;
    let parsed = unframed(bytes.slice(..metadata_len))
        .and_then(|metadata| Message::new(metadata, bytes.slice(metadata_len..)));
    parsed.map_err(|what| malformed(name, what))
}

/// Metadata without what comes before it: its length, mostly after a marker.
fn unframed(metadata: Bytes) -> Checked<Bytes> {
    let prefix_len = if metadata.starts_with(&CONTINUATION) { 8 } else { 4 };
    match metadata.len() < prefix_len {
        true => Err("a message is cut off".to_owned()),
        false => Ok(metadata.slice(prefix_len..)),
    }
}
