//! Who does the work of commits: whichever caller finds nobody at it.
//!
//! ```text
//! caller:  command -> queue ── nobody leads ──> serves the queue, its own command too
//!                          └─ somebody does ──> waits for its answer, or for the lead
//! leader:  group done -> the first that still waits leads on, or nobody
//! ```
//!
//! A lone writer commits without waking another thread, and while a leader waits for
//! the disk the next group gathers behind it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{Command, Committer};
use crate::{Error, Result};

/// See the module's documentation.
pub(crate) struct CommitQueue {
    queue: Mutex<Queue>,
    /// Locked by the leader alone; gone when the queue is closed.
    committer: Mutex<Option<Committer>>,
    /// The log must be synced at another time than before, or never again.
    timer: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Command, Arc<Caller>)>,
    led: bool,
    closed: bool,
    /// How long until the log must be synced; unset when it is.
    sync_in: Option<Duration>,
}

/// A thread whose command is in the queue.
struct Caller {
    thread: Thread,
    /// Set when it is to lead.
    lead: AtomicBool,
}

/// Where the answer to a command goes. One that is dropped says that the store has
/// stopped: no caller waits in vain.
pub(crate) struct Reply<T> {
    answer: Arc<Mutex<Option<Result<T>>>>,
    caller: Arc<Caller>,
}

impl<T> Reply<T> {
    /// Answers the caller.
    pub(crate) fn send(self, answer: Result<T>) {
        *self.answer.lock() = Some(answer);
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        self.answer.lock().get_or_insert_with(|| Err(closed()));
        self.caller.thread.unpark();
    }
}

fn closed() -> Error {
    Error::Stopped("the database is closed".into())
}

impl CommitQueue {
    pub(crate) fn new(committer: Committer) -> Self {
        Self {
            queue: Mutex::default(),
            committer: Mutex::new(Some(committer)),
            timer: Condvar::new(),
        }
    }

    /// Has a command served and returns its answer.
    pub(crate) fn call<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        let caller =
            Arc::new(Caller { thread: std::thread::current(), lead: AtomicBool::new(false) });
        let answer = Arc::new(Mutex::new(None));
        let reply = Reply { answer: Arc::clone(&answer), caller: Arc::clone(&caller) };
        let leads = {
            let mut queue = self.queue.lock();
            if queue.closed {
                return Err(closed());
            }
            queue.waiting.push_back((command(reply), Arc::clone(&caller)));
            !std::mem::replace(&mut queue.led, true)
        };
        let answered = || answer.lock().is_some();
        if leads {
            self.lead(&answered);
        }
        loop {
            if let Some(answer) = answer.lock().take() {
                return answer;
            }
            // The lead goes to those alone who have no answer yet.
            if caller.lead.swap(false, Ordering::Acquire) {
                self.lead(&answered);
            } else {
                std::thread::park();
            }
        }
    }

    /// Syncs the log whenever that is due; returns when the queue is closed.
    pub(crate) fn sync_when_due(&self) {
        let mut queue = self.queue.lock();
        while !queue.closed {
            let Some(time) = queue.sync_in else {
                self.timer.wait(&mut queue);
                continue;
            };
            // A sync meanwhile, and a write after it, begin the wait anew.
            if self.timer.wait_for(&mut queue, time).timed_out() && queue.sync_in.is_some() {
                drop(queue);
                // What goes wrong stops the store, and the next writer is told.
                let _ = self.call(Command::Sync);
                queue = self.queue.lock();
            }
        }
    }

    /// Serves what is in the queue, until the leader's own command is `answered`, and
    /// hands the lead on.
    fn lead(&self, answered: &dyn Fn() -> bool) {
        let mut committer = self.committer.lock();
        let mut next = || if answered() { None } else { self.next() };
        let served = catch_unwind(AssertUnwindSafe(|| {
            committer.as_mut().is_some_and(|it| it.serve(&mut next))
        }));
        if let (Err(_), Some(committer)) = (&served, committer.as_mut()) {
            committer.stop("a commit panicked".to_owned());
        }
        let open = served.unwrap_or(false);
        let sync_in = committer.as_ref().and_then(Committer::sync_in);
        if !open {
            *committer = None;
        }
        drop(committer);

        let mut queue = self.queue.lock();
        let set = sync_in.is_some() && queue.sync_in.is_none();
        queue.sync_in = sync_in;
        if !open {
            queue.closed = true;
            queue.waiting.clear();
        }
        if set || !open {
            self.timer.notify_one();
        }
        queue.led = match queue.waiting.front() {
            Some((_, next)) => {
                next.lead.store(true, Ordering::Release);
                next.thread.unpark();
                true
            }
            None => false,
        };
    }

    fn next(&self) -> Option<Command> {
        self.queue.lock().waiting.pop_front().map(|(command, _)| command)
    }
}
