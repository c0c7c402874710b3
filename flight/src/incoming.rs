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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int32Type;
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use futures::stream;

    use super::*;

    fn sample() -> RecordBatch {
        let lists = (0..50).map(|i| (i % 3 > 0).then(|| (0..i % 5).map(Some).collect::<Vec<_>>()));
        let texts = (0..50).map(|i| (i % 4 > 0).then(|| format!("text {i}")));
        RecordBatch::try_from_iter::<_, &str>([
            ("n", Arc::new(Int64Array::from_iter_values(0..50)) as ArrayRef),
            ("t", Arc::new(texts.collect::<StringArray>())),
            ("l", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
        ])
        .unwrap()
    }

    async fn messages() -> Vec<FlightData> {
        let rows = FlightDataEncoderBuilder::new().build(stream::iter([Ok(sample())]));
        rows.try_collect().await.unwrap()
    }

    async fn rows_of(messages: Vec<FlightData>) -> Result<Vec<RecordBatch>, Status> {
        match read(stream::iter(messages.into_iter().map(Ok))).await? {
            Some(incoming) => incoming.rows.try_collect().await,
            None => Ok(Vec::new()),
        }
    }

    #[tokio::test]
    async fn messages_are_rows_again() {
        assert_eq!(rows_of(messages().await).await.unwrap(), [sample()]);
        assert_eq!(rows_of(vec![FlightData::new()]).await.unwrap(), []);
    }

    #[tokio::test]
    async fn whatever_comes_is_rows_or_an_error() {
        let messages = messages().await;
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 16) as usize % below
        };
        let mut refused = 0;
        for round in 0..4_000 {
            let mut damaged = messages.clone();
            let at = next(damaged.len());
            let data = &mut damaged[at];
            let part = if round % 4 > 0 { &mut data.data_header } else { &mut data.data_body };
            let mut bytes = part.to_vec();
            for _ in 0..=next(4) {
                if !bytes.is_empty() {
                    let byte = next(bytes.len());
                    bytes[byte] = [0, 1, 0x7f, 0x80, 0xff, next(256) as u8][next(6)];
                }
            }
            bytes.truncate(bytes.len() - next(4).min(bytes.len()) * usize::from(round % 16 == 0));
            *part = bytes.into();
            refused += usize::from(rows_of(damaged).await.is_err());
        }
        assert!(refused > 500, "{refused}");
    }
}
