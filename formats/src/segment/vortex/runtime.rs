//! Where Vortex's tasks run: on the caller's async runtime, else on shared threads.
//!
//! Vortex cuts a scan into tasks and spawns them through one handle in its session.
//! Who polls the scan differs: DataFusion polls it on a tokio runtime and wants the
//! decoding there, so that its threads are the only busy ones; flush, compaction
//! and point reads block a thread of their own. The handle made here decides at
//! every spawn:
//!
//! ```text
//! inside block_on()      -> shared threads, and the blocked thread helps
//! inside a tokio runtime -> that runtime
//! anywhere else          -> shared threads
//! ```
//!
//! So one session, and with it one cached reader per segment, serves all callers;
//! partitions run in parallel in every case; and blocking a thread of a tokio
//! runtime cannot deadlock it, because its tasks are never the ones waited for. The
//! shared threads start when first needed and sleep when there is nothing to do.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use futures::future::BoxFuture;
use vortex::VortexSessionDefault;
use vortex::io::runtime::current::CurrentThreadRuntime;
use vortex::io::runtime::{AbortHandle, AbortHandleRef, BlockingRuntime, Executor, Handle, Task};
use vortex::io::session::RuntimeSessionExt;
use vortex::session::VortexSession;

thread_local! {
    /// How many calls of [`block_on`] this thread is in.
    static BLOCKING: Cell<usize> = const { Cell::new(0) };
}

static SHARED: LazyLock<CurrentThreadRuntime> = LazyLock::new(|| {
    let runtime = CurrentThreadRuntime::new();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    for index in 0..threads {
        let runtime = runtime.clone();
        // Fewer threads than wanted still make progress: a blocked caller helps.
        let started = thread::Builder::new()
            .name(format!("sheaf-decode-{index}"))
            .spawn(move || runtime.block_on(std::future::pending::<()>()));
        if let Err(error) = started {
            tracing::warn!(%error, "a decoding thread could not be started");
        }
    }
    runtime
});

static DISPATCH: LazyLock<Arc<dyn Executor>> = LazyLock::new(|| Arc::new(Dispatch));

static SESSION: LazyLock<VortexSession> =
    LazyLock::new(|| VortexSession::default().with_handle(Handle::new(Arc::downgrade(&*DISPATCH))));

/// The one session of this process.
pub(super) fn session() -> &'static VortexSession {
    &SESSION
}

/// The shared threads, for Vortex's own blocking calls. Only inside [`blocking`].
pub(super) fn shared() -> &'static CurrentThreadRuntime {
    &SHARED
}

/// Runs `work` with every task it spawns sent to the shared threads.
pub(super) fn blocking<R>(work: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            BLOCKING.with(|depth| depth.set(depth.get() - 1));
        }
    }
    BLOCKING.with(|depth| depth.set(depth.get() + 1));
    let _leave = Leave;
    work()
}

/// Drives `future` to its end from a thread that may block, and helps the shared
/// threads meanwhile.
pub(in crate::segment) fn block_on<F: Future>(future: F) -> F::Output {
    blocking(|| SHARED.block_on(future))
}

/// Drives a future that spawns nothing, on this thread alone: a point read must not
/// wait for somebody else's scan.
pub(super) fn drive<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Dispatch;

impl Dispatch {
    fn tokio() -> Option<tokio::runtime::Handle> {
        if BLOCKING.with(Cell::get) > 0 {
            return None;
        }
        tokio::runtime::Handle::try_current().ok()
    }
}

impl Executor for Dispatch {
    fn spawn(&self, future: BoxFuture<'static, ()>) -> AbortHandleRef {
        match Self::tokio() {
            Some(runtime) => Box::new(TokioTask(runtime.spawn(future).abort_handle())),
            None => SharedTask::started(SHARED.handle().spawn(future)),
        }
    }

    fn spawn_cpu(&self, task: Box<dyn FnOnce() + Send + 'static>) -> AbortHandleRef {
        match Self::tokio() {
            Some(runtime) => {
                Box::new(TokioTask(runtime.spawn(async move { task() }).abort_handle()))
            }
            None => SharedTask::started(SHARED.handle().spawn_cpu(task)),
        }
    }

    fn spawn_blocking_io(&self, task: Box<dyn FnOnce() + Send + 'static>) -> AbortHandleRef {
        match Self::tokio() {
            Some(runtime) => Box::new(TokioTask(runtime.spawn_blocking(task).abort_handle())),
            None => SharedTask::started(SHARED.handle().spawn_blocking(task)),
        }
    }
}

struct TokioTask(tokio::task::AbortHandle);

impl AbortHandle for TokioTask {
    fn abort(self: Box<Self>) {
        self.0.abort();
    }
}

/// A task on the shared threads. Dropping it lets the task go on, aborting drops
/// the task: the reverse of what Vortex's own task does when it is dropped.
struct SharedTask(Option<Task<()>>);

impl SharedTask {
    fn started(task: Task<()>) -> AbortHandleRef {
        Box::new(Self(Some(task)))
    }
}

impl AbortHandle for SharedTask {
    fn abort(mut self: Box<Self>) {
        self.0 = None;
    }
}

impl Drop for SharedTask {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}
