//! Sessions: settings, prepared statements, and running one statement after another.

mod bytes;
mod context;
mod describe;
mod memory;
mod output;
mod prepared;
mod run;
mod settings;
mod state;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::execution::session_state::SessionState;
use parking_lot::{Mutex, RwLock};

use crate::database::{Database, on_query_threads, runtime};
use crate::error::{Error, ErrorKind, Result};
use crate::files::Readings;
use crate::point::{self, PointQuery};
use crate::sql::{self, Statement};

pub(crate) use context::{Context, blocking};
pub(crate) use memory::runtime_env;
pub use output::{CommandTag, Output, RowStream};
use prepared::Named;
pub use prepared::Prepared;
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
}

struct Inner {
    database: Database,
    /// Functions, planners and DataFusion's settings.
    state: RwLock<Arc<SessionState>>,
    settings: RwLock<Arc<Settings>>,
    prepared: Mutex<HashMap<String, Named>>,
    readings: Readings,
}

impl Session {
    pub(crate) fn new(database: Database) -> Self {
        let state = Arc::clone(database.template());
        let settings = Settings::new(Arc::clone(database.store().memory()));
        Self {
            inner: Arc::new(Inner {
                database,
                state: RwLock::new(state),
                settings: RwLock::new(Arc::new(settings)),
                prepared: Mutex::new(HashMap::new()),
                readings: Readings::default(),
            }),
        }
    }

    /// Runs one or more statements in order. Each is atomic by itself; the first that
    /// fails ends the run, and those before it stay done.
    pub async fn execute(&self, sql: &str) -> Result<Vec<Output>> {
        let (session, sql) = (self.clone(), sql.to_owned());
        on_query_threads(async move {
            let mut outputs = Vec::new();
            for statement in sql::parse(&sql)? {
                outputs.push(session.run(statement, Vec::new()).await?);
            }
            Ok(outputs)
        })
        .await
    }

    /// Runs exactly one statement.
    pub async fn query(&self, sql: &str) -> Result<Output> {
        self.query_with(sql, Vec::new()).await
    }

    /// Runs exactly one statement whose `$1`, `$2`… stand for `parameters`.
    pub async fn query_with(&self, sql: &str, parameters: Vec<ScalarValue>) -> Result<Output> {
        // Worth no other thread. Longer texts may need the stack that the others have.
        if point::may_be(sql)
            && let Some(point) = sql::parse_one(sql)?.point_query()
            && let Some(output) = self.answer(&point, &parameters)?
        {
            return Ok(output);
        }
        let (session, sql) = (self.clone(), sql.to_owned());
        on_query_threads(async move { session.run(sql::parse_one(&sql)?, parameters).await }).await
    }

    /// Parses a statement to run it many times with different parameters.
    pub fn prepare(&self, sql: &str) -> Result<Prepared> {
        Ok(Prepared::new(self.clone(), sql::parse_one(sql)?))
    }

    /// Like [`Session::execute`], for callers without an executor. Not to be called
    /// from asynchronous code.
    pub fn execute_blocking(&self, sql: &str) -> Result<Vec<Output>> {
        let runtime = runtime()?;
        outside_of_executors()?;
        runtime.block_on(self.execute(sql))
    }

    /// Like [`Session::query_with`], for callers without an executor. Not to be
    /// called from asynchronous code.
    pub fn query_blocking(&self, sql: &str, parameters: Vec<ScalarValue>) -> Result<Output> {
        let runtime = runtime()?;
        outside_of_executors()?;
        runtime.block_on(self.query_with(sql, parameters))
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

    /// A statement's view of the world: the newest snapshot, the current settings.
    fn context(&self, parameters: Vec<ScalarValue>) -> Result<Context> {
        let state = self.inner.state.read().clone();
        let settings = self.inner.settings.read().clone();
        let readings = self.inner.readings.clone();
        Context::new(&self.inner.database, &state, settings, readings, parameters)
    }

    /// The answer to a query for one row by its key; `None` when it must be planned.
    fn answer(&self, point: &PointQuery, parameters: &[ScalarValue]) -> Result<Option<Output>> {
        let settings = self.inner.settings.read().clone();
        point.answer(self.inner.database.store(), &settings, parameters)
    }

    async fn run(&self, statement: Statement, parameters: Vec<ScalarValue>) -> Result<Output> {
        self.inner.readings.clear_progress();
        run::run(self, statement, parameters).await
    }
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
