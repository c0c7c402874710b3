//! `SELECT columns FROM table WHERE key = value`, without a planner.
//!
//! A statement of just this form asks for one row that the store finds by itself; to
//! plan it takes a hundred times as long as to answer it. What has any other clause,
//! expression or type goes the usual way, and so does what is wrong: the planner knows
//! how to say it.

mod key;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, SelectItem, SetExpr, Statement, TableFactor, WildcardAdditionalOptions,
};
use parking_lot::Mutex;
use sheaf_core::catalog::{Catalog, TableDef};
use sheaf_core::{Store, Value};

use crate::error::Result;
use crate::session::{Output, Settings};
use crate::sql::{fold, resolve};
use key::{Operand, operands};

/// Bytes of a text that [`may_be`] looks at.
const TEXT_MAX: usize = 1024;

/// Bytes of texts in a key that is looked for here.
const KEY_BYTES_MAX: usize = 4096;

/// Whether a text may be such a statement: short, and without nesting.
pub(crate) fn may_be(sql: &str) -> bool {
    let begins = sql.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"));
    begins && sql.len() <= TEXT_MAX && !sql.contains('(')
}

/// A statement that may ask for one row by its key.
#[derive(Debug)]
pub(crate) struct PointQuery {
    table: ObjectName,
    columns: Vec<SelectItem>,
    /// Columns with what they are to equal.
    key: Vec<(String, Operand)>,
    /// What it means, until the catalog changes.
    planned: Mutex<Option<Planned>>,
}

/// What a statement means in one catalog.
#[derive(Clone, Debug)]
struct Planned {
    catalog: Arc<Catalog>,
    schema: String,
    /// `None`: it is not about one row by its key.
    plan: Option<Arc<Plan>>,
}

#[derive(Debug)]
struct Plan {
    table: Arc<TableDef>,
    projection: Vec<usize>,
    output: SchemaRef,
    /// Per column of the key: which of the query's operands it equals.
    key: Vec<usize>,
}

impl PointQuery {
    /// The query, if `statement` has the form.
    pub(crate) fn recognise(statement: &Statement) -> Option<Self> {
        let Statement::Query(query) = statement else { return None };
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let [from] = select.from.as_slice() else { return None };
        let TableFactor::Table { name, .. } = &from.relation else { return None };
        let selection = select.selection.as_ref()?;
        let key = operands(selection)?;
        // Whatever else the statement may have would show in its text.
        let columns: Vec<String> = select.projection.iter().map(SelectItem::to_string).collect();
        let text = format!("SELECT {} FROM {name} WHERE {selection}", columns.join(", "));
        (statement.to_string() == text).then(|| Self {
            table: name.clone(),
            columns: select.projection.clone(),
            key,
            planned: Mutex::new(None),
        })
    }

    /// The answer at the newest snapshot; `None` when the planner is to find it.
    pub(crate) fn answer(
        &self,
        store: &Store,
        settings: &Settings,
        parameters: &[ScalarValue],
    ) -> Result<Option<Output>> {
        if store.is_read_only() {
            // To look for what the writer did may take a while.
            return Ok(None);
        }
        let snapshot = store.snapshot()?;
        let Some(plan) = self.plan(snapshot.catalog(), &settings.schema) else { return Ok(None) };
        let mut key = Vec::with_capacity(plan.key.len());
        let mut bytes = 0;
        for (column, operand) in plan.table.key_indices().into_iter().zip(&plan.key) {
            let data_type = plan.table.arrow_schema().field(column).data_type();
            match self.key[*operand].1.value(data_type, parameters) {
                Some(value) => {
                    bytes += match &value {
                        Value::Text(text) => text.len(),
                        Value::Bytes(bytes) => bytes.len(),
                        _ => 0,
                    };
                    key.push(value);
                }
                None => return Ok(None),
            }
        }
        if bytes > KEY_BYTES_MAX {
            // No row has such a key, and the store would say that it is too long.
            return Ok(None);
        }
        let found = snapshot.table(plan.table.id)?.columns(&key, &plan.projection)?;
        let rows = match found {
            Some(row) => {
                vec![RecordBatch::try_new(Arc::clone(&plan.output), row.columns().to_vec())?]
            }
            None => Vec::new(),
        };
        Ok(Some(Output::rows(Arc::clone(&plan.output), rows)))
    }

    fn plan(&self, catalog: &Arc<Catalog>, schema: &str) -> Option<Arc<Plan>> {
        let mut planned = self.planned.lock();
        if let Some(planned) = &*planned
            && Arc::ptr_eq(&planned.catalog, catalog)
            && planned.schema == schema
        {
            return planned.plan.clone();
        }
        let plan = self.make_plan(catalog, schema).map(Arc::new);
        let (catalog, schema) = (Arc::clone(catalog), schema.to_owned());
        *planned = Some(Planned { catalog, schema, plan: plan.clone() });
        plan
    }

    fn make_plan(&self, catalog: &Catalog, default_schema: &str) -> Option<Plan> {
        let name = resolve(&self.table, default_schema).ok()?;
        let schema = catalog.schemas.values().find(|schema| schema.name == name.schema)?;
        let table = Arc::clone(catalog.table(schema.id, &name.name)?);
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
        if unique.len() < fields.len() || self.key.len() != table.primary_key.len() {
            return None;
        }
        let key = table
            .key_indices()
            .into_iter()
            .map(|column| self.key.iter().position(|(name, _)| name == all.field(column).name()))
            .collect::<Option<Vec<_>>>()?;
        (!key.is_empty()).then(|| Plan {
            output: Arc::new(Schema::new(fields)),
            table,
            projection,
            key,
        })
    }
}
