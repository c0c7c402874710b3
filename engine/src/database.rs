//! The open database, and the threads that its statements run on.

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use datafusion::execution::session_state::SessionState;
use sheaf_core::{Compression, Durability, Store};
use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, ErrorKind, Result};
use crate::point::PointCache;
use crate::session::{
    self, Running, Session, SessionOptions, StatementCounts, StatementInfo, temporary,
};

/// Deep expressions recurse in the parser, the planner and the optimizer.
const STACK_BYTES: usize = 16 << 20;

/// How to open a database.
///
/// ```no_run
/// use sheafdb::{Database, OpenOptions};
/// let readings = Database::open_with("readings.db", OpenOptions::new().read_only(true))?;
/// # Ok::<(), sheafdb::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    store: sheaf_core::Options,
}

impl OpenOptions {
    /// The defaults: made when missing, writable, every commit synced.
    pub fn new() -> Self {
        Self::default()
    }

    /// Make the database when it is not there (the default), or fail.
    pub fn create(mut self, create: bool) -> Self {
        self.store.create = create;
        self
    }

    /// Open beside a writer, for reading only.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.store.read_only = read_only;
        self
    }

    /// When a commit is acknowledged, unless the session or the commit chooses.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.store.durability = durability;
        self
    }

    /// How often commits with [`Durability::Interval`] reach stable storage.
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.store.sync_interval = interval;
        self
    }

    /// Bytes that the database may use, mapped files apart: rows in memory, caches, jobs and
    /// queries together. Past it writers are slowed, caches shrink and queries spill. The
    /// default is four fifths of what the machine, or the process's control group, has.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.store.memory_limit = bytes;
        self
    }

    /// Bytes of rows in memory that trigger a flush.
    pub fn memtable_bytes(mut self, bytes: usize) -> Self {
        self.store.memtable_bytes = bytes;
        self
    }

    /// Bytes of the log from which on the tables are flushed that it is kept for; writers are
    /// slowed at twice as many, and wait at four times as many.
    pub fn log_bytes(mut self, bytes: u64) -> Self {
        self.store.log_bytes = bytes;
        self
    }

    /// How rows of large commits are written to the log.
    pub fn log_compression(mut self, compression: Compression) -> Self {
        self.store.log_compression = compression;
        self
    }

    /// Rows of a full segment.
    pub fn segment_rows(mut self, rows: usize) -> Self {
        self.store.segment_rows = rows;
        self
    }

    /// Flush and compact in the background (the default).
    pub fn background(mut self, background: bool) -> Self {
        self.store.background = background;
        self
    }
}

impl From<sheaf_core::Options> for OpenOptions {
    fn from(store: sheaf_core::Options) -> Self {
        Self { store }
    }
}

/// An open database: clone it freely, it is a handle.
#[derive(Clone)]
pub struct Database {
    store: Store,
    /// What every session starts with: functions, defaults, the memory pool.
    template: Arc<SessionState>,
    /// Statements about single rows that sessions ran lately.
    points: Arc<PointCache>,
    running: Arc<Running>,
}

impl Database {
    /// Opens the database in a folder, and makes it when it is not there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, OpenOptions::new())
    }

    /// Opens the database in a folder.
    pub fn open_with(path: impl AsRef<Path>, options: impl Into<OpenOptions>) -> Result<Self> {
        let options = options.into().store;
        let folder = (!options.read_only).then_some(path.as_ref());
        Self::with_store(Store::open(path.as_ref(), options.clone())?, folder)
    }

    /// A database that lives in memory.
    pub fn in_memory() -> Result<Self> {
        Self::in_memory_with(OpenOptions::new())
    }

    /// A database that lives in memory.
    pub fn in_memory_with(options: impl Into<OpenOptions>) -> Result<Self> {
        Self::with_store(Store::in_memory(options.into().store)?, None)
    }

    fn with_store(store: Store, folder: Option<&Path>) -> Result<Self> {
        let runtime = session::runtime_env(store.memory(), folder)?;
        let template = Arc::new(session::initial_state(runtime)?);
        if !store.is_read_only() {
            temporary::drop_tables(&store, None)?;
        }
        Ok(Self { store, template, points: Arc::default(), running: Arc::default() })
    }

    /// A new session: its settings and prepared statements are its own.
    pub fn session(&self) -> Session {
        self.session_with(SessionOptions::new())
    }

    /// A new session for somebody else than who opened the database.
    pub fn session_with(&self, options: SessionOptions) -> Session {
        Session::new(self.clone(), options)
    }

    /// The statements that run, the oldest first: `sheaf.queries` in SQL.
    pub fn statements(&self) -> Vec<StatementInfo> {
        self.running.list()
    }

    /// How many statements there were.
    pub fn statement_counts(&self) -> StatementCounts {
        self.running.counts()
    }

    /// Ends a statement, which fails with [`ErrorKind::Cancelled`]; false when it does not
    /// run. In SQL it is `CANCEL n`.
    pub fn cancel(&self, statement: u64) -> bool {
        self.running.cancel(statement)
    }

    /// The store below: snapshots, point reads, write batches.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Drops temporary tables, stops background work, makes the log durable and gives the lock
    /// back.
    pub fn close(&self) -> Result<()> {
        if !self.store.is_read_only()
            && let Err(error) = temporary::drop_tables(&self.store, None)
        {
            tracing::debug!(%error, "temporary tables stay until the next opening");
        }
        Ok(self.store.close()?)
    }

    /// What every session starts with.
    pub(crate) fn template(&self) -> &Arc<SessionState> {
        &self.template
    }

    pub(crate) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    pub(crate) fn points(&self) -> &PointCache {
        &self.points
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("read_only", &self.store.is_read_only()).finish()
    }
}

/// The threads that statements run on: one pool for the whole process, so that a
/// caller needs no runtime of its own and deep statements have deep stacks.
pub(crate) fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread()
        .thread_name("sheaf-query")
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Io, format!("cannot start the query threads: {e}")))?;
    // Two threads may get here at once. The loser's runtime has nothing to do yet,
    // and must not be dropped where blocking is not allowed.
    if let Err(spare) = RUNTIME.set(runtime) {
        spare.shutdown_background();
    }
    RUNTIME.get().ok_or_else(|| Error::new(ErrorKind::Internal, "the query threads did not start"))
}

/// Runs `work` on the query threads. A panic in it becomes an error; dropping the
/// returned future stops it.
pub(crate) async fn on_query_threads<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let task = AbortOnDrop(runtime()?.spawn(work));
    task.outcome().await
}

/// Runs `work`, which may wait for disks, on a thread that nothing else is to run on.
/// Dropping the returned future stops it only before it begins.
pub(crate) async fn on_waiting_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let task = AbortOnDrop(runtime()?.spawn_blocking(work));
    task.outcome().await
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> AbortOnDrop<Result<T>> {
    async fn outcome(mut self) -> Result<T> {
        match (&mut self.0).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_cancelled() => {
                Err(Error::new(ErrorKind::Cancelled, "the statement was cancelled"))
            }
            Err(error) => Err(panic_error(error.into_panic().as_ref())),
        }
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a panic said, as an error: the session stays usable after it.
pub(crate) fn panic_error(payload: &(dyn std::any::Any + Send)) -> Error {
    let said = payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Error::new(ErrorKind::Internal, format!("the engine failed inside: {said}"))
        .hint("the session and the database stay usable; please report the statement")
}
