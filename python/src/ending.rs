//! Between threads of the engine, of other libraries and of the interpreter, and its end.
//!
//! Query threads call Python: functions in SQL, and streams of other libraries. An interpreter
//! that ends does not wait for them, and a thread that asks for its GIL then takes the process
//! down. So at its end the interpreter calls [`shut_down`], which lets nobody in any more and waits
//! for those who are inside.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use sheafdb::{Error, ErrorKind};

static ENDING: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// How long the end of the interpreter waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody who calls Python, or what may call it, from a thread of the engine.
pub struct Inside(());

impl Inside {
    /// An error when the interpreter is ending.
    pub fn enter() -> sheafdb::Result<Self> {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        let inside = Self(());
        match ENDING.load(Ordering::SeqCst) {
            false => Ok(inside),
            true => Err(Error::new(ErrorKind::Cancelled, "the interpreter is ending")),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Called when the interpreter ends.
#[pyfunction]
pub fn shut_down(py: Python<'_>) {
    ENDING.store(true, Ordering::SeqCst);
    py.detach(|| {
        let start = Instant::now();
        while INSIDE.load(Ordering::SeqCst) > 0 && start.elapsed() < PATIENCE {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
}

/// Whether the interpreter is ending.
pub fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// Runs `work` with the GIL, when other libraries call: one that gave the GIL away in the middle of
/// a call of ours is not seen by PyO3's own count of who holds it.
pub fn attached<T>(work: impl FnOnce(Python<'_>) -> T) -> PyResult<T> {
    struct Held(pyo3::ffi::PyGILState_STATE);
    impl Drop for Held {
        fn drop(&mut self) {
            // SAFETY: ends what `PyGILState_Ensure` began, on the same thread.
            unsafe { pyo3::ffi::PyGILState_Release(self.0) }
        }
    }
    let _inside = Inside::enter()
        .map_err(|_| pyo3::exceptions::PyRuntimeError::new_err("the interpreter is ending"))?;
    // SAFETY: may be called on any thread, with the GIL or without, while there is an
    // interpreter, which waits for us.
    let _held = Held(unsafe { pyo3::ffi::PyGILState_Ensure() });
    Ok(Python::attach(work))
}

/// The next value of what may run code of Python's, on a thread of the engine.
pub fn next_of<T>(
    rows: &mut impl Iterator<Item = Result<T, arrow::error::ArrowError>>,
) -> Option<sheafdb::Result<T>> {
    let _inside = match Inside::enter() {
        Ok(inside) => inside,
        Err(error) => return Some(Err(error)),
    };
    let failed = |error: arrow::error::ArrowError| {
        let text = format!("the rows could not be read: {error}");
        Error::new(ErrorKind::FunctionFailed, text)
    };
    rows.next().map(|value| value.map_err(failed))
}

/// Whether this thread is one of an executor.
pub fn in_executor() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

/// Runs what must not run on a thread of an executor. Statements run on such threads, and read
/// streams there that may be our own relations, or call functions that ask for something.
pub fn outside_of_executors<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if !in_executor() {
        return work();
    }
    let elsewhere = || std::thread::scope(|scope| scope.spawn(work).join());
    match tokio::task::block_in_place(elsewhere) {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
