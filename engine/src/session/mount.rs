//! Queries as tables of another DataFusion, which a program plans with by itself.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session as PlanSession, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, TableProviderFilterPushDown, TableType,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::sql::sqlparser::ast::Statement;
use futures::{TryFutureExt, TryStreamExt};

use super::{Output, Prepared, RowStream, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::sql;

impl Prepared {
    /// The query as a table of another DataFusion: each scan there runs it at the newest
    /// snapshot, with the columns, conditions and limit that are wanted of it. Its columns must
    /// have names of their own.
    pub async fn mounted(&self, parameters: Vec<ScalarValue>) -> Result<Arc<dyn TableProvider>> {
        let sql::Statement::Sql(query) = &self.statement else { return Err(not_a_query()) };
        if !self.is_query() {
            return Err(not_a_query());
        }
        let (wanted, given) = (self.parameter_count(), parameters.len());
        if wanted != given {
            let what = format!("the query has {wanted} parameters, and {given} are given");
            return Err(Error::new(ErrorKind::InvalidStatement, what));
        }
        let types = parameters.iter().map(ScalarValue::data_type).collect();
        let Some(schema) = self.describe_with(types).await?.columns else {
            return Err(not_a_query());
        };
        // What holds no NULL now may hold some when it is scanned.
        let nullable = |field: &FieldRef| Field::clone(field).with_nullable(true);
        let schema =
            Arc::new(Schema::new(schema.fields().iter().map(nullable).collect::<Fields>()));
        let mut names = HashSet::new();
        if let Some(twice) = schema.fields().iter().find(|field| !names.insert(field.name())) {
            let what = format!("several columns of the query are named '{}'", twice.name());
            return Err(Error::new(ErrorKind::DuplicateObject, what).hint("give them names by AS"));
        }
        let (session, text) = (self.session.clone(), Arc::clone(&self.sql));
        let query = query.as_ref().clone();
        let mounted = Mounted { session, text, query, parameters, schema };
        Ok(Arc::new(MountedTable(Arc::new(mounted))))
    }
}

fn not_a_query() -> Error {
    Error::new(ErrorKind::InvalidStatement, "only a query can be a table of another engine")
}

/// A query that another DataFusion has as a table.
struct Mounted {
    session: Session,
    /// What `sheaf.queries` says of its scans.
    text: Arc<str>,
    query: Statement,
    parameters: Vec<ScalarValue>,
    /// The columns that the other knows.
    schema: SchemaRef,
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounted").field("query", &self.text).finish_non_exhaustive()
    }
}

/// A mounted query as the other's planner holds it.
#[derive(Debug)]
struct MountedTable(Arc<Mounted>);

#[async_trait]
impl TableProvider for MountedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        // The other's operators look again at what is left.
        let support = |filter: &&Expr| match means_the_same(filter)? {
            true => Ok(TableProviderFilterPushDown::Inexact),
            false => Ok(TableProviderFilterPushDown::Unsupported),
        };
        filters.iter().map(support).collect()
    }

    async fn scan(
        &self,
        _state: &dyn PlanSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.0.schema.fields().len()).collect();
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let schema = Arc::new(self.0.schema.project(&columns)?);
        let filters = filters.to_vec();
        let mounted = Arc::clone(&self.0);
        let scan = Scan { mounted, columns, filters, limit, schema: Arc::clone(&schema) };
        // The query uses all processors by itself, behind one stream.
        let rows: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(scan)];
        let no_order = std::iter::empty();
        Ok(Arc::new(StreamingTableExec::try_new(schema, rows, None, no_order, false, limit)?))
    }
}

/// Whether an expression means the same here and there: it has no function, of which ours may be
/// another, and nothing that our analyzer makes stricter, as it does sums of integers.
fn means_the_same(filter: &Expr) -> PlanResult<bool> {
    let other = filter.exists(|expression| {
        Ok(match expression {
            Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::Between(_)
            | Expr::InList(_)
            | Expr::Like(_) => false,
            Expr::BinaryExpr(binary) => !matches!(
                binary.op,
                Operator::And
                    | Operator::Or
                    | Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
                    | Operator::IsDistinctFrom
                    | Operator::IsNotDistinctFrom
            ),
            _ => true,
        })
    });
    Ok(!other?)
}

/// What the other wants of the query.
#[derive(Clone, Debug)]
struct Scan {
    mounted: Arc<Mounted>,
    columns: Vec<usize>,
    filters: Vec<Expr>,
    limit: Option<usize>,
    schema: SchemaRef,
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.clone().run().map_ok(|rows| rows.map_err(DataFusionError::from));
        let rows = rows.map_err(DataFusionError::from).try_flatten_stream();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

impl Scan {
    async fn run(self) -> Result<RowStream> {
        let Mounted { session, text, query, parameters, .. } = self.mounted.as_ref();
        let (query, parameters) = (query.clone(), parameters.clone());
        let scan = self.clone();
        let output = session.on_query_threads(text, async move |session| {
            let context = session.context(parameters)?;
            let plan = scan.narrowed(context.plan(query).await?)?;
            Output::running(context.stream(&plan).await?).await
        });
        match output.await? {
            Output::Rows { schema, stream } if same_columns(&schema, &self.schema) => Ok(stream),
            _ => Err(self.changed()),
        }
    }

    fn changed(&self) -> Error {
        let what = format!("the columns of '{}' are no longer what they were", self.mounted.text);
        Error::new(ErrorKind::DatatypeMismatch, what).hint("mount it again")
    }

    /// The plan of the query with what is wanted of it.
    fn narrowed(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let known = &self.mounted.schema;
        if !names(known.fields()).eq(names(plan.schema().fields())) {
            return Err(self.changed());
        }
        let columns = plan.schema().columns();
        let column = |at: usize| Expr::Column(columns[at].clone());
        let mut plan = LogicalPlanBuilder::from(plan);
        for filter in &self.filters {
            let ours = filter.clone().transform(|expression| match expression {
                Expr::Column(theirs) => Ok(Transformed::yes(column(known.index_of(&theirs.name)?))),
                other => Ok(Transformed::no(other)),
            })?;
            plan = plan.filter(ours.data)?;
        }
        plan = plan.project(self.columns.iter().map(|&at| column(at)))?;
        if self.limit.is_some() {
            plan = plan.limit(0, self.limit)?;
        }
        Ok(plan.build()?)
    }
}

fn names(fields: &Fields) -> impl Iterator<Item = &String> {
    fields.iter().map(|field| field.name())
}

fn same_columns(now: &Schema, known: &Schema) -> bool {
    let columns = |(now, known): (&FieldRef, &FieldRef)| {
        now.name() == known.name() && now.data_type() == known.data_type()
    };
    now.fields().len() == known.fields().len()
        && now.fields().iter().zip(known.fields()).all(columns)
}
