//! Messages: metadata in a flatbuffer and a body of buffers.

use std::collections::HashMap;
use std::panic::catch_unwind;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{read_dictionary, read_record_batch};
use arrow::ipc::{self, CompressionType, MessageHeader, root_as_message};
use bytes::Bytes;

/// Most rows of a batch, and most values in it: a count takes no bytes of the file
/// where values have no width.
const VALUES_MAX: i64 = 1 << 31;
/// How many times as long as their compressed form bytes can be: what a block of an
/// LZ4 frame and a run-length block of a Zstandard frame can hold at most.
const LZ4_RATIO_MAX: i64 = 255;
const ZSTD_RATIO_MAX: i64 = 43_691;
/// What comes before the compressed bytes of a buffer: their length without.
const LENGTH_LEN: usize = 8;

/// Values of dictionaries by their number.
pub(super) type Dictionaries = HashMap<i64, ArrayRef>;

/// What is wrong with a file.
pub(super) type Checked<T> = Result<T, String>;

/// A message whose lengths are within its bytes.
pub(super) struct Message {
    metadata: Bytes,
    body: Buffer,
}

/// The length of a message's body.
pub(super) fn body_len(metadata: &[u8]) -> Checked<u64> {
    let message = root_as_message(metadata).map_err(|e| damaged(&e))?;
    u64::try_from(message.bodyLength()).map_err(|_| "a message has a negative length".to_owned())
}

impl Message {
    pub(super) fn new(metadata: Bytes, body: Bytes) -> Checked<Self> {
        let message = Self { metadata, body: Buffer::from(body) };
        let header = message.header()?;
        if let Some(batch) = header.header_as_record_batch() {
            message.check(&batch)?;
        }
        if let Some(dictionary) = header.header_as_dictionary_batch() {
            let data = dictionary.data().ok_or("a dictionary has no values")?;
            message.check(&data)?;
        }
        Ok(message)
    }

    fn header(&self) -> Checked<ipc::Message<'_>> {
        root_as_message(&self.metadata).map_err(|e| damaged(&e))
    }

    pub(super) fn kind(&self) -> Checked<MessageHeader> {
        Ok(self.header()?.header_type())
    }

    pub(super) fn schema(&self) -> Checked<Schema> {
        let header = self.header()?;
        let schema = header.header_as_schema().ok_or("the first message is not a schema")?;
        checked_schema(schema)
    }

    /// Takes the values of a dictionary.
    pub(super) fn dictionary(&self, schema: &Schema, known: &mut Dictionaries) -> Checked<()> {
        let header = self.header()?;
        let batch = header.header_as_dictionary_batch().ok_or("a message is no dictionary")?;
        read_dictionary(&self.body, batch, schema, known, &header.version())
            .map_err(|e| e.to_string())
    }

    /// The columns of a batch with the indices `read`, which ascend.
    pub(super) fn batch(
        &self,
        schema: &SchemaRef,
        known: &Dictionaries,
        read: &[usize],
    ) -> Checked<RecordBatch> {
        let header = self.header()?;
        let batch = header.header_as_record_batch().ok_or("a message is no batch")?;
        let schema = SchemaRef::clone(schema);
        read_record_batch(&self.body, batch, schema, known, Some(read), &header.version())
            .map_err(|e| e.to_string())
    }

    fn check(&self, batch: &ipc::RecordBatch<'_>) -> Checked<()> {
        let lengths = batch.nodes().into_iter().flatten().map(|node| node.length());
        if lengths.chain([batch.length()]).any(|length| !(0..=VALUES_MAX).contains(&length)) {
            return Err("a batch claims more than 2147483648 values in a column".to_owned());
        }
        let ratio_max = match batch.compression().map(|compression| compression.codec()) {
            None => None,
            Some(CompressionType::LZ4_FRAME) => Some(LZ4_RATIO_MAX),
            Some(_) => Some(ZSTD_RATIO_MAX),
        };
        for buffer in batch.buffers().into_iter().flatten() {
            let bytes = self.part(buffer).ok_or("a buffer reaches beyond the end of its batch")?;
            if let Some(ratio_max) = ratio_max.filter(|_| !bytes.is_empty()) {
                let length = bytes.first_chunk::<LENGTH_LEN>().ok_or("a buffer is cut off")?;
                let compressed_len = (bytes.len() - LENGTH_LEN) as i64;
                let most = compressed_len.saturating_mul(ratio_max);
                if i64::from_le_bytes(*length) > most {
                    return Err("a compressed buffer claims more bytes than it can hold".to_owned());
                }
            }
        }
        Ok(())
    }

    fn part(&self, buffer: &ipc::Buffer) -> Option<&[u8]> {
        let start = usize::try_from(buffer.offset()).ok()?;
        let len = usize::try_from(buffer.length()).ok()?;
        self.body.as_slice().get(start..start.checked_add(len)?)
    }
}

/// Whether a message, framed as in a stream, is a schema that Arrow's reader can take.
pub(in super::super) fn is_schema(framed: &[u8]) -> bool {
    let message = match framed {
        [0xff, 0xff, 0xff, 0xff, _, _, _, _, message @ ..] => message,
        message => message,
    };
    let schema = root_as_message(message).ok().and_then(|message| message.header_as_schema());
    // Damage makes it panic on more than is worth a check.
    schema.is_some_and(|schema| catch_unwind(|| checked_schema(schema)).is_ok_and(|it| it.is_ok()))
}

/// A schema that this machine can read.
pub(super) fn checked_schema(schema: ipc::Schema<'_>) -> Checked<Schema> {
    if !schema.endianness().equals_to_target_endianness() {
        return Err("its numbers are big-endian: write it on a little-endian machine".to_owned());
    }
    check_widths(schema.fields().into_iter().flatten())?;
    Ok(fb_to_schema(schema))
}

/// Polars writes integers of 128 bits, which are in no version of the format.
fn check_widths<'a>(fields: impl Iterator<Item = ipc::Field<'a>>) -> Checked<()> {
    for field in fields {
        if let Some(width) = field.type_as_int().map(|int| int.bitWidth())
            && !matches!(width, 8 | 16 | 32 | 64)
        {
            let name = field.name().unwrap_or_default();
            return Err(format!("the column '{name}' has integers of {width} bits: cast it"));
        }
        check_widths(field.children().into_iter().flatten())?;
    }
    Ok(())
}

pub(super) fn damaged(error: &impl ToString) -> String {
    format!("the metadata is damaged: {}", error.to_string())
}
