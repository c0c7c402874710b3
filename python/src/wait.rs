//! Waiting for the engine: without the GIL, and with an ear for Ctrl-C and `interrupt()`.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::select_all;
use parking_lot::Mutex;
use pyo3::prelude::*;
use sheafdb::Session;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ending::{attached, in_executor, is_ending, outside_of_executors};
use crate::errors::{cancelled, programming_error, raised};

/// How soon Ctrl-C ends a statement.
const LISTEN: Duration = Duration::from_millis(50);
/// How long a statement is silent before its progress is told.
const SILENT: Duration = Duration::from_secs(2);

/// A session, and what ends its statements.
pub struct Handle {
    /// Not dropped in a process that was forked: it would wait for threads that are not there.
    session: ManuallyDrop<Session>,
    /// Any of them ends what is waited for: the session's, and a statement's own as the last.
    stops: Vec<Arc<Notify>>,
    /// Is told how statements that take long get on.
    progress: Arc<Mutex<Option<Py<PyAny>>>>,
    closed: Arc<AtomicBool>,
    process: u32,
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self {
            session: self.session.clone(),
            stops: self.stops.clone(),
            progress: Arc::clone(&self.progress),
            closed: Arc::clone(&self.closed),
            process: self.process,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // SAFETY: nothing uses it after this, and it is dropped nowhere else.
            unsafe { ManuallyDrop::drop(&mut self.session) }
        }
    }
}

impl Handle {
    /// A handle of this process.
    pub fn new(session: Session) -> Self {
        Self {
            session: ManuallyDrop::new(session),
            stops: vec![Arc::default()],
            progress: Arc::default(),
            closed: Arc::default(),
            process: std::process::id(),
        }
    }

    /// The same, which can be ended by itself too.
    pub fn alone(&self) -> Self {
        let mut alone = self.clone();
        alone.stops.push(Arc::default());
        alone
    }

    /// The session, while it is open, in the process that opened the database.
    pub fn session(&self, py: Python<'_>) -> PyResult<&Session> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(programming_error(py, "the connection is closed"));
        }
        if self.process == std::process::id() {
            return Ok(&self.session);
        }
        let what = "the database was opened before this process was forked: start processes by \
                    multiprocessing's spawn or forkserver, and connect in them";
        Err(programming_error(py, what))
    }

    /// Statements of it are errors from now on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Who is told how statements get on; gives back who was told before.
    pub fn set_progress(&self, callback: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
        std::mem::replace(&mut *self.progress.lock(), callback)
    }

    /// Ends what is waited for, here and in handles that were made of this one.
    pub fn interrupt(&self) {
        if let Some(stop) = self.stops.last() {
            stop.notify_waiters();
        }
    }

    /// Runs a future to its end. A signal whose handler raises, such as Ctrl-C's, and
    /// [`Handle::interrupt`] drop the future, which stops its statement.
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

    /// Whether a blocking call of the engine may be made here.
    pub fn may_block(&self) -> bool {
        !in_executor() && self.session.pinned_version().is_none()
    }

    async fn listening<T>(&self, future: impl Future<Output = T>) -> PyResult<T> {
        let mut future = pin!(future);
        let mut stopped = select_all(self.stops.iter().map(|stop| Box::pin(stop.notified())));
        let (start, mut told) = (Instant::now(), false);
        let outcome = loop {
            let turn = async {
                tokio::select! {
                    biased;
                    outcome = &mut future => Some(outcome),
                    _ = &mut stopped => None,
                }
            };
            match tokio::time::timeout(LISTEN, turn).await {
                Ok(Some(outcome)) => break Ok(outcome),
                Ok(None) => break Err(Python::attach(cancelled)),
                // A thread that nobody waits for may be here when the interpreter ends.
                Err(_) if is_ending() => {}
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

    /// The same as [`Handle::wait`], for other libraries that read what we give.
    pub fn wait_for_reader<T: Send>(
        &self,
        future: impl Future<Output = sheafdb::Result<T>> + Send,
    ) -> PyResult<T> {
        attached(|py| self.wait(py, future))?
    }
}
