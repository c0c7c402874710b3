//! Rows on their way to clients, which others can stop.
//!
//! A reader whose connection takes no more is not asked again, so it cannot be told: who stops
//! rows takes them from it, and their statement ends.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tonic::Status;

use crate::status;
use crate::tickets::Handle;

/// By the handle of their asking, of which there may be several.
#[derive(Default)]
pub(crate) struct OnTheirWay(Mutex<HashMap<Handle, Vec<Arc<dyn Stop>>>>);

trait Stop: Send + Sync {
    fn stop(&self);
}

/// Rows, until they are taken from their reader.
struct Place<S> {
    rows: Mutex<Option<Pin<Box<S>>>>,
    reader: AtomicWaker,
}

impl<S: Send> Stop for Place<S> {
    fn stop(&self) {
        let rows = self.rows.lock().take();
        self.reader.wake();
        drop(rows);
    }
}

impl OnTheirWay {
    /// Rows that [`Self::stop`] stops until they are over, or dropped.
    pub(crate) fn list<T, S>(
        self: &Arc<Self>,
        handle: Handle,
        rows: S,
    ) -> impl Stream<Item = Result<T, Status>> + Send + use<T, S>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T, Status>> + Send + 'static,
    {
        let place =
            Arc::new(Place { rows: Mutex::new(Some(Box::pin(rows))), reader: AtomicWaker::new() });
        self.0.lock().entry(handle).or_default().push(Arc::clone(&place) as _);
        Listed { place, is_over: false, among: Arc::clone(self), handle }
    }

    /// Stops the rows of an asking; false when none are on their way.
    pub(crate) fn stop(&self, handle: Handle) -> bool {
        let places = self.0.lock().remove(&handle).unwrap_or_default();
        places.iter().for_each(|place| place.stop());
        !places.is_empty()
    }
}

struct Listed<S> {
    place: Arc<Place<S>>,
    is_over: bool,
    among: Arc<OnTheirWay>,
    handle: Handle,
}

impl<T, S: Stream<Item = Result<T, Status>>> Stream for Listed<S> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.place.reader.register(cx.waker());
        let next = match &mut *self.place.rows.lock() {
            Some(rows) => ready!(rows.as_mut().poll_next(cx)),
            // Rows that are missing must not look like the end.
            None => Some(Err(status::cancelled())),
        };
        self.is_over = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

impl<S> Drop for Listed<S> {
    fn drop(&mut self) {
        let rows = self.place.rows.lock().take();
        drop(rows);
        let own = Arc::as_ptr(&self.place).cast::<()>();
        let mut all = self.among.0.lock();
        if let Some(places) = all.get_mut(&self.handle) {
            // Others may have the same handle.
            places.retain(|place| Arc::as_ptr(place).cast::<()>() != own);
            if places.is_empty() {
                all.remove(&self.handle);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};

    use super::*;

    fn rows(held: &Arc<()>) -> impl Stream<Item = Result<u8, Status>> + Send + use<> {
        let held = Arc::clone(held);
        stream::iter([Ok(1), Ok(2)]).inspect(move |_| drop(Arc::clone(&held)))
    }

    #[tokio::test]
    async fn what_is_stopped_is_freed_though_nobody_reads() {
        let (all, held, handle) =
            (Arc::<OnTheirWay>::default(), Arc::new(()), Handle::random().unwrap());
        let mut first = Box::pin(all.list(handle, rows(&held)));
        let second = Box::pin(all.list(handle, rows(&held)));
        let others = all.list(Handle::random().unwrap(), rows(&held));
        assert_eq!(first.next().await.unwrap().unwrap(), 1);
        assert!(all.stop(handle));
        assert_eq!(Arc::strong_count(&held), 2);
        assert_eq!(first.next().await.unwrap().unwrap_err().code(), tonic::Code::Cancelled);
        assert!(first.next().await.is_none());
        assert!(!all.stop(handle));
        drop((first, second));
        assert_eq!(others.collect::<Vec<_>>().await.len(), 2);
        assert!(all.0.lock().is_empty());
    }

    #[tokio::test]
    async fn who_waits_for_rows_is_told() {
        let (all, handle) = (Arc::<OnTheirWay>::default(), Handle::random().unwrap());
        let waiting = all.list(handle, stream::pending::<Result<u8, Status>>());
        let waiting = tokio::spawn(waiting.collect::<Vec<_>>());
        tokio::task::yield_now().await;
        assert!(all.stop(handle));
        assert!(waiting.await.unwrap()[0].is_err());
    }
}
