//! Waiting for the engine: without the GIL, and with an ear for Ctrl-C and `interrupt()`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::prelude::*;
use sheafdb::Session;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::errors::{cancelled, programming_error, raised};

/// How soon Ctrl-C ends a statement.
const LISTEN: Duration = Duration::from_millis(50);
/// How long a statement is silent before its progress is told.
const SILENT: Duration = Duration::from_secs(2);

/// A session, and what ends its statements.
#[derive(Clone)]
pub struct Handle {
    session: Session,
    /// Ends all statements of the session.
    stop_all: Arc<Notify>,
    /// Ends the statement that the handle was made for.
    stop: Arc<Notify>,
    /// Is told how statements that take long get on.
    progress: Arc<Mutex<Option<Py<PyAny>>>>,
    closed: Arc<AtomicBool>,
    /// Threads do not survive a fork, and neither do the engine's.
    process: u32,
}

impl Handle {
    /// A handle of this process.
    pub fn new(session: Session) -> Self {
        let process = std::process::id();
        let (stop_all, stop, progress, closed) = Default::default();
        Self { session, stop_all, stop, progress, closed, process }
    }

    /// The same for a session that is another view of this one.
    pub fn with(&self, session: Session) -> Self {
        Self { session, closed: Arc::default(), ..self.clone() }
    }

    /// The same for a statement that can be ended by itself.
    pub fn for_statement(&self) -> Self {
        Self { stop: Arc::default(), ..self.clone() }
    }

    /// Statements of it are errors from now on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// The session, while it is open, in the process that opened the database.
    pub fn session(&self, py: Python<'_>) -> PyResult<&Session> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(programming_error(py, "the connection is closed"));
        }
        if self.process == std::process::id() {
            return Ok(&self.session);
        }
        let what = "the database was opened before this process was forked: connect again in it";
        Err(programming_error(py, what))
    }

    /// Who is told how statements get on.
    pub fn set_progress(&self, callback: Option<Py<PyAny>>) {
        *self.progress.lock() = callback;
    }

    /// Ends what the statements of the session wait for.
    pub fn interrupt_all(&self) {
        self.stop_all.notify_waiters();
    }

    /// Ends what the statement waits for.
    pub fn interrupt(&self) {
        self.stop.notify_waiters();
    }

    /// Runs a future to its end. A signal whose handler raises, such as Ctrl-C's, and the
    /// interrupts drop the future, which stops its statement.
    pub fn wait<T: Send>(
        &self,
        py: Python<'_>,
        future: impl Future<Output = sheafdb::Result<T>> + Send,
    ) -> PyResult<T> {
        let session = self.session(py)?;
        let outcome =
            py.detach(|| outside_of_executors(|| session.block_on(self.listening(future))));
        raised(py, raised(py, outcome)??)
    }

    async fn listening<T>(&self, future: impl Future<Output = T>) -> PyResult<T> {
        let mut future = pin!(future);
        let mut stopped = pin!(async {
            tokio::select! {
                () = self.stop_all.notified() => {}
                () = self.stop.notified() => {}
            }
        });
        let (start, mut told) = (Instant::now(), false);
        let outcome = loop {
            let turn = async {
                tokio::select! {
                    biased;
                    outcome = &mut future => Some(outcome),
                    () = &mut stopped => None,
                }
            };
            match tokio::time::timeout(LISTEN, turn).await {
                Ok(Some(outcome)) => break Ok(outcome),
                Ok(None) => break Err(Python::attach(cancelled)),
                Err(_) => {
                    let late = start.elapsed() >= SILENT;
                    let heard = Python::attach(|py| {
                        py.check_signals()?;
                        told |= late && self.tell(py, Some(start.elapsed()))?;
                        PyResult::Ok(())
                    });
                    if let Err(error) = heard {
                        break Err(error);
                    }
                }
            }
        };
        if told {
            Python::attach(|py| self.tell(py, None))?;
        }
        outcome
    }

    /// Tells how long a statement has run and what it has read of what; nothing when it is done.
    fn tell(&self, py: Python<'_>, elapsed: Option<Duration>) -> PyResult<bool> {
        let callback = self.progress.lock().as_ref().map(|callback| callback.clone_ref(py));
        let Some(callback) = callback else { return Ok(false) };
        let seconds = elapsed.map(|elapsed| elapsed.as_secs_f64());
        callback.call1(py, (seconds, self.session.progress()))?;
        Ok(true)
    }
}

/// Runs `work` with the GIL, when other libraries call: one that gave the GIL away in the middle of
/// a call of ours is not seen by PyO3's own count of who holds it.
pub fn attached<T>(work: impl FnOnce(Python<'_>) -> T) -> T {
    struct Held(pyo3::ffi::PyGILState_STATE);
    impl Drop for Held {
        fn drop(&mut self) {
            // SAFETY: ends what `PyGILState_Ensure` began, on the same thread.
            unsafe { pyo3::ffi::PyGILState_Release(self.0) }
        }
    }
    // SAFETY: may be called on any thread, with the GIL or without, while there is an
    // interpreter; streams of ours are read by code that it runs.
    let _held = Held(unsafe { pyo3::ffi::PyGILState_Ensure() });
    Python::attach(work)
}

/// Runs what must not run on a thread of an executor. Statements run on such threads, and read
/// streams there that may be our own relations, or call functions that ask for something.
fn outside_of_executors<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if tokio::runtime::Handle::try_current().is_err() {
        return work();
    }
    let elsewhere = || std::thread::scope(|scope| scope.spawn(work).join());
    match tokio::task::block_in_place(elsewhere) {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
