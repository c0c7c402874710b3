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
use crate::sql::{bind_query, fold, parse_query_text};

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
/// whatever the session's schema is.
pub(crate) fn qualified_text(query: &Query, default_schema: &str) -> Result<String> {
    let mut statement = Statement::Query(Box::new(query.clone()));
    let (_, with) =
        resolve_table_references(&PlannerStatement::Statement(Box::new(statement.clone())), true)?;
    let with: HashSet<String> = with.iter().map(|reference| reference.table().to_owned()).collect();
    let _ = VisitMut::visit(&mut statement, &mut Qualify { with, default_schema });
    Ok(statement.to_string())
}

struct Qualify<'a> {
    /// Names of the query's own relations.
    with: HashSet<String>,
    default_schema: &'a str,
}

impl VisitorMut for Qualify<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        // Functions have no schema.
        if let TableFactor::Table { name: relation, args: None, .. } = factor
            && let [part] = relation.0.as_slice()
            && let Some(ident) = part.as_ident()
            && !self.with.contains(&fold(ident))
            // A file's name stands for itself.
            && ident.quote_style != Some('\'')
        {
            let schema = Ident::with_quote('"', self.default_schema);
            *relation = ObjectName::from(vec![schema, ident.clone()]);
        }
        ControlFlow::Continue(())
    }
}
