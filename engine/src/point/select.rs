//! `SELECT columns FROM table WHERE key = value`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, SelectItem, SetExpr, TableFactor, WildcardAdditionalOptions,
};
use sheaf_core::Store;
use sheaf_core::catalog::{Catalog, TableDef};

use super::key::{Conditions, KeyPlan};
use super::meaning::{Meaning, table};
use crate::error::Result;
use crate::session::{Output, Settings};
use crate::sql::fold;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Select {
    table: ObjectName,
    columns: Vec<SelectItem>,
    conditions: Conditions,
    meaning: Meaning<Plan>,
}

#[derive(Debug)]
struct Plan {
    table: Arc<TableDef>,
    projection: Vec<usize>,
    output: SchemaRef,
    key: KeyPlan,
}

impl Select {
    pub fn recognise(query: &Query) -> Option<Self> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let [from] = select.from.as_slice() else { return None };
        let TableFactor::Table { name, .. } = &from.relation else { return None };
        let selection = select.selection.as_ref()?;
        let conditions = Conditions::of(selection)?;
        // Whatever else the statement may have would show in its text.
        let columns: Vec<String> = select.projection.iter().map(SelectItem::to_string).collect();
        let text = format!("SELECT {} FROM {name} WHERE {selection}", columns.join(", "));
        (query.to_string() == text).then(|| Self {
            table: name.clone(),
            columns: select.projection.clone(),
            conditions,
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
        let Some(plan) = plan else { return Ok(None) };
        let Some(key) = self.conditions.key(&plan.table, &plan.key, parameters) else {
            return Ok(None);
        };
        let found = snapshot.table(plan.table.id)?.columns(&key, &plan.projection)?;
        let rows = match found {
            Some(row) => {
                vec![RecordBatch::try_new(Arc::clone(&plan.output), row.columns().to_vec())?]
            }
            None => Vec::new(),
        };
        Ok(Some(Output::rows(Arc::clone(&plan.output), rows)))
    }

    fn plan(&self, catalog: &Catalog, settings: &Settings) -> Option<Plan> {
        let table = table(catalog, settings, &self.table)?;
        let all = table.arrow_schema();
        let mut projection = Vec::new();
        let mut fields: Vec<Arc<Field>> = Vec::new();
        let mut push = |name: &str, alias: Option<&str>| {
            let at = all.index_of(name).ok()?;
            projection.push(at);
            let field = all.field(at).clone();
            let field = field.with_name(alias.unwrap_or(name));
            fields.push(Arc::new(field));
            Some(())
        };
        for item in &self.columns {
            match item {
                SelectItem::Wildcard(options)
                    if *options == WildcardAdditionalOptions::default() =>
                {
                    for field in all.fields() {
                        push(field.name(), None)?;
                    }
                }
                SelectItem::UnnamedExpr(Expr::Identifier(column)) => push(&fold(column), None)?,
                SelectItem::ExprWithAlias { expr: Expr::Identifier(column), alias } => {
                    push(&fold(column), Some(&fold(alias)))?;
                }
                _ => return None,
            }
        }
        // Names that come twice are the planner's business.
        let unique: std::collections::HashSet<&str> =
            fields.iter().map(|field| field.name().as_str()).collect();
        let key = self.conditions.plan(&table)?;
        (unique.len() == fields.len() && key.others.is_empty()).then(|| Plan {
            output: Arc::new(Schema::new(fields)),
            table,
            projection,
            key,
        })
    }
}
