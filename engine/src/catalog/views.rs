//! Views: a name for the text of a query, planned anew in every statement.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::sql::parser::Statement as PlannerStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, Statement, TableFactor, VisitMut, VisitorMut,
};
use futures::future::BoxFuture;
use sheaf_core::catalog::ViewDef;

use super::{PinnedCatalog, VIEW_DEPTH_MAX};
use crate::error::{Error, ErrorKind, Result};
use crate::session::temporary::is_temporary;
use crate::sql::{bind_query, fold, ident_position, parse_query_text};

/// The view as a relation. Boxed, because its query may name other views.
pub(super) fn table<'a>(
    catalog: &'a PinnedCatalog,
    view: &'a ViewDef,
) -> BoxFuture<'a, Result<Arc<dyn TableProvider>>> {
    Box::pin(async move {
        if catalog.view_depth >= VIEW_DEPTH_MAX {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("view '{}' stands on views more than {VIEW_DEPTH_MAX} deep", view.name),
            ));
        }
        let mut deeper = catalog.clone();
        deeper.view_depth += 1;
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
            if is_temporary(schema) {
                let what = format!("a view cannot read the temporary table '{name}'");
                let error = Error::new(ErrorKind::InvalidStatement, what);
                return ControlFlow::Break(Box::new(error.at(ident_position(ident))));
            }
            let schema = Ident::with_quote('"', schema);
            *relation = ObjectName::from(vec![schema, ident.clone()]);
        }
        ControlFlow::Continue(())
    }
}
