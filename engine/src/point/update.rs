//! `UPDATE table SET … WHERE key = value`, and with conditions on other columns:
//! compare-and-set.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sheaf_core::catalog::{Catalog, TableDef};
use sheaf_core::{RowUpdate, Store, Value, Write};

use super::changes::{Change, apply, changes};
use super::key::{Conditions, KeyPlan};
use super::meaning::{Meaning, table};
use super::write::commit;
use crate::dml::{Assignments, UpdateClauses, plain_name};
use crate::error::Result;
use crate::session::{Output, Settings};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Update {
    table: ast::ObjectName,
    assignments: Vec<ast::Assignment>,
    conditions: Conditions,
    meaning: Meaning<Plan>,
}

#[derive(Debug)]
struct Plan {
    table: Arc<TableDef>,
    changes: Vec<Change>,
    key: KeyPlan,
}

impl Update {
    pub fn recognise(update: &ast::Update) -> Option<Self> {
        let clauses = UpdateClauses::of(update).ok()?;
        if !clauses.from.is_empty() || clauses.returning.is_some() {
            return None;
        }
        Some(Self {
            table: plain_name(clauses.table)?.clone(),
            assignments: clauses.assignments.to_vec(),
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
        let update = plan.and_then(|plan| self.change(&plan, parameters));
        drop(snapshot);
        let Some(update) = update else { return Ok(None) };
        let commit = commit(store, settings, Write::Update(update))?;
        Ok(commit.map(|commit| Output::counted("UPDATE", commit.inserted)))
    }

    fn plan(&self, catalog: &Catalog, settings: &Settings) -> Option<Plan> {
        let table = table(catalog, settings, &self.table)?;
        let assignments = Assignments::read(&table, &self.assignments).ok()?;
        let changes = changes(&table, &assignments, false)?;
        let key = self.conditions.plan(&table)?;
        Some(Plan { table, changes, key })
    }

    fn change(&self, plan: &Plan, parameters: &[ScalarValue]) -> Option<RowUpdate> {
        let Plan { table, changes, key } = plan;
        let mut update =
            RowUpdate::new(table, &self.conditions.key(table, key, parameters)?).ok()?;
        for (column, at) in &key.others {
            let expected = self.conditions.value(table, *column, *at, parameters)?;
            // Zeros and NaNs are equal here and not there.
            if matches!(expected, Value::Float(_)) {
                return None;
            }
            update = update.expect(table.arrow_schema().field(*column).name(), expected).ok()?;
        }
        apply(update, table, changes, &[], parameters)
    }
}
