//! Partitions that choose together.
//!
//! DataFusion's join tells its right side which rows its left side has when it has heard of all
//! partitions. So all of them are joined in memory, or none is by that join. One that is dropped
//! before it has chosen is not waited for.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// See the module's documentation.
pub(super) struct Together {
    state: Mutex<State>,
    all_have_chosen: Notify,
}

struct State {
    /// Partitions that have not chosen yet.
    missing: usize,
    all_fit: bool,
}

/// A partition that has not chosen yet.
pub(super) struct Arrival(Option<Arc<Together>>);

impl Together {
    pub(super) fn new(partitions: usize) -> Self {
        let state = Mutex::new(State { missing: partitions, all_fit: true });
        Self { state, all_have_chosen: Notify::new() }
    }

    fn choose(&self, fits: bool) {
        let mut state = self.state.lock();
        state.missing = state.missing.saturating_sub(1);
        state.all_fit &= fits;
        if state.missing == 0 {
            self.all_have_chosen.notify_waiters();
        }
    }
}

impl Arrival {
    pub(super) fn new(together: Arc<Together>) -> Self {
        Self(Some(together))
    }

    /// Says whether a partition fits; whether all do, when all have said it.
    pub(super) async fn fits(mut self, fits: bool) -> bool {
        let Some(together) = self.0.take() else { return fits };
        // It hears of all that happens from now on, also before it is awaited.
        let all_have_chosen = together.all_have_chosen.notified();
        together.choose(fits);
        if together.state.lock().missing > 0 {
            all_have_chosen.await;
        }
        together.state.lock().all_fit
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(together) = self.0.take() {
            together.choose(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn all_are_waited_for_but_those_that_are_dropped() {
        for fits in [true, false] {
            let together = Arc::new(Together::new(3));
            let [a, b, c] = [(); 3].map(|()| Arrival::new(Arc::clone(&together)));
            let mut first = Box::pin(a.fits(true));
            assert_eq!(first.as_mut().now_or_never(), None);
            drop(b);
            assert_eq!(first.as_mut().now_or_never(), None);
            assert_eq!(c.fits(fits).now_or_never(), Some(fits));
            assert_eq!(first.now_or_never(), Some(fits));
        }
    }
}
