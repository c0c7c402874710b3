//! Rows that wait for the readers of one or several endpoints.
//!
//! Whoever reads an endpoint takes the next batch when it can use one: together the readers get
//! each row once, whoever is fast gets more, and the server holds one batch for each reader. A
//! partition of the plan for each endpoint would not do: where a plan deals rows out, a partition
//! that nobody reads yet fills memory while another is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use arrow::array::RecordBatch;
use futures::Stream;
use parking_lot::Mutex;
use tonic::Status;

use crate::shape::Shape;
use crate::status;

/// See the module's documentation.
pub(crate) struct WaitingRows {
    pub(crate) shape: Shape,
    state: Mutex<State>,
    hungry: Arc<Readers>,
}

struct State {
    rows: Rows,
    /// By endpoint: whether nobody has asked for it yet.
    unread: Vec<bool>,
    /// Readers that are not gone.
    open: usize,
}

type Running = Pin<Box<dyn Stream<Item = Result<RecordBatch, Status>> + Send>>;

enum Rows {
    Running(Running),
    /// A reader has them to ask for the next; the others who ask are woken when it is done.
    Asked(Vec<Waker>),
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
        let unread = vec![true; usize::from(endpoints)];
        let state = State { rows: Rows::Running(Box::pin(rows)), unread, open: 0 };
        Self { shape, state: Mutex::new(state), hungry: Arc::default() }
    }

    /// The rows of one endpoint, once.
    pub(crate) fn read(self: Arc<Self>, endpoint: u8) -> Option<Reader> {
        let mut state = self.state.lock();
        if !std::mem::take(state.unread.get_mut(usize::from(endpoint))?) {
            return None;
        }
        state.open += 1;
        drop(state);
        Some(Reader { waiting: self, is_over: false })
    }

    /// Whether each endpoint has its reader.
    pub(crate) fn all_are_read(&self) -> bool {
        !self.state.lock().unread.contains(&true)
    }

    /// Ends the rows, for those who read and those who will.
    pub(crate) fn stop(&self) {
        self.stop_if(|_| true);
    }

    fn stop_if(&self, is_to_stop: impl Fn(&State) -> bool) {
        let mut state = self.state.lock();
        if matches!(state.rows, Rows::Ended | Rows::Failed(_)) || !is_to_stop(&state) {
            return;
        }
        let stopped = std::mem::replace(&mut state.rows, Rows::Failed(status::cancelled()));
        drop(state);
        match stopped {
            Rows::Asked(others) => others.into_iter().for_each(Waker::wake),
            // Its end may take a while: nobody waits for it.
            others => drop(others),
        }
        self.hungry.wake_all();
    }

    fn next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch, Status>>> {
        let mut state = self.state.lock();
        let mut running = match std::mem::replace(&mut state.rows, Rows::Asked(Vec::new())) {
            Rows::Running(running) => running,
            Rows::Asked(mut others) => {
                others.push(cx.waker().clone());
                state.rows = Rows::Asked(others);
                return Poll::Pending;
            }
            over => {
                let error = match &over {
                    Rows::Failed(status) => Some(Err(status.clone())),
                    _ => None,
                };
                state.rows = over;
                return Poll::Ready(error);
            }
        };
        self.hungry.add(cx.waker());
        drop(state);
        // The next rows may be long work: a lock held meanwhile would keep threads waiting.
        let waker = Waker::from(Arc::clone(&self.hungry));
        let unwound = OnUnwind(self);
        let next = running.as_mut().poll_next(&mut Context::from_waker(&waker));
        std::mem::forget(unwound);
        let mut state = self.state.lock();
        let Rows::Asked(others) = &mut state.rows else {
            // They were stopped.
            return Poll::Ready(Some(Err(status::cancelled())));
        };
        let others = std::mem::take(others);
        state.rows = match &next {
            Poll::Ready(None) => Rows::Ended,
            Poll::Ready(Some(Err(status))) => Rows::Failed(status.clone()),
            _ => Rows::Running(running),
        };
        drop(state);
        others.into_iter().for_each(Waker::wake);
        if next.is_ready() {
            // A reader that was woken for these rows may not look for long, because its
            // connection takes no more. Each asks again, this one too.
            self.hungry.wake_all();
        }
        next
    }
}

/// Ends the rows when asking for them panics: nobody could put them back.
struct OnUnwind<'a>(&'a WaitingRows);

impl Drop for OnUnwind<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The rows of one endpoint.
pub(crate) struct Reader {
    waiting: Arc<WaitingRows>,
    is_over: bool,
}

impl Stream for Reader {
    type Item = Result<RecordBatch, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let next = self.waiting.next(cx);
        self.is_over = matches!(next, Poll::Ready(None | Some(Err(_))));
        next
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.waiting.state.lock().open -= 1;
        // With the last that reads the query ends: what it took is gone for those who come later.
        self.waiting.stop_if(|state| state.open == 0);
    }
}

/// Those who wait for rows.
#[derive(Default)]
struct Readers(Mutex<Vec<Waker>>);

impl Readers {
    fn add(&self, reader: &Waker) {
        let mut readers = self.0.lock();
        if !readers.iter().any(|other| other.will_wake(reader)) {
            readers.push(reader.clone());
        }
    }

    fn wake_all(&self) {
        let readers = std::mem::take(&mut *self.0.lock());
        readers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Readers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{Int64Type, Schema};
    use futures::{StreamExt, stream};

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

    #[tokio::test]
    async fn rows_end_with_the_last_who_reads() {
        let (rows, alive) = (stream::iter((0..5).map(|n| Ok(row(n)))), Arc::new(()));
        let held = Arc::clone(&alive);
        let waiting = waiting(rows.inspect(move |_| drop(Arc::clone(&held))), 3);
        let [mut first, mut second] =
            [0, 1].map(|endpoint| Arc::clone(&waiting).read(endpoint).unwrap());
        assert!(first.next().await.unwrap().is_ok());
        drop(first);
        assert!(second.next().await.unwrap().is_ok());
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(second);
        assert_eq!(Arc::strong_count(&alive), 1);
        // What the first took, nobody else can have.
        let mut third = waiting.read(2).unwrap();
        assert_eq!(third.next().await.unwrap().unwrap_err().code(), tonic::Code::Cancelled);
        assert!(third.next().await.is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn long_work_keeps_nobody_else_from_its_thread() {
        let (begin, begun) = std::sync::mpsc::channel();
        let (finish, finished) = std::sync::mpsc::channel();
        let rows = stream::iter(0..2).map(move |n| {
            begin.send(()).unwrap();
            finished.recv().unwrap();
            Ok(row(n))
        });
        let waiting = waiting(rows, 2);
        let [first, mut second] = [0, 1].map(|n| Arc::clone(&waiting).read(n).unwrap());
        let first = tokio::spawn(numbers(first));
        tokio::task::block_in_place(|| begun.recv().unwrap());
        assert!(futures::poll!(second.next()).is_pending());
        (0..2).for_each(|_| finish.send(()).unwrap());
        let mut all = [first.await.unwrap(), numbers(second).await].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
    }

    #[tokio::test]
    async fn rows_that_panic_fail_for_the_others() {
        let rows = stream::iter([1, 0]).map(|n| match n {
            0 => panic!("a fault"),
            n => Ok(row(n)),
        });
        let waiting = waiting(rows, 2);
        let [first, mut second] = [0, 1].map(|n| Arc::clone(&waiting).read(n).unwrap());
        assert!(tokio::spawn(first.collect::<Vec<_>>()).await.unwrap_err().is_panic());
        assert!(second.next().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn stopped_rows_wake_who_waits() {
        let waiting = waiting(stream::pending(), 2);
        let reading = tokio::spawn(Arc::clone(&waiting).read(0).unwrap().collect::<Vec<_>>());
        tokio::task::yield_now().await;
        waiting.stop();
        let read = reading.await.unwrap();
        assert_eq!(read.len(), 1);
        assert!(read[0].is_err() && waiting.read(1).unwrap().next().await.unwrap().is_err());
    }
}
