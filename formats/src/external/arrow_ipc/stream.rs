//! The stream: messages one after the other.

use std::io::Read;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::MessageHeader;
use bytes::Bytes;

use super::super::columns::{guarded, malformed};
use super::super::io_error;
use super::super::ordered::{Piece, Pieces};
use super::Plan;
use super::message::{Dictionaries, Message, body_len};
use crate::Result;

/// What the length of a message comes after, since version 0.15 of the format.
pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];

pub(super) struct Stream {
    name: String,
    bytes: Box<dyn Read + Send>,
    schema: Schema,
}

impl Stream {
    /// Reads the schema.
    pub(super) fn open(name: &str, bytes: Box<dyn Read + Send>) -> Result<(Self, SchemaRef)> {
        let mut stream = Self { name: name.to_owned(), bytes, schema: Schema::empty() };
        let Some(message) = stream.next_message()? else {
            return Err(malformed(name, "the file is empty: an Arrow stream has a schema"));
        };
        stream.schema = message.schema().map_err(|what| malformed(name, what))?;
        let found = Arc::new(Schema::new(stream.schema.fields().clone()));
        Ok((stream, found))
    }

    pub(super) fn pieces(self, plan: Arc<Plan>) -> Box<dyn Pieces> {
        Box::new(Batches { stream: self, plan, known: Arc::default() })
    }

    /// The next message; none at the end, which a stream may mark.
    fn next_message(&mut self) -> Result<Option<Message>> {
        let mut word = self.read(4)?;
        if word == CONTINUATION {
            word = self.read(4)?;
        }
        let len = match <[u8; 4]>::try_from(word.as_slice()) {
            Ok(len) => u32::from_le_bytes(len),
            Err(_) if word.is_empty() => 0,
            Err(_) => return Err(self.cut_off()),
        };
        if len == 0 {
            return Ok(None);
        }
        let metadata = self.read(u64::from(len))?;
        if metadata.len() as u64 != u64::from(len) {
            return Err(self.cut_off());
        }
        let refuse = |what: String| malformed(&self.name, what);
        let body_len = body_len(&metadata).map_err(refuse)?;
        let body = self.read(body_len)?;
        if body.len() as u64 != body_len {
            return Err(self.cut_off());
        }
        let message = Message::new(Bytes::from(metadata), Bytes::from(body));
        message.map(Some).map_err(|what| malformed(&self.name, what))
    }

    /// As many bytes, or as there are. Memory grows with what comes, not with what is
    /// claimed.
    fn read(&mut self, len: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.bytes.by_ref().take(len).read_to_end(&mut bytes);
        read.map_err(io_error(&self.name))?;
        Ok(bytes)
    }

    fn cut_off(&self) -> crate::Error {
        malformed(&self.name, "the file ends inside a message, or is not an Arrow file or stream")
    }
}

struct Batches {
    stream: Stream,
    plan: Arc<Plan>,
    /// The dictionaries as of the next batch.
    known: Arc<Dictionaries>,
}

impl Pieces for Batches {
    fn next_piece(&mut self) -> Result<Option<Piece>> {
        loop {
            let message = guarded(&self.plan.name, || self.stream.next_message())?;
            let Some(message) = message else { return Ok(None) };
            let refuse = |what: String| malformed(&self.plan.name, what);
            match message.kind().map_err(refuse)? {
                MessageHeader::DictionaryBatch => {
                    let known = Arc::make_mut(&mut self.known);
                    guarded(&self.plan.name, || {
                        message.dictionary(&self.stream.schema, known).map_err(refuse)
                    })?;
                }
                MessageHeader::RecordBatch => {
                    let (plan, known) = (Arc::clone(&self.plan), Arc::clone(&self.known));
                    return Ok(Some(Box::new(move |emit| plan.emit(&message, &known, emit))));
                }
                _ => {
                    let what = "a message is neither a dictionary nor a batch".to_owned();
                    return Err(refuse(what));
                }
            }
        }
    }
}
