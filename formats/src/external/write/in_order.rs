//! Does work on several threads, and hands on what comes out in the order in which it
//! went in.
//!
//! ```text
//!   push --> waiting [job job] --> worker ─┐
//!                              --> worker ─┴─> done {5, 7} --> the sink takes 5, waits for 6
//! ```
//!
//! There is a bounded number of jobs between `push` and the sink.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::{Error, Result};

/// Where things go in order.
pub(super) trait Sink: Send + 'static {
    /// What it takes.
    type Item: Send;

    /// Takes the next one.
    fn put(&mut self, item: Self::Item) -> Result<()>;
}

type Job<T> = Box<dyn FnOnce() -> Result<T> + Send>;

struct State<S: Sink> {
    waiting: VecDeque<(u64, Job<S::Item>)>,
    done: BTreeMap<u64, S::Item>,
    /// The sink, unless a worker is using it.
    sink: Option<S>,
    /// Jobs that were pushed.
    pushed: u64,
    /// Items that the sink has taken.
    taken: u64,
    /// There will be no more jobs.
    ended: bool,
    /// The first error; nothing is done after it.
    error: Option<Error>,
    failed: bool,
}

struct Shared<S: Sink> {
    state: Mutex<State<S>>,
    changed: Condvar,
    in_flight_max: u64,
}

/// The front of the line.
pub(super) struct InOrder<S: Sink> {
    shared: Arc<Shared<S>>,
    workers: Vec<JoinHandle<()>>,
}

impl<S: Sink> InOrder<S> {
    pub(super) fn start(threads: usize, sink: S) -> Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                done: BTreeMap::new(),
                sink: Some(sink),
                pushed: 0,
                taken: 0,
                ended: false,
                error: None,
                failed: false,
            }),
            changed: Condvar::new(),
            in_flight_max: threads as u64 + 1,
        });
        let mut line = Self { shared, workers: Vec::with_capacity(threads) };
        for _ in 0..threads {
            let shared = Arc::clone(&line.shared);
            let worker = std::thread::Builder::new()
                .name("sheaf-write".into())
                .spawn(move || shared.work())
                .map_err(|source| Error::Io { file: "a thread to write files".into(), source })?;
            line.workers.push(worker);
        }
        Ok(line)
    }

    /// Adds a job; waits while there are too many. Fails when an earlier job has.
    pub(super) fn push(
        &self,
        job: impl FnOnce() -> Result<S::Item> + Send + 'static,
    ) -> Result<()> {
        let mut state = self.shared.state();
        while state.pushed - state.taken >= self.shared.in_flight_max && !state.failed {
            state = self.shared.wait(state);
        }
        if state.failed {
            return Err(state.error.take().unwrap_or_else(failed_before));
        }
        let number = state.pushed;
        state.pushed += 1;
        state.waiting.push_back((number, Box::new(job)));
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Waits until all is done; gives the sink back.
    pub(super) fn finish(mut self) -> Result<S> {
        self.shared.state().ended = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            // Workers catch panics of jobs, and have none of their own.
            let _ = worker.join();
        }
        let mut state = self.shared.state();
        match state.error.take() {
            Some(error) => Err(error),
            None => state.sink.take().ok_or_else(failed_before),
        }
    }
}

fn failed_before() -> Error {
    Error::Invalid("the file was given up after an earlier error".to_owned())
}

impl<S: Sink> Drop for InOrder<S> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.ended = true;
        state.failed = true;
        drop(state);
        self.shared.changed.notify_all();
        // Whoever drops this may rely on the file being gone.
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl<S: Sink> Shared<S> {
    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<S>>) -> MutexGuard<'a, State<S>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.state();
        loop {
            if state.failed {
                return;
            }
            if let Some((number, job)) = state.waiting.pop_front() {
                drop(state);
                let item = guarded(job);
                state = self.state();
                match item {
                    Ok(item) => _ = state.done.insert(number, item),
                    Err(error) => self.fail(&mut state, error),
                }
                state = self.hand_on(state);
            } else if state.ended {
                return;
            } else {
                state = self.wait(state);
            }
        }
    }

    /// Gives the sink what is next, unless another worker is about to.
    fn hand_on<'a>(&'a self, mut state: MutexGuard<'a, State<S>>) -> MutexGuard<'a, State<S>> {
        while !state.failed {
            let next = state.taken;
            if state.sink.is_none() || !state.done.contains_key(&next) {
                break;
            }
            let (Some(item), Some(mut sink)) = (state.done.remove(&next), state.sink.take()) else {
                break;
            };
            drop(state);
            let result = guarded(|| sink.put(item));
            state = self.state();
            state.sink = Some(sink);
            state.taken += 1;
            if let Err(error) = result {
                self.fail(&mut state, error);
            }
            self.changed.notify_all();
        }
        state
    }

    fn fail(&self, state: &mut State<S>, error: Error) {
        if !state.failed {
            state.failed = true;
            state.error = Some(error);
        }
        self.changed.notify_all();
    }
}

/// A panic of an encoder is an error like any other.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Invalid("a file could not be encoded".to_owned())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Numbers(Vec<u64>);

    impl Sink for Numbers {
        type Item = u64;

        fn put(&mut self, item: u64) -> Result<()> {
            match item {
                999 => Err(Error::Invalid("full".to_owned())),
                _ => {
                    self.0.push(item);
                    Ok(())
                }
            }
        }
    }

    #[test]
    fn things_come_out_in_order() {
        for threads in [1, 2, 5] {
            let line = InOrder::start(threads, Numbers::default()).unwrap();
            for n in 0..100 {
                line.push(move || {
                    std::thread::sleep(Duration::from_micros(n * 37 % 100));
                    Ok(n)
                })
                .unwrap();
            }
            assert_eq!(line.finish().unwrap().0, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_is_told_once_whoever_makes_it() {
        for bad in [|| Ok(999), || Err(Error::Invalid("no".to_owned())), || panic!("bad")] {
            let line = InOrder::start(2, Numbers::default()).unwrap();
            let outcome =
                (0..100).try_for_each(|n| line.push(move || if n == 7 { bad() } else { Ok(n) }));
            assert!(outcome.is_err());
            assert!(line.push(|| Ok(1)).is_err());
        }
        let line = InOrder::start(2, Numbers::default()).unwrap();
        line.push(|| Err(Error::Invalid("no".to_owned()))).unwrap();
        assert!(line.finish().is_err());
    }
}
