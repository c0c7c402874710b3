//! `DELETE FROM table WHERE key = value`.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sheaf_core::catalog::{Catalog, TableDef};
use sheaf_core::{RowBuilder, Store, Write};

use super::key::{Conditions, KeyPlan};
use super::meaning::{Meaning, table};
use super::write::commit;
use crate::dml::{DeleteClauses, plain_name};
use crate::error::Result;
use crate::session::{Output, Settings};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Delete {
    table: ast::ObjectName,
    conditions: Conditions,
    meaning: Meaning<Plan>,
}

#[derive(Debug)]
struct Plan {
    table: Arc<TableDef>,
    key: KeyPlan,
}

impl Delete {
    pub fn recognise(delete: &ast::Delete) -> Option<Self> {
        let clauses = DeleteClauses::of(delete).ok()?;
        if !clauses.using.is_empty() || clauses.returning.is_some() {
            return None;
        }
        Some(Self {
            table: plain_name(clauses.table)?.clone(),
            conditions: Conditions::of(clauses.selection?)?,
            meaning: Meaning::unknown(),
        })
    }

    pub fn run(
        &self,
        store: &Store,
        settings: &Settings,
        parameters: &[ScalarValue],
    ) -> Result<Option<Output>> {
        let snapshot = store.snapshot()?;
        let catalog = snapshot.catalog();
        let plan = self.meaning.get(catalog, settings, || self.plan(catalog, settings));
        let keys = plan.and_then(|plan| self.keys(&plan, parameters));
        drop(snapshot);
        let Some(keys) = keys else { return Ok(None) };
        let commit = commit(store, settings, Write::Delete { keys })?;
        Ok(commit.map(|commit| Output::counted("DELETE", commit.deleted)))
    }

    fn plan(&self, catalog: &Catalog, settings: &Settings) -> Option<Plan> {
        let table = table(catalog, settings, &self.table)?;
        let key = self.conditions.plan(&table)?;
        key.others.is_empty().then_some(Plan { table, key })
    }

    fn keys(&self, plan: &Plan, parameters: &[ScalarValue]) -> Option<RowBuilder> {
        let mut keys = RowBuilder::new(&plan.table).ok()?;
        keys.push_key(&self.conditions.key(&plan.table, &plan.key, parameters)?).ok()?;
        Some(keys)
    }
}
