//! Views: a name for the text of a query, planned anew in every statement.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::sql::parser::Statement as PlannerStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, Statement, TableFactor, VisitMut, VisitorMut,
};
use futures::future::BoxFuture;
use sheaf_core::catalog::ViewDef;

use super::{PROGRAM, PinnedCatalog};
use crate::error::{Error, ErrorKind, Result};
use crate::relation::{Relation, Relations};
use crate::session::temporary::is_temporary;
use crate::sql::{bind_query, fold, ident_position, parse_query_text};

/// The view as a relation. Boxed, because its query may name other views.
pub(super) fn table<'a>(
    catalog: &'a PinnedCatalog,
    view: &'a ViewDef,
) -> BoxFuture<'a, Result<Arc<dyn TableProvider>>> {
    Box::pin(async move {
        // A stored view means the same whatever a program's relations are.
        let deeper =
            PinnedCatalog { relations: Relations::default(), ..catalog.deeper(&view.name)? };
        let query = parse_query_text(&view.sql)?;
        let plan = bind_query(&catalog.state, &deeper, Statement::Query(query), &[])
            .await
            .map_err(|error| {
                // Positions are those of the view's text, which the user does not see.
                let mut error = error;
                error.position = None;
                error.message = format!("in view '{}': {}", view.name, error.message);
                error
            })?;
        let table: Arc<dyn TableProvider> = Arc::new(ViewTable::new(plan, Some(view.sql.clone())));
        Ok(table)
    })
}

/// A relation of the program's.
pub(super) fn relation<'a>(
    catalog: &'a PinnedCatalog,
    name: &'a str,
) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>>> {
    Box::pin(async move {
        let query = match catalog.relations.get(name) {
            None => return Ok(None),
            Some(Relation::Table(table)) => return Ok(Some(Arc::clone(table))),
            Some(Relation::Query(query)) => query,
        };
        let relations = query.relations.clone();
        let deeper = PinnedCatalog { relations, ..catalog.deeper(name)? };
        let statement = Statement::Query(parse_query_text(&query.sql)?);
        let types: Vec<Option<FieldRef>> = query
            .parameters
            .iter()
            .map(|value| Some(Arc::new(Field::new("", value.data_type(), true))))
            .collect();
        let plan = bind_query(&catalog.state, &deeper, statement, &types).await?;
        let plan = match query.parameters.is_empty() {
            true => plan,
            false => plan.with_param_values(query.parameters.clone())?,
        };
        let table: Arc<dyn TableProvider> = Arc::new(ViewTable::new(plan, None));
        Ok(Some(table))
    })
}

/// The text of a view's query, its tables qualified, so that it means the same
/// whatever the session's schema is. It cannot stand on tables that others do not see.
pub(crate) fn qualified_text(catalog: &PinnedCatalog, query: &Query) -> Result<String> {
    let mut statement = Statement::Query(Box::new(query.clone()));
    let (_, with) =
        resolve_table_references(&PlannerStatement::Statement(Box::new(statement.clone())), true)?;
    let with: HashSet<String> = with.iter().map(|reference| reference.table().to_owned()).collect();
    match VisitMut::visit(&mut statement, &mut Qualify { catalog, with }) {
        ControlFlow::Continue(()) => Ok(statement.to_string()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Qualify<'a> {
    catalog: &'a PinnedCatalog,
    /// Names of the query's own relations.
    with: HashSet<String>,
}

impl VisitorMut for Qualify<'_> {
    type Break = Box<Error>;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Box<Error>> {
        // Functions have no schema.
        if let TableFactor::Table { name: relation, args: None, .. } = factor
            && let [part] = relation.0.as_slice()
            && let Some(ident) = part.as_ident()
            && !self.with.contains(&fold(ident))
            // A file's name stands for itself.
            && ident.quote_style != Some('\'')
        {
            let name = fold(ident);
            let schema = self.catalog.schema_of(&name);
            let passing = match schema {
                PROGRAM => Some("relation of the program"),
                schema => is_temporary(schema).then_some("temporary table"),
            };
            if let Some(passing) = passing {
                let what = format!("a view cannot read the {passing} '{name}'");
                let error = Error::new(ErrorKind::InvalidStatement, what);
                return ControlFlow::Break(Box::new(error.at(ident_position(ident))));
            }
            let schema = Ident::with_quote('"', schema);
            *relation = ObjectName::from(vec![schema, ident.clone()]);
        }
        ControlFlow::Continue(())
    }
}
