//! Sessions: settings, prepared statements, and running one statement after another.

mod bytes;
mod context;
mod describe;
mod description;
mod duration;
mod memory;
mod mount;
mod output;
mod prepared;
mod run;
mod running;
mod settings;
mod spills;
mod state;
pub(crate) mod temporary;
mod units;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use futures::Stream;
use parking_lot::{Mutex, RwLock};
use sheaf_core::catalog::TableDef;
use sheaf_core::{Commit, Snapshot};

use crate::database::{Database, on_query_threads, on_waiting_thread, runtime};
use crate::dml::{self, Change, Ingest};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{FileAccess, Readings};
use crate::point::{self, PointStatement};
use crate::relation::Relations;
use crate::sql::{self, Statement};

pub(crate) use context::{Context, blocking};
pub use description::Description;
pub(crate) use memory::runtime_env;
pub use output::{CommandTag, Output, RowStream};
use prepared::Named;
pub use prepared::Prepared;
pub(crate) use running::{Running, RunningStatement};
pub use running::{StatementCounts, StatementInfo};
pub(crate) use settings::Settings;
pub(crate) use state::initial_state;

/// A session with a database: clone it freely, it is a handle.
///
/// Statements run on threads of the database, so any executor may await them, or
/// none with [`Session::execute_blocking`]. Dropping a future or a stream of rows
/// stops the statement.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
    view: View,
    /// The statement that this handle was made for.
    running: Option<Arc<RunningStatement>>,
}

/// What the statements of a handle see beside the newest snapshot.
#[derive(Clone, Default)]
pub(crate) struct View {
    relations: Relations,
    /// In place of the newest.
    pinned: Option<Snapshot>,
}

impl View {
    /// Whether a name means what the catalog says now.
    fn is_plain(&self) -> bool {
        self.relations.is_empty() && self.pinned.is_none()
    }
}

/// What a session begins with.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    user: Option<Arc<str>>,
    files: FileAccess,
}

impl SessionOptions {
    /// Nobody's, with all files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whose it is, which [`Database::statements`] tells.
    pub fn user(mut self, name: &str) -> Self {
        self.user = Some(name.into());
        self
    }

    /// The files that its statements may read and write.
    pub fn files(mut self, files: FileAccess) -> Self {
        self.files = files;
        self
    }
}

struct Inner {
    database: Database,
    user: Option<Arc<str>>,
    /// Functions, planners and DataFusion's settings.
    state: RwLock<Arc<SessionState>>,
    settings: RwLock<Arc<Settings>>,
    prepared: Mutex<HashMap<String, Named>>,
    readings: Readings,
    /// Functions of the program's, the oldest first.
    functions: Mutex<Vec<Arc<ScalarUDF>>>,
}

impl Drop for Inner {
    /// What is left when it cannot be dropped any more, the next opening drops.
    fn drop(&mut self) {
        let settings = self.settings.get_mut();
        if let Err(error) = temporary::drop_tables(self.database.store(), Some(&settings.temporary))
        {
            tracing::debug!(%error, "the temporary tables of a session stay");
        }
    }
}

impl Session {
    pub(crate) fn new(database: Database, options: SessionOptions) -> Self {
        let SessionOptions { user, files } = options;
        let state = Arc::clone(database.template());
        let settings = Settings::new(Arc::clone(database.store().memory()));
        Self {
            inner: Arc::new(Inner {
                database,
                user,
                state: RwLock::new(state),
                settings: RwLock::new(Arc::new(settings)),
                prepared: Mutex::new(HashMap::new()),
                readings: Readings::new(files),
                functions: Mutex::default(),
            }),
            view: View::default(),
            running: None,
        }
    }

    /// The same session, whose statements know these relations too. They come before tables,
    /// and in place of those that this handle had.
    pub fn with_relations(&self, relations: Relations) -> Self {
        let view = View { relations, ..self.view.clone() };
        Self { view, ..self.clone() }
    }

    /// The same session, whose statements read the database as it is now, whatever others
    /// change; they cannot change it. What the snapshot needs is kept while the handle is.
    pub fn pinned(&self) -> Result<Self> {
        let pinned = Some(self.inner.database.store().snapshot()?);
        let view = View { pinned, ..self.view.clone() };
        Ok(Self { view, ..self.clone() })
    }

    /// The version that [`Session::pinned`] reads.
    pub fn pinned_version(&self) -> Option<u64> {
        self.view.pinned.as_ref().map(Snapshot::seq)
    }

    /// Whether a table or a view answers to this name without a schema.
    pub fn knows(&self, name: &str) -> Result<bool> {
        let snapshot = match &self.view.pinned {
            Some(pinned) => pinned.clone(),
            None => self.inner.database.store().snapshot()?,
        };
        let catalog = snapshot.catalog();
        let settings = self.inner.settings.read().clone();
        let schema = catalog.schema(settings.schema_of(name, catalog));
        Ok(schema.is_some_and(|schema| {
            catalog.table(schema.id, name).is_some() || catalog.view(schema.id, name).is_some()
        }))
    }

    /// The table that a name means: `"readings"`, `hr.staff`.
    pub fn table(&self, name: &str) -> Result<Arc<TableDef>> {
        self.context(Vec::new())?.table(&sql::parse_object_name(name)?)
    }

    /// Adds a function for the statements of this session.
    pub fn register_function(&self, function: ScalarUDF) -> Result<()> {
        let mut state = self.inner.state.write();
        let mut changed = SessionState::clone(&state);
        let function = Arc::new(function);
        changed.register_udf(Arc::clone(&function))?;
        self.inner.functions.lock().push(function);
        let before = std::mem::replace(&mut *state, Arc::new(changed));
        drop(state);
        // What a function holds may take its time to go.
        drop(before);
        Ok(())
    }

    /// What a session starts with, and the functions that were added to it.
    fn fresh_state(&self) -> Result<Arc<SessionState>> {
        let functions = self.inner.functions.lock().clone();
        if functions.is_empty() {
            return Ok(Arc::clone(self.inner.database.template()));
        }
        let mut state = SessionState::clone(self.inner.database.template());
        for function in functions {
            state.register_udf(function)?;
        }
        Ok(Arc::new(state))
    }

    /// Runs one or more statements in order. Each is atomic by itself; the first that
    /// fails ends the run, and those before it stay done.
    pub async fn execute(&self, sql: &str) -> Result<Vec<Output>> {
        let Looked { point, statements } = self.look(sql)?;
        if let Some(point) = point
            && let (Some(output), _) = self.run_point(point, Vec::new()).await?
        {
            return Ok(vec![output]);
        }
        self.execute_planned(sql, statements).await
    }

    /// Runs exactly one statement.
    pub async fn query(&self, sql: &str) -> Result<Output> {
        self.query_with(sql, Vec::new()).await
    }

    /// Runs exactly one statement whose `$1`, `$2`… stand for `parameters`.
    pub async fn query_with(&self, sql: &str, parameters: Vec<ScalarValue>) -> Result<Output> {
        let Looked { point, statements } = self.look(sql)?;
        let mut parameters = parameters;
        if let Some(point) = point {
            let (output, given) = self.run_point(point, parameters).await?;
            if let Some(output) = output {
                return Ok(output);
            }
            parameters = given;
        }
        self.query_planned(sql, statements, parameters).await
    }

    /// Puts rows into a table in one commit; returns how many there were. Into a table that
    /// is there they go by the names of their columns, and columns that they do not have
    /// get their defaults. Values are assigned as by INSERT: one that does not fit is an
    /// error that names the column. However many rows there are, few are in memory.
    pub async fn ingest(
        &self,
        target: Ingest,
        schema: SchemaRef,
        rows: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    ) -> Result<u64> {
        self.check_changeable()?;
        let text = format!("INGEST INTO {}", target.table);
        self.on_query_threads(&text, async move |session| {
            let context = session.context(Vec::new())?;
            dml::ingest(&context, target, schema, rows).await
        })
        .await
    }

    /// Changes several tables in one commit: all of it happens, or nothing. Values are assigned
    /// as by INSERT.
    pub async fn write(&self, changes: Vec<Change>) -> Result<Commit> {
        self.check_changeable()?;
        self.on_query_threads("WRITE", async move |session| {
            dml::write_changes(&session.context(Vec::new())?, changes)
        })
        .await
    }

    /// Parses a statement to run it many times with different parameters.
    pub fn prepare(&self, sql: &str) -> Result<Prepared> {
        Prepared::new(self.clone(), sql)
    }

    /// Like [`Session::execute`], for callers without an executor. Not to be called
    /// from asynchronous code.
    pub fn execute_blocking(&self, sql: &str) -> Result<Vec<Output>> {
        let runtime = runtime()?;
        outside_of_executors()?;
        let Looked { point, statements } = self.look(sql)?;
        if let Some(point) = point
            && let Some(output) = self.answer(&point, &[])?
        {
            return Ok(vec![output]);
        }
        runtime.block_on(self.execute_planned(sql, statements))
    }

    /// Like [`Session::query_with`], for callers without an executor. Not to be
    /// called from asynchronous code. Changes of single rows are committed by the
    /// caller's own thread.
    pub fn query_blocking(&self, sql: &str, parameters: Vec<ScalarValue>) -> Result<Output> {
        let runtime = runtime()?;
        outside_of_executors()?;
        let Looked { point, statements } = self.look(sql)?;
        if let Some(point) = point
            && let Some(output) = self.answer(&point, &parameters)?
        {
            return Ok(output);
        }
        runtime.block_on(self.query_planned(sql, statements, parameters))
    }

    /// Runs a future to its end on the database's threads, for callers without an
    /// executor. Not to be called from asynchronous code.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T> {
        let runtime = runtime()?;
        outside_of_executors()?;
        Ok(runtime.block_on(future))
    }

    /// The texts of the statements in `sql`, without semicolons. The last one may
    /// lack its semicolon.
    pub fn split(sql: &str) -> Result<Vec<String>> {
        Ok(sql::split(sql))
    }

    /// The texts of the statements that `sql` completes with a semicolon, and the
    /// rest: for shells that read a stream and run each statement as it ends.
    pub fn split_complete(sql: &str) -> (Vec<String>, &str) {
        sql::complete_statements(sql)
    }

    /// False while `sql` ends inside a statement, a string, a quoted name or a
    /// comment: a shell should read another line.
    pub fn is_complete(sql: &str) -> bool {
        sql::is_complete(sql)
    }

    /// While a statement reads files: the bytes that it has read, and the bytes that
    /// there are.
    pub fn progress(&self) -> Option<(u64, u64)> {
        self.inner.readings.progress()
    }

    /// The database that the session is with.
    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// A pinned snapshot stays as it is.
    fn check_changeable(&self) -> Result<()> {
        match self.pinned_version() {
            None => Ok(()),
            Some(version) => Err(Error::new(
                ErrorKind::ReadOnly,
                format!("the snapshot of version {version} cannot be changed"),
            )),
        }
    }

    /// A statement's view of the world: the newest snapshot, the current settings.
    fn context(&self, parameters: Vec<ScalarValue>) -> Result<Context> {
        let state = self.inner.state.read().clone();
        let settings = self.inner.settings.read().clone();
        let readings = self.inner.readings.clone();
        let database = &self.inner.database;
        let running = self.running.clone();
        let view = self.view.clone();
        Context::new(database, &state, settings, readings, view, running, parameters)
    }

    /// Does the work of a statement on the query threads, where others see that it runs and
    /// may end it.
    async fn on_query_threads<T, F>(
        &self,
        sql: &str,
        work: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let timeout = self.inner.settings.read().statement_timeout;
        let running = self.inner.database.running().begin(self.inner.user.clone(), sql, timeout);
        let session = Self { running: Some(running.clone()), ..self.clone() };
        on_query_threads(async move {
            // It may be large, and the caller's stack small.
            let work = Box::pin(work(session));
            running.until_ended(work).await
        })
        .await
    }

    /// Looks for a statement about single rows. That is worth no other thread; longer
    /// texts may need the stack that the others have, and are left alone.
    fn look(&self, sql: &str) -> Result<Looked> {
        if !point::may_be(sql) {
            return Ok(Looked::default());
        }
        let known = self.inner.database.points();
        if let Some(point) = known.get(sql) {
            return Ok(Looked { point: Some(point), statements: None });
        }
        let statements = sql::parse(sql)?;
        let point = match statements.as_slice() {
            [only] => only.point().map(Arc::new),
            _ => None,
        };
        if let Some(point) = &point {
            known.put(sql, point);
        }
        Ok(Looked { point, statements: Some(statements) })
    }

    /// Runs a statement about single rows on this thread; `None` when it must be planned.
    fn answer(&self, point: &PointStatement, parameters: &[ScalarValue]) -> Result<Option<Output>> {
        if !self.view.is_plain() {
            return Ok(None);
        }
        let settings = self.inner.settings.read().clone();
        point.run(self.inner.database.store(), &settings, parameters)
    }

    /// The same for callers in executors, which must not wait for disks. Gives the
    /// parameters back.
    async fn run_point(
        &self,
        point: Arc<PointStatement>,
        parameters: Vec<ScalarValue>,
    ) -> Result<(Option<Output>, Vec<ScalarValue>)> {
        if !point.writes() {
            return Ok((self.answer(&point, &parameters)?, parameters));
        }
        let session = self.clone();
        on_waiting_thread(move || Ok((session.answer(&point, &parameters)?, parameters))).await
    }

    /// Plans and runs the only one of `statements`, or of what `sql` says.
    async fn query_planned(
        &self,
        sql: &str,
        statements: Option<Vec<Statement>>,
        parameters: Vec<ScalarValue>,
    ) -> Result<Output> {
        let text = sql.to_owned();
        self.on_query_threads(sql, async move |session| {
            let statement = sql::only(parsed(&text, statements)?)?;
            session.inner.readings.clear_progress();
            run::planned(&session, statement, parameters).await
        })
        .await
    }

    /// Runs `statements`, or what `sql` says, in order.
    async fn execute_planned(
        &self,
        sql: &str,
        statements: Option<Vec<Statement>>,
    ) -> Result<Vec<Output>> {
        let text = sql.to_owned();
        // Long texts need a deep stack to be parsed.
        let statements = on_query_threads(async move { parsed(&text, statements) }).await?;
        let mut outputs = Vec::with_capacity(statements.len());
        for statement in statements {
            let output = self.on_query_threads(sql, async move |session| {
                session.inner.readings.clear_progress();
                run::run(&session, statement, Vec::new()).await
            });
            outputs.push(output.await?);
        }
        Ok(outputs)
    }
}

/// What a look at a text has found.
#[derive(Default)]
struct Looked {
    point: Option<Arc<PointStatement>>,
    /// What the text says, if it had to be parsed.
    statements: Option<Vec<Statement>>,
}

fn parsed(sql: &str, statements: Option<Vec<Statement>>) -> Result<Vec<Statement>> {
    statements.map_or_else(|| sql::parse(sql), Ok)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("database", &self.inner.database).finish_non_exhaustive()
    }
}

/// Waiting inside an executor would stop it, or never end.
fn outside_of_executors() -> Result<()> {
    match tokio::runtime::Handle::try_current() {
        Ok(_) => Err(Error::new(
            ErrorKind::InvalidStatement,
            "a blocking call was made from asynchronous code: await the asynchronous method instead",
        )),
        Err(_) => Ok(()),
    }
}
