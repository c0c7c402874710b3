//! Rows on their way to a client, as the messages of DoGet.
//!
//! tonic would copy what Arrow's buffers hold twice: into the body of a message of IPC, and from
//! there into a message of gRPC. Here the buffers themselves are the bytes that are sent, with
//! the few between them that say what they are. So rows go past tonic: the service has them among
//! the extensions of its answer ([`Outgoing::answer`]), and [`send`] makes them its body.
//!
//! The body is asked for its next piece when the one before is sent. It holds one batch, as
//! it came and in its shape; the connection holds up to 400 KB and a piece.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;
use arrow::ipc::root_as_message;
use arrow::ipc::writer::StreamEncoder;
use arrow_flight::FlightData;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, stream};
use http_body::Frame;
use parking_lot::Mutex;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use sheafdb::core::batch_bytes;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::{Response, Status};

use crate::shape::Shape;
use crate::status;

/// Bytes of a message, where rows allow: many clients take 4 MiB at most.
const MESSAGE_BYTES: usize = 2 << 20;

/// Shorter pieces are copied together, so that they are sent by one call of the system.
const SHORT: usize = 4096;

/// So many of them do not wait for more.
const ENOUGH: usize = 32 << 10;

/// The number of the field of a message that has the buffers.
const DATA_BODY: u32 = 1000;

/// What tonic would send of an answer with rows: an error, in case [`send`] is forgotten.
pub(crate) type Unused = stream::Iter<std::array::IntoIter<Result<FlightData, Status>, 1>>;

/// Rows, and how they go out.
pub(crate) struct Outgoing {
    rows: Pin<Box<dyn Stream<Item = Result<RecordBatch, Status>> + Send>>,
    shape: Shape,
}

/// The rows of an answer, until they are sent.
#[derive(Clone)]
struct Unsent(Arc<Mutex<Option<Messages>>>);

impl Outgoing {
    pub(crate) fn new(
        shape: Shape,
        rows: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
    ) -> Self {
        Self { rows: Box::pin(rows), shape }
    }

    /// An answer with these rows, for [`send`].
    pub(crate) fn answer(self) -> Result<Response<Unused>, Status> {
        let fields = self.shape.schema().flattened_fields();
        if fields.iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..))) {
            return Err(status::unimplemented("a union with a dictionary in it"));
        }
        let messages = Messages::new(self)?;
        let mut response = Response::new(stream::iter([Err(status::internal("rows are unsent"))]));
        response.extensions_mut().insert(Unsent(Arc::new(Mutex::new(Some(messages)))));
        Ok(response)
    }
}

/// Gives an answer the body that its rows are.
pub(crate) fn send(mut response: http::Response<Body>) -> http::Response<Body> {
    let unsent = response.extensions_mut().remove::<Unsent>();
    match unsent.and_then(|Unsent(messages)| messages.lock().take()) {
        Some(messages) => response.map(|_| Body::new(messages)),
        None => response,
    }
}

/// Messages, and at their end how it went.
struct Messages {
    /// None at its end.
    rows: Option<Outgoing>,
    encoder: StreamEncoder,
    ready: Pieces,
    outcome: Option<Status>,
}

impl Messages {
    fn new(rows: Outgoing) -> Result<Self, Status> {
        let schema = rows.shape.schema();
        let mut encoder = StreamEncoder::try_new(schema).map_err(status::internal)?;
        // The schema comes before the first rows, here before none.
        let empty = encoder.encode(&RecordBatch::new_empty(Arc::clone(schema)));
        let mut ready = Pieces::default();
        ready.message(description(&mut empty.map_err(status::internal)?.into_iter())?, &[])?;
        Ok(Self { rows: Some(rows), encoder, ready, outcome: None })
    }

    fn take(&mut self, shape: &Shape, rows: &RecordBatch) -> Result<(), Status> {
        let mut parts = Vec::new();
        shape.rows(rows)?.into_iter().for_each(|rows| split(rows, &mut parts));
        parts.iter().try_for_each(|part| self.encode(&shape.cut(part)?))
    }

    fn encode(&mut self, rows: &RecordBatch) -> Result<(), Status> {
        let mut buffers = self.encoder.encode(rows).map_err(status::internal)?.into_iter();
        let description = description(&mut buffers)?;
        let body = buffers.as_slice();
        let announced = root_as_message(&description).map_err(status::internal)?.bodyLength();
        if announced as usize != body.iter().map(Buffer::len).sum::<usize>() {
            return Err(status::internal("a message of rows is not what its description says"));
        }
        self.ready.message(description, body)
    }
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        loop {
            if let Some(piece) = this.ready.long.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let Some(mut rows) = this.rows.take() else { break };
            match rows.rows.as_mut().poll_next(cx) {
                // What is short waits for more, but not for long.
                Poll::Pending => {
                    this.rows = Some(rows);
                    let Some(piece) = this.ready.short() else { return Poll::Pending };
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Poll::Ready(Some(batch)) => {
                    let taken = batch.and_then(|batch| this.take(&rows.shape, &batch));
                    match taken {
                        Ok(()) => this.rows = Some(rows),
                        Err(status) => this.outcome = Some(status),
                    }
                }
                Poll::Ready(None) => this.outcome = Some(Status::ok("")),
            }
        }
        if let Some(piece) = this.ready.short() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        Poll::Ready(this.outcome.take().map(|outcome| Ok(Frame::trailers(trailers(&outcome)))))
    }
}

/// Bytes in the order in which they are sent.
#[derive(Default)]
struct Pieces {
    long: VecDeque<Bytes>,
    /// What comes after them.
    short: BytesMut,
}

impl Pieces {
    /// A message of gRPC with a message of Flight in it, which has these two fields.
    fn message(&mut self, data_header: Bytes, data_body: &[Buffer]) -> Result<(), Status> {
        let head = FlightData { data_header, ..FlightData::default() };
        let body_len: usize = data_body.iter().map(Buffer::len).sum();
        let field_len = key_len(DATA_BODY) + encoded_len_varint(body_len as u64) + body_len;
        let message_len = head.encoded_len() + if body_len == 0 { 0 } else { field_len };
        let message_len = u32::try_from(message_len).map_err(|_| {
            Status::resource_exhausted("[54000] a row is too long for a message of gRPC")
        })?;
        // It is not compressed.
        self.short.put_u8(0);
        self.short.put_u32(message_len);
        head.encode(&mut self.short).map_err(status::internal)?;
        if body_len > 0 {
            encode_key(DATA_BODY, WireType::LengthDelimited, &mut self.short);
            encode_varint(body_len as u64, &mut self.short);
            data_body.iter().for_each(|buffer| self.push(buffer));
        }
        if self.short.len() >= ENOUGH {
            let enough = self.short();
            self.long.extend(enough);
        }
        Ok(())
    }

    fn push(&mut self, buffer: &Buffer) {
        if buffer.len() < SHORT {
            self.short.put_slice(buffer);
            return;
        }
        let before = self.short();
        self.long.extend(before);
        self.long.push_back(Bytes::from_owner(Owned(buffer.clone())));
    }

    /// Takes what comes after the long ones.
    fn short(&mut self) -> Option<Bytes> {
        (!self.short.is_empty()).then(|| self.short.split().freeze())
    }
}

struct Owned(Buffer);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Takes what a message of an IPC stream begins with: how long its description is, that, and
/// bytes that fill it up to its length. Returns the description.
fn description(message: &mut impl Iterator<Item = Buffer>) -> Result<Bytes, Status> {
    let ends = || status::internal("a message ends before its description");
    let prefix = message.next().ok_or_else(ends)?;
    let description = message.next().ok_or_else(ends)?;
    let len = prefix.get(4..8).and_then(|len| len.try_into().ok()).ok_or_else(ends)?;
    if u32::from_le_bytes(len) as usize > description.len() {
        message.next().ok_or_else(ends)?;
    }
    Ok(Bytes::from_owner(Owned(description)))
}

/// Halves rows until each part has [`MESSAGE_BYTES`] at most, or is one row.
fn split(rows: RecordBatch, parts: &mut Vec<RecordBatch>) {
    let len = rows.num_rows();
    if len > 1 && batch_bytes(&rows) > MESSAGE_BYTES {
        split(rows.slice(0, len / 2), parts);
        split(rows.slice(len / 2, len - len / 2), parts);
    } else if len > 0 {
        parts.push(rows);
    }
}

/// How it went, as the end of an answer says it.
fn trailers(outcome: &Status) -> http::HeaderMap {
    let mut trailers = http::HeaderMap::new();
    // The code comes first; a message that fits into no header is left out.
    let _ = outcome.add_header(&mut trailers);
    trailers
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, ArrayRef, AsArray, DictionaryArray, Int64Array, ListArray, RecordBatchOptions,
        StringViewArray, UnionArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::compute::{cast, concat_batches};
    use arrow::datatypes::{Field, Int32Type, Schema};
    use arrow_flight::decode::FlightRecordBatchStream;
    use arrow_flight::error::FlightError;
    use futures::{StreamExt, TryStreamExt};
    use http_body::Body as _;

    use super::*;

    fn rows(range: std::ops::Range<i64>) -> RecordBatch {
        let texts = range.clone().map(|n| (n % 3 > 0).then(|| format!("the text of row {n}")));
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from_iter_values(range))),
            ("text", Arc::new(texts.collect::<StringViewArray>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
            .unwrap()
    }

    fn messages(views: bool, rows: Vec<Result<RecordBatch, Status>>) -> Messages {
        let schema = self::rows(0..0).schema();
        Messages::new(Outgoing::new(Shape::new(&schema, views), stream::iter(rows))).unwrap()
    }

    /// The pieces that are sent, and the end of the answer.
    fn sent(messages: Messages) -> (Vec<Bytes>, http::HeaderMap) {
        let mut messages = Box::pin(messages);
        let frames = stream::poll_fn(|cx| messages.as_mut().poll_frame(cx));
        let frames: Vec<_> = futures::executor::block_on(frames.map(Result::unwrap).collect());
        let (mut pieces, mut end) = (Vec::new(), None);
        for frame in frames {
            assert!(end.is_none(), "something comes after the end");
            match frame.into_data() {
                Ok(piece) => pieces.push(piece),
                Err(frame) => end = frame.into_trailers().ok(),
            }
        }
        (pieces, end.expect("an end"))
    }

    /// The messages that pieces make up.
    fn received(pieces: &[Bytes]) -> Vec<FlightData> {
        let mut bytes = pieces.concat();
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(bytes[0], 0, "it is not compressed");
            let len = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
            messages.push(FlightData::decode(&bytes[5..5 + len]).unwrap());
            bytes.drain(..5 + len);
        }
        messages
    }

    fn decoded(messages: Vec<FlightData>) -> Vec<RecordBatch> {
        let messages = stream::iter(messages.into_iter().map(Ok::<_, FlightError>));
        let rows = FlightRecordBatchStream::new_from_flight_data(messages);
        futures::executor::block_on(rows.try_collect()).unwrap()
    }

    #[test]
    fn clients_read_the_rows_that_were_sent() {
        for views in [false, true] {
            let all = rows(0..200_000);
            let batches = [all.slice(0, 10), all.slice(10, 150_000), all.slice(0, 0)];
            let (pieces, end) = sent(messages(views, batches.clone().map(Ok).to_vec()));
            assert_eq!(end["grpc-status"], "0");
            let messages = received(&pieces);
            assert!(messages.iter().all(|message| message.encoded_len() < MESSAGE_BYTES + 4096));
            let bytes: usize = messages.iter().map(Message::encoded_len).sum();
            assert!(bytes < 8 << 20, "{bytes} bytes are sent");
            let decoded = decoded(messages);
            let schema = decoded[0].schema();
            let found = concat_batches(&schema, &decoded).unwrap();
            assert_eq!(found.num_rows(), 150_010);
            assert_eq!(found.column(0), &all.column(0).slice(0, 150_010));
            let texts = cast(found.column(1), &DataType::Utf8View).unwrap();
            assert_eq!(texts.as_string_view(), all.column(1).slice(0, 150_010).as_string_view());
        }
    }

    #[test]
    fn a_short_answer_is_one_piece() {
        let (pieces, _) = sent(messages(false, vec![Ok(rows(0..1)), Ok(rows(1..3))]));
        assert_eq!(pieces.len(), 1);
        let decoded = decoded(received(&pieces));
        assert_eq!(decoded.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    }

    #[test]
    fn without_rows_there_is_a_schema() {
        let (pieces, end) = sent(messages(false, Vec::new()));
        assert_eq!(end["grpc-status"], "0");
        let messages = received(&pieces);
        assert_eq!(messages.len(), 1);
        assert_eq!(decoded(messages).len(), 0);
    }

    #[test]
    fn an_error_among_rows_ends_them() {
        let error = Err(Status::data_loss("a file is broken"));
        let (pieces, end) = sent(messages(false, vec![Ok(rows(0..2)), error, Ok(rows(2..4))]));
        assert_eq!(end["grpc-status"], "15");
        assert!(end["grpc-message"].to_str().unwrap().contains("broken"));
        assert_eq!(decoded(received(&pieces)).len(), 1);
    }

    #[test]
    fn rows_of_no_columns_are_counted() {
        let options = RecordBatchOptions::new().with_row_count(Some(7));
        let schema = Arc::new(Schema::empty());
        let rows =
            RecordBatch::try_new_with_options(Arc::clone(&schema), Vec::new(), &options).unwrap();
        let rows = stream::iter([Ok(rows)]);
        let messages = Messages::new(Outgoing::new(Shape::new(&schema, true), rows)).unwrap();
        let (pieces, _) = sent(messages);
        assert_eq!(decoded(received(&pieces))[0].num_rows(), 7);
    }

    #[test]
    fn what_is_short_does_not_wait_for_all() {
        let batches = (0..5_000).map(|n| Ok(rows(n..n + 1))).collect();
        let (pieces, _) = sent(messages(false, batches));
        assert!(pieces.len() > 10);
        assert!(pieces.iter().all(|piece| piece.len() < 2 * ENOUGH));
        assert_eq!(decoded(received(&pieces)).len(), 5_000);
    }

    #[test]
    fn parts_are_as_long_as_their_texts_wherever_these_are() {
        let texts = (0..1_000).map(|n| if n < 40 { "x".repeat(200_000) } else { "y".to_owned() });
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        let field = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let lists = ListArray::new(field, OffsetBuffer::from_lengths([1; 1_000]), texts, None);
        let rows = RecordBatch::try_from_iter([("l", Arc::new(lists) as ArrayRef)]).unwrap();
        let shape = Shape::new(&rows.schema(), true);
        let outgoing = Outgoing::new(shape, stream::iter([Ok(rows.clone())]));
        let (pieces, _) = sent(Messages::new(outgoing).unwrap());
        let messages = received(&pieces);
        let lengths: Vec<_> = messages.iter().map(Message::encoded_len).collect();
        assert!(lengths.iter().all(|&len| len < MESSAGE_BYTES + 4096), "{lengths:?}");
        assert!(lengths.iter().sum::<usize>() < 9 << 20, "{lengths:?}");
        assert_eq!(concat_batches(&rows.schema(), &decoded(messages)).unwrap(), rows);
    }

    #[test]
    fn dictionaries_that_cannot_be_sent_are_refused() {
        let words: DictionaryArray<Int32Type> = ["a", "b"].into_iter().collect();
        let words: ArrayRef = Arc::new(words);
        let fields = [(0, Arc::new(Field::new("word", words.data_type().clone(), true)))];
        let union = UnionArray::try_new(
            fields.into_iter().collect(),
            vec![0_i8, 0].into(),
            None,
            vec![words],
        );
        let union: ArrayRef = Arc::new(union.unwrap());
        let rows = RecordBatch::try_from_iter([("u", union)]).unwrap();
        let shape = Shape::new(&rows.schema(), false);
        let refused = Outgoing::new(shape, stream::iter([Ok(rows)])).answer().err().unwrap();
        assert_eq!(refused.code(), tonic::Code::Unimplemented);
    }
}
