//! Rows that clients send, believed in nothing.
//!
//! The reader of Arrow's IPC trusts the lengths that a message claims in places: lengths
//! that cannot be true are refused before it sees them, and a panic in it is an error of
//! the call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::{self, MessageHeader};
use arrow_flight::FlightData;
use arrow_flight::decode::{DecodedFlightData, DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use tonic::Status;

use crate::status;

/// Rows of one message: more is not sent, but by columns that take no bytes.
const ROWS_MAX: i64 = 1 << 26;

/// Bytes that the compressed buffers of one message may become.
const UNCOMPRESSED_MAX: i64 = 1 << 30;

/// The rows of a call.
pub(crate) struct Incoming {
    pub(crate) schema: SchemaRef,
    pub(crate) rows: BoxStream<'static, Result<RecordBatch, Status>>,
}

/// Reads the schema of a stream of messages; `None` when the client sends no rows.
pub(crate) async fn read(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<Option<Incoming>, Status> {
    // The first message may have nothing but the command.
    let messages = messages.try_filter(|data| std::future::ready(!data.data_header.is_empty()));
    let checked = messages.and_then(async |data: FlightData| check(&data).map(|()| data));
    let mut decoded = Guarded(FlightDataDecoder::new(checked.map_err(FlightError::from)));
    let Some(first) = decoded.next().await else { return Ok(None) };
    let DecodedPayload::Schema(schema) = first?.payload else {
        return Err(status::malformed("rows come before their schema"));
    };
    let rows = decoded.try_filter_map(async |data: DecodedFlightData| match data.payload {
        DecodedPayload::RecordBatch(rows) => Ok(Some(rows)),
        DecodedPayload::None => Ok(None),
        DecodedPayload::Schema(_) => Err(status::malformed("a second schema")),
    });
    Ok(Some(Incoming { schema, rows: rows.boxed() }))
}

/// Refuses a message whose lengths cannot be true.
fn check(data: &FlightData) -> Result<(), Status> {
    let message = ipc::root_as_message(&data.data_header).map_err(status::malformed)?;
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => {
            message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data())
        }
        _ => None,
    };
    let Some(batch) = batch else { return Ok(()) };
    let rows = batch.nodes().into_iter().flatten().map(|node| node.length());
    if !rows.chain([batch.length()]).all(|rows| (0..=ROWS_MAX).contains(&rows)) {
        return Err(status::malformed("a message claims more rows than it can have"));
    }
    let mut uncompressed = 0_i64;
    for buffer in batch.buffers().into_iter().flatten() {
        let range = usize::try_from(buffer.offset())
            .ok()
            .zip(usize::try_from(buffer.length()).ok())
            .and_then(|(from, len)| Some(from..from.checked_add(len)?));
        let bytes = range.and_then(|range| data.data_body.get(range));
        let bytes = bytes.ok_or_else(|| status::malformed("a buffer lies outside its message"))?;
        if batch.compression().is_some()
            && let Some(claimed) = bytes.first_chunk().map(|claimed| i64::from_le_bytes(*claimed))
        {
            // -1 stands for bytes that are not compressed.
            uncompressed = uncompressed.saturating_add(claimed.max(0));
        }
    }
    if uncompressed > UNCOMPRESSED_MAX {
        return Err(status::malformed("a message becomes too large when it is uncompressed"));
    }
    Ok(())
}

/// Makes errors of panics, after which there is nothing more.
struct Guarded(FlightDataDecoder);

impl Stream for Guarded {
    type Item = Result<DecodedFlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match catch_unwind(AssertUnwindSafe(|| self.0.poll_next_unpin(cx))) {
            Ok(polled) => polled.map_err(|error| match error {
                FlightError::Tonic(status) => *status,
                other => status::malformed(other),
            }),
            Err(_) => Poll::Ready(Some(Err(status::malformed("its rows make no sense")))),
        }
    }
}
