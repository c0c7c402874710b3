//! One statement's view of the world: one snapshot, and how to plan and run on it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, FieldRef};
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Statement};
use futures::TryStreamExt;
use sheaf_core::catalog::TableDef;
use sheaf_core::{Commit, Store, Write, WriteBatch};

use super::{RunningStatement, Settings, View};
use crate::catalog::PinnedCatalog;
use crate::database::Database;
use crate::error::{Error, Result};
use crate::files::{Readings, naming_files};
use crate::sql::{self, Resolved};

/// What a statement sees and works with.
#[derive(Clone)]
pub(crate) struct Context {
    pub store: Store,
    pub state: Arc<SessionState>,
    pub catalog: PinnedCatalog,
    pub settings: Arc<Settings>,
    running: Option<Arc<RunningStatement>>,
    parameters: Vec<ScalarValue>,
}

impl Context {
    pub(super) fn new(
        database: &Database,
        state: &SessionState,
        settings: Arc<Settings>,
        readings: Readings,
        view: View,
        running: Option<Arc<RunningStatement>>,
        parameters: Vec<ScalarValue>,
    ) -> Result<Self> {
        let store = database.store().clone();
        let snapshot = match &view.pinned {
            Some(pinned) => pinned.clone(),
            None => store.snapshot()?,
        };
        let mut state = state.clone();
        // now() is the same in all of the statement.
        state.mark_start_execution();
        let state = Arc::new(state);
        let catalog = PinnedCatalog::new(
            store.clone(),
            snapshot,
            Arc::clone(&state),
            Arc::clone(&settings),
            readings,
            Arc::clone(database.running()),
            view.relations,
        );
        Ok(Self { store, state, catalog, settings, running, parameters })
    }

    /// The same, with tables of the statement's own in the schema
    /// [`crate::catalog::SCRATCH`].
    pub(crate) fn with_scratch(
        &self,
        tables: impl IntoIterator<Item = (&'static str, Arc<dyn TableProvider>)>,
    ) -> Self {
        Self { catalog: self.catalog.with_scratch(tables), ..self.clone() }
    }

    /// What a name means.
    pub(crate) fn resolve(&self, name: &ObjectName) -> Result<Resolved> {
        let resolved = self.resolve_new(name)?;
        if name.0.len() > 1 {
            return Ok(resolved);
        }
        let schema = self.catalog.schema_of(&resolved.name).to_owned();
        Ok(Resolved { schema, ..resolved })
    }

    /// What a name means for something that is made with it, and is not temporary.
    pub(crate) fn resolve_new(&self, name: &ObjectName) -> Result<Resolved> {
        sql::resolve(name, &self.settings.schema)
    }

    /// The stored table that a name means.
    pub(crate) fn table(&self, name: &ObjectName) -> Result<Arc<TableDef>> {
        let resolved = self.resolve(name)?;
        let table = self.catalog.stored_table(&resolved);
        table.cloned().map_err(|error| error.at(sql::position_of(name)))
    }

    /// Plans a query, or EXPLAIN of one.
    pub(crate) async fn plan(&self, statement: Statement) -> Result<LogicalPlan> {
        let field = |value: &ScalarValue| Arc::new(Field::new("", value.data_type(), true));
        let types: Vec<Option<FieldRef>> =
            self.parameters.iter().map(|value| Some(field(value))).collect();
        let plan = self.bind(statement, &types).await?;
        if self.parameters.is_empty() {
            return Ok(plan);
        }
        Ok(plan.with_param_values(self.parameters.clone())?)
    }

    /// Plans a query whose parameters have these types, or any, and no values yet.
    pub(crate) async fn bind(
        &self,
        statement: Statement,
        types: &[Option<FieldRef>],
    ) -> Result<LogicalPlan> {
        sql::bind_query(&self.state, &self.catalog, statement, types).await
    }

    pub(crate) async fn plan_query(&self, query: Query) -> Result<LogicalPlan> {
        self.plan(Statement::Query(Box::new(query))).await
    }

    /// A plan as it will run.
    pub(crate) async fn physical(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.state.create_physical_plan(plan).await?)
    }

    /// Starts a plan.
    pub(crate) async fn stream(&self, plan: &LogicalPlan) -> Result<SendableRecordBatchStream> {
        let physical = self.physical(plan).await?;
        let Some(running) = &self.running else {
            let rows = execute_stream(Arc::clone(&physical), self.state.task_ctx())?;
            return Ok(naming_files(physical, rows));
        };
        let task = TaskContext::from(self.state.as_ref());
        let task = task.with_runtime(running.runtime_env(self.state.runtime_env()));
        let rows = execute_stream(Arc::clone(&physical), Arc::new(task))?;
        Ok(running.watch(naming_files(physical, rows)))
    }

    /// Runs a plan to its end.
    pub(crate) async fn collect(&self, plan: &LogicalPlan) -> Result<RecordBatch> {
        let stream = self.stream(plan).await?;
        let schema = stream.schema();
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        Ok(arrow::compute::concat_batches(&schema, &batches)?)
    }

    /// Evaluates an expression without columns, once for each of `rows`.
    pub(crate) fn evaluate(&self, expression: Expr, rows: usize) -> Result<arrow::array::ArrayRef> {
        sql::bind_constant(&self.state, &self.catalog, expression, rows)
    }

    /// Commits changes of rows that were read at this snapshot.
    pub(crate) fn commit(&self, writes: Vec<Write>) -> Result<Commit> {
        self.write(writes, Some(self.catalog.snapshot().seq()))
    }

    /// Commits rows that do not depend on what was read.
    pub(crate) fn append(&self, writes: Vec<Write>) -> Result<Commit> {
        self.write(writes, None)
    }

    fn write(&self, writes: Vec<Write>, read_at: Option<u64>) -> Result<Commit> {
        let batch = WriteBatch { writes, read_at, durability: self.settings.durability };
        blocking(|| self.store.commit(batch)).map_err(Error::from)
    }
}

/// Work that waits for disks. Statements run on threads of a pool that has others
/// take over what this one would have done.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
