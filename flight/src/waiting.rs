//! Rows that wait for the readers of one or several endpoints.
//!
//! Whoever reads an endpoint takes the next batch when it can send one: together the readers
//! get each row once, whoever is fast gets more, and the server holds no more than for one
//! reader. A partition of the plan for each endpoint would not do: where a plan deals rows out,
//! a partition that nobody reads yet fills memory while another is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use arrow::array::RecordBatch;
use futures::{Stream, stream};
use parking_lot::Mutex;
use tonic::Status;

use crate::shape::Shape;

/// See the module's documentation.
pub(crate) struct WaitingRows {
    pub(crate) shape: Shape,
    rows: Mutex<Rows>,
    /// Those who wait for rows.
    hungry: Arc<Readers>,
    /// Those who wait for another reader, who is about to take rows.
    queued: Arc<Readers>,
    /// By endpoint: whether nobody reads it yet.
    unread: Mutex<Vec<bool>>,
}

enum Rows {
    Running(Pin<Box<dyn Stream<Item = Result<RecordBatch, Status>> + Send>>),
    Ended,
    /// None of the readers must take it for the end.
    Failed(Status),
}

impl WaitingRows {
    /// `rows` for the readers of so many endpoints.
    pub(crate) fn new(
        shape: Shape,
        rows: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
        endpoints: u8,
    ) -> Self {
        Self {
            shape,
            rows: Mutex::new(Rows::Running(Box::pin(rows))),
            hungry: Arc::default(),
            queued: Arc::default(),
            unread: Mutex::new(vec![true; usize::from(endpoints)]),
        }
    }

    /// The rows of one endpoint, once.
    pub(crate) fn read(
        self: Arc<Self>,
        endpoint: u8,
    ) -> Option<impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static> {
        let mut unread = self.unread.lock();
        if !std::mem::take(unread.get_mut(usize::from(endpoint))?) {
            return None;
        }
        drop(unread);
        let mut failed = false;
        Some(stream::poll_fn(move |cx| {
            if failed {
                return Poll::Ready(None);
            }
            let next = self.next(cx);
            failed = matches!(next, Poll::Ready(Some(Err(_))));
            next
        }))
    }

    /// Whether each endpoint has its reader.
    pub(crate) fn all_are_read(&self) -> bool {
        !self.unread.lock().contains(&true)
    }

    /// A reader that is woken may not look for long, because its connection takes no more. So
    /// whenever there may be something to take, all are woken.
    fn next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch, Status>>> {
        let rows = self.rows.try_lock().or_else(|| {
            self.queued.add(cx.waker());
            // The other may have been gone before it could know of this one.
            self.rows.try_lock()
        });
        let Some(mut rows) = rows else { return Poll::Pending };
        self.hungry.add(cx.waker());
        let next = match &mut *rows {
            Rows::Running(running) => {
                let waker = Waker::from(Arc::clone(&self.hungry));
                running.as_mut().poll_next(&mut Context::from_waker(&waker))
            }
            Rows::Ended => Poll::Ready(None),
            Rows::Failed(status) => Poll::Ready(Some(Err(status.clone()))),
        };
        match &next {
            Poll::Ready(None) => *rows = Rows::Ended,
            Poll::Ready(Some(Err(status))) => *rows = Rows::Failed(status.clone()),
            _ => {}
        }
        drop(rows);
        self.queued.wake_by_ref();
        if next.is_ready() {
            self.hungry.wake_by_ref();
        }
        next
    }
}

/// Those to be woken.
#[derive(Default)]
struct Readers(Mutex<Vec<Waker>>);

impl Readers {
    fn add(&self, reader: &Waker) {
        let mut readers = self.0.lock();
        if !readers.iter().any(|other| other.will_wake(reader)) {
            readers.push(reader.clone());
        }
    }

    fn wake_by_ref(&self) {
        let readers = std::mem::take(&mut *self.0.lock());
        readers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Readers {
    fn wake(self: Arc<Self>) {
        (*self).wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{Int64Type, Schema};
    use futures::StreamExt;

    use super::*;

    fn row(n: i64) -> RecordBatch {
        let column = Arc::new(Int64Array::from(vec![n]));
        RecordBatch::try_from_iter([("n", column as _)]).unwrap()
    }

    fn waiting(
        rows: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
        endpoints: u8,
    ) -> Arc<WaitingRows> {
        Arc::new(WaitingRows::new(Shape::new(&Schema::empty(), false), rows, endpoints))
    }

    async fn numbers(rows: impl Stream<Item = Result<RecordBatch, Status>>) -> Vec<i64> {
        rows.map(|rows| rows.unwrap().column(0).as_primitive::<Int64Type>().value(0))
            .collect()
            .await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn readers_together_get_each_row_once() {
        // The source pauses, ends its pauses from other threads, and is asked by all.
        let rows = stream::iter(0..2_000).then(|n| async move {
            if n % 3 == 0 {
                tokio::task::yield_now().await;
            }
            if n % 97 == 0 {
                tokio::time::sleep(std::time::Duration::from_micros(50)).await;
            }
            Ok(row(n))
        });
        let waiting = waiting(rows, 8);
        let readers: Vec<_> = (0..8)
            .map(|endpoint| {
                assert!(!waiting.all_are_read());
                tokio::spawn(numbers(Arc::clone(&waiting).read(endpoint).unwrap()))
            })
            .collect();
        assert!(waiting.all_are_read());
        let mut all = Vec::new();
        for reader in readers {
            let own = reader.await.unwrap();
            assert!(own.is_sorted());
            all.extend(own);
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..2_000));
    }

    #[tokio::test]
    async fn a_reader_that_stops_leaves_the_rest_to_the_others() {
        let rows = stream::iter(0..100).then(|n| async move {
            tokio::task::yield_now().await;
            Ok(row(n))
        });
        let waiting = waiting(rows, 2);
        let mut stopped = Box::pin(Arc::clone(&waiting).read(0).unwrap());
        assert!(stopped.next().await.is_some());
        // It waits for a row, and is not asked again when there is one.
        assert!(futures::poll!(stopped.next()).is_pending());
        assert_eq!(numbers(Arc::clone(&waiting).read(1).unwrap()).await.len(), 99);
        assert!(stopped.next().await.is_none());
    }

    #[tokio::test]
    async fn what_one_read_is_not_there_for_a_later_one() {
        let waiting = waiting(stream::iter((0..5).map(|n| Ok(row(n)))), 2);
        assert_eq!(numbers(Arc::clone(&waiting).read(1).unwrap()).await, [0, 1, 2, 3, 4]);
        assert!(numbers(Arc::clone(&waiting).read(0).unwrap()).await.is_empty());
        for endpoint in [0, 1, 2] {
            assert!(Arc::clone(&waiting).read(endpoint).is_none());
        }
    }

    #[tokio::test]
    async fn an_error_is_one_for_each_reader() {
        let rows = [Ok(row(1)), Err(Status::data_loss("a file is broken"))];
        let waiting = waiting(stream::iter(rows), 2);
        let mut first = Arc::clone(&waiting).read(0).unwrap();
        assert!(first.next().await.unwrap().is_ok());
        assert!(first.next().await.unwrap().is_err());
        assert!(first.next().await.is_none());
        let second: Vec<_> = waiting.read(1).unwrap().collect().await;
        assert_eq!(second.len(), 1);
        assert_eq!(second[0].as_ref().unwrap_err().code(), tonic::Code::DataLoss);
    }
}
