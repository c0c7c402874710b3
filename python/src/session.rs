//! Sessions with databases, and their statements.

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, OnceLock, Weak};

use arrow::datatypes::SchemaRef;
use futures::{FutureExt, stream};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use pyo3_arrow::input::AnyRecordBatch;
use sheafdb::datafusion::logical_expr::Volatility;
use sheafdb::{
    Action, Change, Database, Error, ErrorKind, IfMissing, IfThere, Ingest, OpenOptions, Prepared,
    ScalarValue, arrow_type_of_text,
};
use tokio::task::block_in_place;

use crate::batches::{self, Batches};
use crate::ending::next_of;
use crate::errors::{programming_error, raised};
use crate::function::Function;
use crate::mount;
use crate::options::Options;
use crate::output::Output;
use crate::parameters;
use crate::source;
use crate::wait::Handle;

/// An open database; closed when nothing uses it any more.
pub struct Open {
    /// Not dropped in a process that was forked, where its threads are not.
    database: ManuallyDrop<Database>,
    /// What it was opened with.
    options: String,
    process: u32,
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // What was acknowledged is in the log already.
            let _ = self.database.close();
            // SAFETY: nothing uses it after this, and it is dropped nowhere else.
            unsafe { ManuallyDrop::drop(&mut self.database) }
        }
    }
}

/// The open databases of this process by their folders: who connects twice shares one.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Open>>>> = Mutex::new(None);

/// The process that first opened a database: its threads are not in those that it forks.
static PROCESS: OnceLock<u32> = OnceLock::new();

impl Open {
    fn get(path: Option<PathBuf>, options: OpenOptions) -> sheafdb::Result<Arc<Self>> {
        let process = std::process::id();
        if *PROCESS.get_or_init(|| process) != process {
            let what = "this process was forked from one that had opened a database: start \
                        processes by multiprocessing's spawn or forkserver";
            return Err(Error::new(ErrorKind::InvalidStatement, what));
        }
        let text = format!("{options:?}");
        let open = |database| {
            Arc::new(Self { database: ManuallyDrop::new(database), options: text.clone(), process })
        };
        let Some(path) = path else { return Ok(open(Database::in_memory_with(options)?)) };
        let mut all = OPEN.lock();
        let all = all.get_or_insert_default();
        let place = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        if let Some(open) = all.get(&place(&path)).and_then(Weak::upgrade) {
            if open.options == text {
                return Ok(open);
            }
            let what = format!("{} is open in this process with other options", path.display());
            return Err(Error::new(ErrorKind::InvalidParameter, what));
        }
        all.retain(|_, open| open.strong_count() > 0);
        let opened = open(Database::open_with(&path, options)?);
        all.insert(place(&path), Arc::downgrade(&opened));
        Ok(opened)
    }
}

/// A session with a database.
#[pyclass(frozen, module = "sheafdb._sheafdb")]
pub struct Session {
    open: Mutex<Option<(Arc<Open>, Handle)>>,
}

impl Session {
    fn new(open: Arc<Open>, handle: Handle) -> Self {
        Self { open: Mutex::new(Some((open, handle))) }
    }

    /// The session, while it is open.
    pub fn handle(&self, py: Python<'_>) -> PyResult<Handle> {
        Ok(self.both(py)?.1)
    }

    /// Whether it was given back.
    pub fn is_closed(&self) -> bool {
        self.open.lock().is_none()
    }

    /// The session, and what keeps its database open.
    pub fn both(&self, py: Python<'_>) -> PyResult<(Arc<Open>, Handle)> {
        let both = self.open.lock().clone();
        let both = both.ok_or_else(|| programming_error(py, "the connection is closed"))?;
        both.1.session(py)?;
        Ok(both)
    }
}

impl Drop for Session {
    /// Statements and relations that were made of it go on.
    fn drop(&mut self) {
        let open = self.open.lock().take();
        // Closing a database may wait for its disk.
        Python::attach(|py| py.detach(|| drop(open)));
    }
}

#[pymethods]
impl Session {
    /// Opens a database in a folder, or one in memory, or joins those in this process that have
    /// it open.
    #[staticmethod]
    fn connect(
        py: Python<'_>,
        path: Option<PathBuf>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let Options { open, settings } = Options::of(options)?;
        let opened = raised(py, py.detach(|| Open::get(path, open)))?;
        let handle = Handle::new(opened.database.session());
        for (name, value) in settings {
            let sql = format!("SET {name} = '{}'", value.replace('\'', "''"));
            handle.wait(py, handle.session(py)?.execute(&sql))?;
        }
        Ok(Self::new(opened, handle))
    }

    /// Another session with the same database.
    fn another(&self, py: Python<'_>) -> PyResult<Self> {
        let (open, _) = self.both(py)?;
        let handle = Handle::new(open.database.session());
        Ok(Self::new(open, handle))
    }

    /// The same session at the snapshot of now.
    fn pinned(&self, py: Python<'_>) -> PyResult<Self> {
        let (open, handle) = self.both(py)?;
        let session = handle.session(py)?;
        let pinned = raised(py, py.detach(|| session.pinned()))?;
        Ok(Self::new(open, Handle::new(pinned)))
    }

    /// The same session, whose statements can be ended without ending others.
    fn alone(&self, py: Python<'_>) -> PyResult<Self> {
        let (open, handle) = self.both(py)?;
        Ok(Self::new(open, handle.alone()))
    }

    /// The version that a pinned session reads.
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        Ok(self.handle(py)?.session(py)?.pinned_version())
    }

    #[getter]
    fn closed(&self) -> bool {
        self.is_closed()
    }

    /// Gives the session back; the database is closed with the last of its sessions.
    fn close(&self, py: Python<'_>) {
        if let Some((open, handle)) = self.open.lock().take() {
            handle.close();
            py.detach(|| drop((open, handle)));
        }
    }

    /// Ends the statements that run.
    fn interrupt(&self, py: Python<'_>) -> PyResult<()> {
        self.handle(py)?.interrupt();
        Ok(())
    }

    /// Calls `callback(seconds, (read, all))` while a statement takes long, with the bytes of
    /// files that it has read, if it reads some; and `callback(None, …)` when it is done.
    fn set_progress(&self, py: Python<'_>, callback: Option<Py<PyAny>>) -> PyResult<()> {
        drop(self.handle(py)?.set_progress(callback));
        Ok(())
    }

    /// The texts of the statements in a text.
    #[staticmethod]
    fn split(py: Python<'_>, sql: &str) -> PyResult<Vec<String>> {
        raised(py, sheafdb::Session::split(sql))
    }

    /// Parses one statement.
    fn prepare(&self, py: Python<'_>, sql: &str) -> PyResult<Statement> {
        let handle = self.handle(py)?;
        let session = handle.session(py)?;
        let prepared = raised(py, py.detach(|| session.prepare(sql)))?;
        Ok(Statement { handle: handle.alone(), prepared })
    }

    /// Whether a table or view of the database answers to a name without a schema.
    fn knows(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        let handle = self.handle(py)?;
        let session = handle.session(py)?;
        raised(py, py.detach(|| session.knows(name)))
    }

    /// The columns of a table, and those of its primary key.
    fn table(&self, py: Python<'_>, name: &str) -> PyResult<(Vec<String>, Vec<String>)> {
        let handle = self.handle(py)?;
        let session = handle.session(py)?;
        let table = raised(py, py.detach(|| session.table(name)))?;
        let columns: Vec<String> = table.live_columns().map(|column| column.name.clone()).collect();
        let key = table.key_indices().into_iter().map(|at| columns[at].clone()).collect();
        Ok((columns, key))
    }

    /// Adds a function of Python's for the statements of the session.
    #[pyo3(signature = (name, function, takes, returns, *, by_value, pure))]
    #[expect(clippy::too_many_arguments, reason = "named in Python")]
    fn create_function(
        &self,
        py: Python<'_>,
        name: String,
        function: Py<PyAny>,
        takes: Vec<String>,
        returns: &str,
        by_value: bool,
        pure: bool,
    ) -> PyResult<()> {
        let handle = self.handle(py)?;
        let takes: sheafdb::Result<Vec<_>> = takes.iter().map(|t| arrow_type_of_text(t)).collect();
        let takes = raised(py, takes)?;
        let returns = raised(py, arrow_type_of_text(returns))?;
        let volatility = if pure { Volatility::Immutable } else { Volatility::Volatile };
        let function = Function::udf(name, function, takes, returns, by_value, volatility);
        raised(py, handle.session(py)?.register_function(function))
    }

    /// Changes several tables in one commit: what each of `(table, action, rows)` says, where
    /// the action is `insert`, `upsert` or `delete`. Returns how many rows were put and deleted.
    fn write(
        &self,
        py: Python<'_>,
        changes: Vec<(String, String, PyRef<'_, Batches>)>,
    ) -> PyResult<(u64, u64)> {
        let handle = self.handle(py)?;
        let change = |(table, action, rows): (String, String, PyRef<'_, Batches>)| {
            let action = match action.as_str() {
                "insert" => Action::Insert,
                "upsert" => Action::Upsert,
                _ => Action::Delete,
            };
            Ok(Change { table, action, rows: rows.whole(py)? })
        };
        let changes = changes.into_iter().map(change).collect::<PyResult<_>>()?;
        let commit = handle.wait(py, handle.session(py)?.write(changes))?;
        Ok((commit.inserted, commit.deleted))
    }

    /// Adds rows to a table in one commit; returns how many there were.
    fn append(
        &self,
        py: Python<'_>,
        schema: Option<String>,
        table: String,
        data: AnyRecordBatch,
    ) -> PyResult<u64> {
        let handle = self.handle(py)?;
        let target = Ingest {
            schema,
            table,
            temporary: false,
            if_missing: IfMissing::Fail,
            if_there: IfThere::Append,
        };
        let mut reader = data.into_reader()?;
        let schema = reader.schema();
        // Whoever gives the rows may wait for something.
        let next = move || block_in_place(|| next_of(&mut reader));
        let rows = stream::iter(std::iter::from_fn(next));
        handle.wait(py, handle.session(py)?.ingest(target, schema, rows))
    }
}

/// A statement that was parsed.
#[pyclass(frozen, module = "sheafdb._sheafdb")]
pub struct Statement {
    handle: Handle,
    prepared: Prepared,
}

#[pymethods]
impl Statement {
    /// Whether it only asks.
    #[getter]
    fn is_query(&self) -> bool {
        self.prepared.is_query()
    }

    /// Whether it changes rows and gives none.
    #[getter]
    fn only_counts(&self) -> bool {
        self.prepared.only_counts()
    }

    /// The relations that it names without a schema.
    #[getter]
    fn names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        raised(py, self.prepared.names())
    }

    /// Ends it, if it runs.
    fn interrupt(&self) {
        self.handle.interrupt();
    }

    /// Runs it with these parameters and relations.
    #[pyo3(signature = (parameters, relations))]
    fn run(
        &self,
        py: Python<'_>,
        parameters: Vec<Bound<'_, PyAny>>,
        relations: Vec<(String, Bound<'_, PyAny>)>,
    ) -> PyResult<Output> {
        let parameters = self.parameters(py, parameters)?;
        let prepared = self.prepared(relations)?;
        let output = self.handle.wait(py, prepared.run(parameters))?;
        Ok(Output::new(self.handle.clone(), output))
    }

    /// The columns of its rows, without running it; `None` when it gives none.
    fn describe(
        &self,
        py: Python<'_>,
        parameters: Vec<Bound<'_, PyAny>>,
        relations: Vec<(String, Bound<'_, PyAny>)>,
    ) -> PyResult<Option<Columns>> {
        let types = parameters::values(parameters)?.iter().map(|v| v.data_type()).collect();
        let prepared = self.prepared(relations)?;
        let description = self.handle.wait(py, prepared.describe_with(types))?;
        Ok(description.columns.map(|schema| Columns { schema }))
    }

    /// The query, of this session, as a table of the session of datafusion-python that asks for it.
    fn mount<'py>(
        &self,
        py: Python<'py>,
        session: Py<Session>,
        parameters: Vec<Bound<'_, PyAny>>,
        relations: Vec<(String, Bound<'_, PyAny>)>,
        asking: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let parameters = self.parameters(py, parameters)?;
        let prepared = self.prepared(relations)?;
        let table = self.handle.wait(py, prepared.mounted(parameters))?;
        mount::capsule(py, table, session, asking)
    }

    /// The only row as Python's objects; `None` when there is none. For reads of single rows by
    /// their keys.
    fn row<'py>(
        &self,
        py: Python<'py>,
        parameters: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let parameters = self.parameters(py, parameters)?;
        self.handle.session(py)?;
        let output = match self.handle.may_block() {
            true => raised(py, py.detach(|| self.prepared.run_blocking(parameters)))?,
            false => self.handle.wait(py, self.prepared.run(parameters))?,
        };
        let mut rows = pin!(output.collect());
        // The rows of a read without a plan are there.
        let rows = match rows.as_mut().now_or_never() {
            Some(rows) => raised(py, rows)?,
            None => self.handle.wait(py, rows)?,
        };
        let Some(row) = rows.iter().find(|batch| batch.num_rows() > 0) else { return Ok(None) };
        let dict = PyDict::new(py);
        for (field, column) in row.schema_ref().fields().iter().zip(row.columns()) {
            let values = crate::objects::objects(py, &column.slice(0, 1))?;
            dict.set_item(field.name(), &values[0])?;
        }
        Ok(Some(dict))
    }
}

impl Statement {
    /// As many values as the statement has parameters.
    fn parameters(
        &self,
        py: Python<'_>,
        values: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<Vec<ScalarValue>> {
        let (wanted, given) = (self.prepared.parameter_count(), values.len());
        if wanted != given {
            let what = format!("the statement has {wanted} parameters, and {given} are given");
            return Err(programming_error(py, &what));
        }
        parameters::values(values)
    }

    fn prepared(&self, relations: Vec<(String, Bound<'_, PyAny>)>) -> PyResult<Prepared> {
        match relations.is_empty() {
            true => Ok(self.prepared.clone()),
            false => Ok(self.prepared.with_relations(source::relations(relations)?)),
        }
    }
}

/// The columns of rows that are not there yet.
#[pyclass(frozen, module = "sheafdb._sheafdb")]
pub struct Columns {
    schema: SchemaRef,
}

#[pymethods]
impl Columns {
    #[getter]
    fn names(&self) -> Vec<&str> {
        batches::names(&self.schema)
    }

    #[getter]
    fn types(&self) -> Vec<String> {
        batches::types(&self.schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        batches::schema_capsule(py, &self.schema)
    }
}
