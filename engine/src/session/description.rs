//! What a statement takes and gives, without running it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Distinct, LogicalPlan};
use datafusion::sql::sqlparser::ast::{Query, Statement};

use super::prepared::highest_parameter;
use super::{Context, Session, run};
use crate::dml;
use crate::error::Result;
use crate::sql;

/// What a statement takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The columns of its rows; `None` when it gives none.
    pub columns: Option<SchemaRef>,
    /// The types of `$1`, `$2`…; `None` where any will do.
    pub parameters: Vec<Option<DataType>>,
    /// Whether it is more than a question: running it changes rows, the catalog, or the
    /// session.
    pub has_effects: bool,
    /// Whether its rows have an order that it asks for (`ORDER BY`).
    pub is_ordered: bool,
}

/// Describes a statement with parameters of the types `known`; those beyond are open.
pub(super) async fn describe(
    session: &Session,
    statement: sql::Statement,
    known: Vec<DataType>,
) -> Result<Description> {
    let effects = Description { has_effects: true, ..Description::default() };
    // COPY, CANCEL and those about users neither give rows nor take parameters.
    let sql::Statement::Sql(statement) = statement else { return Ok(effects) };
    let mut open: Vec<Option<DataType>> = known.into_iter().map(Some).collect();
    open.resize(highest_parameter(&statement), None);
    let context = session.context(Vec::new())?;
    match *statement {
        Statement::Query(query) => {
            let (plan, parameters) = bind(&context, *query, &open).await?;
            let is_ordered = is_ordered(&plan);
            let columns = Some(columns(&context, plan, &parameters).await?);
            Ok(Description { columns, parameters, has_effects: false, is_ordered })
        }
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
            let (context, query) = dml::explained(&context, &statement).await?;
            let assigned = dml::assigned_parameters(&context, &statement, open)?;
            let (_, parameters) = bind(&context, *query, &assigned).await?;
            let columns = match dml::returned(&context, &statement)? {
                Some((context, query)) => {
                    let (plan, parameters) = bind(&context, query, &parameters).await?;
                    Some(columns(&context, plan, &parameters).await?)
                }
                None => None,
            };
            Ok(Description { columns, parameters, ..effects })
        }
        Statement::Execute { name: Some(name), .. } => {
            let named = run::named(session, &name)?;
            let statement = sql::Statement::Sql(Box::new(named.statement));
            let described = Box::pin(describe(session, statement, Vec::new())).await?;
            Ok(Description { parameters: Vec::new(), ..described })
        }
        // These read nothing but the catalog.
        mut statement @ (Statement::Explain { .. }
        | Statement::ExplainTable { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowSchemas { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowVariable { .. }) => {
            if let Statement::Explain { analyze, .. } = &mut statement {
                *analyze = false;
            }
            let nulls = vec![ScalarValue::Null; open.len()];
            let statement = sql::Statement::Sql(Box::new(statement));
            let output = Box::pin(run::planned(session, statement, nulls)).await?;
            let columns = output.schema().cloned();
            // What they list, they list in an order.
            Ok(Description { columns, parameters: open, has_effects: false, is_ordered: true })
        }
        _ => Ok(Description { parameters: open, ..effects }),
    }
}

/// The plan of a query whose parameters have no values yet, and their types: those that
/// are known, and those that the query tells.
async fn bind(
    context: &Context,
    query: Query,
    known: &[Option<DataType>],
) -> Result<(LogicalPlan, Vec<Option<DataType>>)> {
    let statement = Statement::Query(Box::new(query));
    let fields = |unknown: Option<&DataType>| -> Vec<Option<FieldRef>> {
        let field = |data_type: &DataType| Arc::new(Field::new("", data_type.clone(), true));
        known.iter().map(|known| known.as_ref().or(unknown).map(field)).collect()
    };
    let plan = match context.bind(statement.clone(), &fields(None)).await {
        // The type of an expression may depend on a parameter that has none.
        Err(_) if known.contains(&None) => {
            context.bind(statement, &fields(Some(&DataType::Null))).await?
        }
        bound => bound?,
    };
    let found = plan.get_parameter_types()?;
    let types = known.iter().enumerate().map(|(i, known)| {
        let found = || found.get(&format!("${}", i + 1)).cloned().flatten();
        known.clone().or_else(found).filter(|data_type| *data_type != DataType::Null)
    });
    let types = types.collect();
    Ok((plan, types))
}

/// Whether the rows of a plan come in an order that it asks for.
fn is_ordered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Distinct(Distinct::On(first)) => first.sort_expr.is_some(),
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_) => plan.inputs().into_iter().any(is_ordered),
        _ => false,
    }
}

/// The columns of a plan, as it will give them.
async fn columns(
    context: &Context,
    plan: LogicalPlan,
    parameters: &[Option<DataType>],
) -> Result<SchemaRef> {
    let null = |data_type: &Option<DataType>| match data_type {
        Some(data_type) => ScalarValue::try_from(data_type),
        None => Ok(ScalarValue::Null),
    };
    let plan = match parameters.is_empty() {
        true => plan,
        false => {
            let nulls: Vec<ScalarValue> =
                parameters.iter().map(null).collect::<datafusion::common::Result<_>>()?;
            plan.with_param_values(nulls)?
        }
    };
    let logical = Arc::clone(plan.schema().inner());
    // Not every place of a query takes a NULL: LIMIT does not.
    Ok(context.physical(&plan).await.map_or(logical, |plan| plan.schema()))
}
