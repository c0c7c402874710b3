//! Statements that run: whose they are, since when, what they hold, and how to end them.
//!
//! A statement is listed from its planning until its last row was taken, or its stream
//! dropped; then it is counted, and told to whoever collects traces. Those about single
//! rows, which are answered without a plan, are too short for that.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result as PlanResult;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{FutureExt, Stream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

use super::duration;
use crate::error::{Error, ErrorKind, Result};

/// Characters of a statement that are kept.
const TEXT_MAX: usize = 10_000;

/// What logs know statements by.
const LOG: &str = "sheaf::statement";

/// A statement that runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StatementInfo {
    /// Its number, for `CANCEL n`.
    pub id: u64,
    /// Who runs it, where sessions have users.
    pub user: Option<String>,
    /// Its text, or how it begins.
    pub sql: String,
    /// Start, microseconds since the Unix epoch.
    pub started_us: i64,
    /// Rows that its plan has given so far.
    pub rows: u64,
    /// Bytes that its operators hold.
    pub bytes: u64,
}

/// What became of the statements of a database since it was opened, those about single rows
/// apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatementCounts {
    /// Those that began.
    pub began: u64,
    /// Those that ended with an error.
    pub failed: u64,
    /// Rows that they gave.
    pub rows: u64,
}

/// The statements of all sessions with a database.
#[derive(Debug, Default)]
pub(crate) struct Running {
    last_id: AtomicU64,
    failed: AtomicU64,
    rows: AtomicU64,
    statements: Mutex<BTreeMap<u64, Weak<RunningStatement>>>,
}

/// One of them; see the module's documentation.
#[derive(Debug)]
pub(crate) struct RunningStatement {
    running: Arc<Running>,
    id: u64,
    user: Option<Arc<str>>,
    sql: String,
    started_us: i64,
    began: Instant,
    span: Span,
    rows: AtomicU64,
    bytes: Arc<AtomicUsize>,
    /// The SQLSTATE that it ended with.
    failed: OnceLock<&'static str>,
    limit: Option<(Duration, Instant)>,
    cancelled: watch::Sender<bool>,
}

impl Running {
    /// Lists a statement, until the last handle to it is dropped. It ends with an error when
    /// it takes longer than `timeout`.
    pub(crate) fn begin(
        self: &Arc<Self>,
        user: Option<Arc<str>>,
        sql: &str,
        timeout: Option<Duration>,
    ) -> Arc<RunningStatement> {
        let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let (id, sql) = (self.last_id.fetch_add(1, Ordering::Relaxed) + 1, shown(sql));
        let span = span(id, user.as_deref(), &sql);
        let statement = Arc::new(RunningStatement {
            running: Arc::clone(self),
            id,
            user,
            sql,
            started_us: since_epoch.as_micros() as i64,
            began: Instant::now(),
            span,
            rows: AtomicU64::new(0),
            bytes: Arc::default(),
            failed: OnceLock::new(),
            limit: timeout.map(|timeout| (timeout, Instant::now() + timeout)),
            cancelled: watch::Sender::new(false),
        });
        self.statements.lock().insert(statement.id, Arc::downgrade(&statement));
        statement
    }

    /// What became of those that do not run any more, and how many there were in all.
    pub(crate) fn counts(&self) -> StatementCounts {
        StatementCounts {
            began: self.last_id.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
        }
    }

    /// What runs, the oldest first.
    pub(crate) fn list(&self) -> Vec<StatementInfo> {
        let statements: Vec<_> = self.statements.lock().values().cloned().collect();
        let info = |s: Arc<RunningStatement>| StatementInfo {
            id: s.id,
            user: s.user.as_deref().map(str::to_owned),
            sql: s.sql.clone(),
            started_us: s.started_us,
            rows: s.rows.load(Ordering::Relaxed),
            bytes: s.bytes.load(Ordering::Relaxed) as u64,
        };
        statements.iter().filter_map(Weak::upgrade).map(info).collect()
    }

    /// Ends a statement; false when it does not run.
    pub(crate) fn cancel(&self, id: u64) -> bool {
        let statement = self.statements.lock().get(&id).and_then(Weak::upgrade);
        statement.is_some_and(|statement| !statement.cancelled.send_replace(true))
    }
}

/// How a statement begins. Of one that may set a password, right or wrong as SQL, no text in
/// quotes is shown.
fn shown(sql: &str) -> String {
    let mut text: String = sql.trim().chars().take(TEXT_MAX).collect();
    let lower = text.to_ascii_lowercase();
    let has_one_of = |words: [&str; 2]| {
        let mut found = lower.split(|c: char| !c.is_alphanumeric() && c != '_');
        found.any(|word| words.contains(&word))
    };
    if has_one_of(["create", "alter"])
        && has_one_of(["user", "role"])
        && let Some(at) = text.find(['\'', '"', '$'])
    {
        text.truncate(at);
        text.push('…');
    }
    text
}

/// What traces tell of a statement, by the names that OpenTelemetry has for it.
fn span(id: u64, user: Option<&str>, sql: &str) -> Span {
    tracing::debug_span!(
        target: LOG,
        "statement",
        query = id,
        otel.kind = "server",
        otel.status_code = Empty,
        user.name = user,
        db.system.name = "sheaf",
        db.query.text = sql,
        db.response.returned_rows = Empty,
        db.response.status_code = Empty,
    )
}

impl Drop for RunningStatement {
    fn drop(&mut self) {
        self.running.statements.lock().remove(&self.id);
        let (rows, failed) = (*self.rows.get_mut(), self.failed.get());
        self.running.rows.fetch_add(rows, Ordering::Relaxed);
        self.running.failed.fetch_add(u64::from(failed.is_some()), Ordering::Relaxed);
        let (query, user, sql) = (self.id, self.user.as_deref(), &*self.sql);
        let seconds = self.began.elapsed().as_secs_f64();
        self.span.record("db.response.returned_rows", rows);
        if let Some(sqlstate) = failed {
            self.span.record("db.response.status_code", sqlstate);
            self.span.record("otel.status_code", "ERROR");
        }
        match failed {
            Some(sqlstate) => {
                tracing::info!(target: LOG, query, user, seconds, rows, sqlstate, sql, "failed");
            }
            None => tracing::debug!(target: LOG, query, user, seconds, rows, sql, "done"),
        }
    }
}

impl RunningStatement {
    /// Does `work`, unless the statement is ended before.
    pub(crate) async fn until_ended<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = tokio::select! {
            biased;
            outcome = work => outcome,
            error = self.ended() => Err(error),
        };
        outcome.inspect_err(|error| self.fails(error))
    }

    /// Notes that it ends with an error.
    fn fails(&self, error: &Error) {
        // The first is the cause of others.
        let _ = self.failed.set(error.sqlstate());
    }

    /// Comes back when the statement is cancelled or its time is over.
    fn ended(&self) -> impl Future<Output = Error> + Send + use<> {
        let (mut cancelled, limit) = (self.cancelled.subscribe(), self.limit);
        async move {
            // It only fails when the statement is gone, and then nobody asks.
            let cancelled = async move { drop(cancelled.wait_for(|cancelled| *cancelled).await) };
            match limit {
                None => cancelled.await,
                Some((_, end)) => drop(tokio::time::timeout_at(end, cancelled).await),
            }
            end_of(limit)
        }
    }

    /// The error of a statement that is over, though its rows never had to be waited for.
    fn end_if_over(&self) -> Option<Error> {
        let over = self.limit.is_some_and(|(_, end)| Instant::now() >= end);
        (over || *self.cancelled.borrow()).then(|| end_of(self.limit))
    }

    /// Rows that end when the statement does, and keep it listed until then.
    pub(crate) fn watch(
        self: &Arc<Self>,
        rows: SendableRecordBatchStream,
    ) -> SendableRecordBatchStream {
        let ended = self.ended().boxed();
        Box::pin(Watched { rows, statement: Arc::clone(self), ended })
    }

    /// What its operators run with.
    pub(crate) fn runtime_env(&self, all: &RuntimeEnv) -> Arc<RuntimeEnv> {
        let memory_pool = Arc::new(StatementMemory {
            all: Arc::clone(&all.memory_pool),
            bytes: Arc::clone(&self.bytes),
        });
        Arc::new(RuntimeEnv { memory_pool, ..all.clone() })
    }
}

fn end_of(limit: Option<(Duration, Instant)>) -> Error {
    match limit {
        Some((limit, end)) if Instant::now() >= end => Error::new(
            ErrorKind::Cancelled,
            format!("the statement ran longer than {}", duration::show(limit)),
        )
        .hint("SET statement_timeout = 0 lifts the limit"),
        _ => Error::new(ErrorKind::Cancelled, "the statement was cancelled"),
    }
}

/// See [`RunningStatement::watch`].
struct Watched {
    rows: SendableRecordBatchStream,
    statement: Arc<RunningStatement>,
    ended: Pin<Box<dyn Future<Output = Error> + Send>>,
}

impl Stream for Watched {
    type Item = PlanResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let error = match self.rows.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(batch))) => match self.statement.end_if_over() {
                Some(error) => error,
                None => {
                    self.statement.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
                    return Poll::Ready(Some(Ok(batch)));
                }
            },
            Poll::Ready(Some(Err(error))) => error.into(),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => ready!(self.ended.poll_unpin(cx)),
        };
        self.statement.fails(&error);
        Poll::Ready(Some(Err(error.into())))
    }
}

impl RecordBatchStream for Watched {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

/// The memory of all statements, and how much of it is one's.
#[derive(Debug)]
struct StatementMemory {
    all: Arc<dyn MemoryPool>,
    bytes: Arc<AtomicUsize>,
}

impl MemoryPool for StatementMemory {
    fn name(&self) -> &str {
        self.all.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.all.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.all.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.all.grow(reservation, additional);
        self.bytes.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.all.shrink(reservation, shrink);
        self.bytes.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> PlanResult<()> {
        self.all.try_grow(reservation, additional)?;
        self.bytes.fetch_add(additional, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.all.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.all.memory_limit()
    }
}

impl std::fmt::Display for StatementMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.all.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("Create User ada Password 'x'; SELECT 1"), "Create User ada Password …");
        assert_eq!(
            shown("ALTER/* */ROLE\nada\tIDENTIFIED $$x$$"),
            "ALTER/* */ROLE\nada\tIDENTIFIED …"
        );
        assert_eq!(shown(" SELECT 'password' FROM users "), "SELECT 'password' FROM users");
    }
}
