//! Binds statements to tables and functions: DataFusion's planner over a catalog
//! that is pinned to one snapshot, with our names, types and parameter types.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::common::{DFSchema, ResolvedTableReference, TableReference};
use datafusion::config::ConfigOptions;
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, RelationPlanner, TypePlanner,
};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::sql::parser::Statement as PlannerStatement;
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Statement};

use super::types::SheafTypes;
use crate::catalog::PinnedCatalog;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, replace_readers};

/// Plans a query, or EXPLAIN of one, whose `$1`, `$2`… have the types of `parameters`, where
/// they are known.
pub(crate) async fn bind_query(
    state: &SessionState,
    catalog: &PinnedCatalog,
    statement: Statement,
    parameters: &[Option<FieldRef>],
) -> Result<LogicalPlan> {
    let mut statement = statement;
    let readers = replace_readers(&mut statement)?;
    let wrapped = PlannerStatement::Statement(Box::new(statement.clone()));
    let (references, _) = resolve_table_references(&wrapped, true)?;
    let mut binder = Binder { state, catalog, tables: HashMap::with_capacity(references.len()) };
    for reference in references {
        let resolved = binder.resolve(reference);
        // A table that is missing may be the name of a WITH: the planner decides.
        if let Some(table) = catalog.find(&resolved.schema, &resolved.table).await? {
            binder.tables.insert(resolved, provider_as_source(table));
        }
    }
    for (number, reader) in readers.into_iter().enumerate() {
        let options = reader.read_options(catalog.readings())?;
        let table = if reader.sniffs {
            files::findings(catalog.readings().access(), &reader.names, options).await?
        } else {
            files::relation(state, catalog.readings(), &reader.names, options).await?
        };
        let name = binder.resolve(TableReference::partial(files::FILES, number.to_string()));
        binder.tables.insert(name, provider_as_source(table));
    }
    let mut context = PlannerContext::new().with_prepare_param_data_types(parameters.to_vec());
    let plan =
        SqlToRel::new(&binder).sql_statement_to_plan_with_context(statement, &mut context)?;
    Ok(plan)
}

/// The values of an expression without columns, evaluated for each of `rows` where it
/// is volatile.
pub(crate) fn bind_constant(
    state: &SessionState,
    catalog: &PinnedCatalog,
    expression: SqlExpr,
    rows: usize,
) -> Result<ArrayRef> {
    let binder = Binder { state, catalog, tables: HashMap::new() };
    let schema = DFSchema::empty();
    let bound = SqlToRel::new(&binder)
        .sql_to_expr(expression, &schema, &mut PlannerContext::new())
        .map_err(|error| match Error::from(error) {
            error if error.kind == ErrorKind::UndefinedColumn => Error::new(
                ErrorKind::InvalidStatement,
                format!("only constants and functions of them are allowed here: {}", error.message),
            ),
            error => error,
        })?;
    // now() has its moment put in.
    let physical = state.create_physical_expr(binder.simplified(bound)?, &schema)?;
    let batch = arrow::array::RecordBatch::try_new_with_options(
        SchemaRef::new(arrow::datatypes::Schema::empty()),
        vec![],
        &arrow::array::RecordBatchOptions::new().with_row_count(Some(rows)),
    )?;
    Ok(physical.evaluate(&batch)?.into_array(rows)?)
}

struct Binder<'a> {
    state: &'a SessionState,
    catalog: &'a PinnedCatalog,
    tables: HashMap<ResolvedTableReference, Arc<dyn TableSource>>,
}

impl Binder<'_> {
    fn resolve(&self, reference: TableReference) -> ResolvedTableReference {
        let defaults = &self.state.config_options().catalog;
        let schema = self.catalog.schema_of(reference.table()).to_owned();
        reference.resolve(&defaults.default_catalog, &schema)
    }
}

impl ContextProvider for Binder<'_> {
    fn get_table_source(&self, name: TableReference) -> PlanResult<Arc<dyn TableSource>> {
        let resolved = self.resolve(name);
        match self.tables.get(&resolved) {
            Some(table) => Ok(Arc::clone(table)),
            None => Err(self.catalog.table_not_found(&resolved.schema, &resolved.table).into()),
        }
    }

    fn get_table_function_source(
        &self,
        name: &str,
        args: Vec<Expr>,
    ) -> PlanResult<Arc<dyn TableSource>> {
        let functions = self.state.table_functions();
        let Some(function) = functions.get(name) else {
            let error = Error::new(
                ErrorKind::UndefinedFunction,
                format!("table function '{name}' does not exist"),
            );
            return Err(error.suggest(name, functions.keys().map(String::as_str)).into());
        };
        let args =
            args.into_iter().map(|arg| self.simplified(arg)).collect::<PlanResult<Vec<_>>>()?;
        let arguments = datafusion::catalog::TableFunctionArgs::new(&args, self.state);
        Ok(provider_as_source(function.create_table_provider_with_args(arguments)?))
    }

    fn create_cte_work_table(
        &self,
        name: &str,
        schema: SchemaRef,
    ) -> PlanResult<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.state.relation_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(SheafTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

impl Binder<'_> {
    /// Arguments of table functions must be constants: folds what can be folded.
    fn simplified(&self, arg: Expr) -> Result<Expr, DataFusionError> {
        use datafusion::logical_expr::simplify::SimplifyContext;
        use datafusion::optimizer::simplify_expressions::ExprSimplifier;
        let context = SimplifyContext::builder()
            .with_config_options(Arc::clone(self.state.config_options()))
            .with_query_execution_start_time(
                self.state.execution_props().query_execution_start_time,
            )
            .build();
        let simplifier = ExprSimplifier::new(context);
        let coerced = simplifier.coerce(arg, &DFSchema::empty())?;
        simplifier.simplify(coerced)
    }
}
