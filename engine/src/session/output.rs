//! What a statement gives back: rows as they are made, or what it did.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::database::{panic_error, runtime};
use crate::error::Result;

/// Batches that wait for a reader before the query does.
const WAITING_BATCHES: usize = 2;

/// What a statement gives back.
#[derive(Debug)]
pub enum Output {
    /// Rows, in batches.
    Rows {
        /// The columns.
        schema: SchemaRef,
        /// The rows.
        stream: RowStream,
    },
    /// Something was done.
    Done {
        /// What, and to how many rows.
        tag: CommandTag,
        /// What the user should know about it.
        notice: Option<String>,
    },
}

impl Output {
    /// All rows; none when the statement does not return rows.
    pub async fn collect(self) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Rows { stream, .. } => stream.try_collect().await,
            Self::Done { .. } => Ok(Vec::new()),
        }
    }

    /// The columns, when the statement returns rows.
    pub fn schema(&self) -> Option<&SchemaRef> {
        match self {
            Self::Rows { schema, .. } => Some(schema),
            Self::Done { .. } => None,
        }
    }

    pub(crate) fn done(command: &'static str) -> Self {
        Self::Done { tag: CommandTag { command, rows: None }, notice: None }
    }

    pub(crate) fn counted(command: &'static str, rows: u64) -> Self {
        Self::Done { tag: CommandTag { command, rows: Some(rows) }, notice: None }
    }

    /// The same, and something the user should know.
    pub(crate) fn with_notice(self, text: impl Into<String>) -> Self {
        match self {
            Self::Done { tag, notice: _ } => Self::Done { tag, notice: Some(text.into()) },
            rows => rows,
        }
    }

    /// Rows that are in memory already.
    pub(crate) fn rows(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let stream = RowStream::ready(schema.clone(), batches);
        Self::Rows { schema, stream }
    }

    /// The rows of a running query. Waits for the first batch: a query that fails at
    /// once, or is over at once, needs no task of its own.
    pub(crate) async fn running(mut query: SendableRecordBatchStream) -> Result<Self> {
        let schema = query.schema();
        let mut first = Vec::new();
        let over = match query.next().await {
            None => true,
            Some(batch) => {
                first.push(batch?);
                match query.next().now_or_never() {
                    Some(None) => true,
                    Some(Some(batch)) => {
                        first.push(batch?);
                        false
                    }
                    None => false,
                }
            }
        };
        if over {
            return Ok(Self::rows(schema, first));
        }
        let stream = RowStream::driven(schema.clone(), first, query)?;
        Ok(Self::Rows { schema, stream })
    }
}

/// What a statement did, as PostgreSQL says it: `INSERT 0 5`, `CREATE TABLE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandTag {
    /// The command.
    pub command: &'static str,
    /// Rows that it inserted, changed, deleted or copied, where it counts them.
    pub rows: Option<u64>,
}

impl fmt::Display for CommandTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rows {
            // The zero was once the row's object id.
            Some(rows) if self.command == "INSERT" => write!(f, "INSERT 0 {rows}"),
            Some(rows) => write!(f, "{} {rows}", self.command),
            None => f.write_str(self.command),
        }
    }
}

/// A stream of record batches. Dropping it stops the query.
pub struct RowStream {
    schema: SchemaRef,
    batches: Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>,
    query: Option<AbortHandle>,
}

impl RowStream {
    /// The columns of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn ready(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches: Box::pin(stream::iter(batches.into_iter().map(Ok))), query: None }
    }

    /// Drives `query` on the query threads, whatever executor polls the rows.
    fn driven(
        schema: SchemaRef,
        first: Vec<RecordBatch>,
        mut query: SendableRecordBatchStream,
    ) -> Result<Self> {
        let (send, mut receive) = mpsc::channel(WAITING_BATCHES);
        let task = runtime()?.spawn(async move {
            let drive = async {
                while let Some(batch) = query.next().await {
                    let failed = batch.is_err();
                    if send.send(batch.map_err(Into::into)).await.is_err() || failed {
                        break;
                    }
                }
            };
            if let Err(payload) = AssertUnwindSafe(drive).catch_unwind().await {
                // Nobody may be listening any more.
                let _ = send.send(Err(panic_error(payload.as_ref()))).await;
            }
        });
        let rest = stream::poll_fn(move |cx| receive.poll_recv(cx));
        let batches = stream::iter(first.into_iter().map(Ok)).chain(rest);
        Ok(Self { schema, batches: Box::pin(batches), query: Some(task.abort_handle()) })
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.as_mut().poll_next(cx)
    }
}

impl Drop for RowStream {
    fn drop(&mut self) {
        if let Some(query) = &self.query {
            query.abort();
        }
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::CommandTag;

    #[test]
    fn tags_read_as_in_postgres() {
        let tag = |command, rows| CommandTag { command, rows }.to_string();
        assert_eq!(tag("INSERT", Some(5)), "INSERT 0 5");
        assert_eq!(tag("UPDATE", Some(0)), "UPDATE 0");
        assert_eq!(tag("CREATE TABLE", None), "CREATE TABLE");
    }
}
