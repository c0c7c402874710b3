//! What a statement means in one catalog: worked out once, and again when the catalog or
//! the session's schema is another.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::ObjectName;
use parking_lot::Mutex;
use sheaf_core::catalog::{Catalog, TableDef};

use crate::sql::resolve;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Meaning<P>(Mutex<Option<Known<P>>>);

#[derive(Debug)]
struct Known<P> {
    catalog: Arc<Catalog>,
    schema: String,
    /// `None`: it is the planner's.
    plan: Option<Arc<P>>,
}

impl<P> Meaning<P> {
    pub fn unknown() -> Self {
        Self(Mutex::new(None))
    }

    /// The plan in `catalog`, where unqualified names are in `schema`.
    pub fn get(
        &self,
        catalog: &Arc<Catalog>,
        schema: &str,
        make: impl FnOnce() -> Option<P>,
    ) -> Option<Arc<P>> {
        let mut known = self.0.lock();
        if let Some(known) = &*known
            && Arc::ptr_eq(&known.catalog, catalog)
            && known.schema == schema
        {
            return known.plan.clone();
        }
        let plan = make().map(Arc::new);
        let (catalog, schema) = (Arc::clone(catalog), schema.to_owned());
        *known = Some(Known { catalog, schema, plan: plan.clone() });
        plan
    }
}

/// The stored table that a name means.
pub(super) fn table(catalog: &Catalog, schema: &str, name: &ObjectName) -> Option<Arc<TableDef>> {
    let name = resolve(name, schema).ok()?;
    let schema = catalog.schema(&name.schema)?;
    catalog.table(schema.id, &name.name).cloned()
}
