//! What a statement means in one catalog: worked out once, and again when the catalog or
//! the session's schema is another.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::ObjectName;
use parking_lot::Mutex;
use sheaf_core::catalog::{Catalog, SchemaId, TableDef};

use crate::session::Settings;
use crate::session::temporary::is_temporary;
use crate::sql::resolve;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Meaning<P>(Mutex<Option<Known<P>>>);

#[derive(Debug)]
struct Known<P> {
    catalog: Arc<Catalog>,
    schema: String,
    /// Where the session has temporary tables, if it has any.
    temporary: Option<SchemaId>,
    /// `None`: it is the planner's.
    plan: Option<Arc<P>>,
}

impl<P> Meaning<P> {
    pub fn unknown() -> Self {
        Self(Mutex::new(None))
    }

    /// The plan in `catalog` for a session with these settings.
    pub fn get(
        &self,
        catalog: &Arc<Catalog>,
        settings: &Settings,
        make: impl FnOnce() -> Option<P>,
    ) -> Option<Arc<P>> {
        let temporary = catalog.schema(&settings.temporary).map(|schema| schema.id);
        let mut known = self.0.lock();
        if let Some(known) = &*known
            && Arc::ptr_eq(&known.catalog, catalog)
            && known.schema == settings.schema
            && known.temporary == temporary
        {
            return known.plan.clone();
        }
        let plan = make().map(Arc::new);
        let (catalog, schema) = (Arc::clone(catalog), settings.schema.clone());
        *known = Some(Known { catalog, schema, temporary, plan: plan.clone() });
        plan
    }
}

/// The stored table that a name means.
pub(super) fn table(
    catalog: &Catalog,
    settings: &Settings,
    name: &ObjectName,
) -> Option<Arc<TableDef>> {
    let is_qualified = name.0.len() > 1;
    let name = resolve(name, &settings.schema).ok()?;
    let schema = match is_qualified {
        // Others' tables, or an error: the planner knows.
        true if is_temporary(&name.schema) => return None,
        true => &name.schema,
        false => settings.schema_of(&name.name, catalog),
    };
    let schema = catalog.schema(schema)?;
    catalog.table(schema.id, &name.name).cloned()
}
