//! Prepared statements: by handle from Rust, by name from SQL.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, Statement, Value, ValueWithSpan, visit_expressions};

use super::description::{self, Description};
use super::{Output, Session, outside_of_executors, run};
use crate::database::runtime;
use crate::error::{Error, ErrorKind, Result};
use crate::point::PointStatement;
use crate::relation::Relations;
use crate::sql::{self, sql_name};

/// A statement that is parsed once and run many times.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) session: Session,
    pub(super) sql: Arc<str>,
    pub(super) statement: sql::Statement,
    /// The statement, when it is about single rows.
    point: Option<Arc<PointStatement>>,
}

impl Prepared {
    pub(super) fn new(session: Session, sql: &str) -> Result<Self> {
        let statement = sql::parse_one(sql)?;
        let point = statement.point().map(Arc::new);
        Ok(Self { session, sql: sql.into(), statement, point })
    }

    /// Runs it at the newest snapshot, with `$1`, `$2`… standing for `parameters`. A
    /// statement about single rows by their keys runs at once; what it means is worked out
    /// again when a table has changed. Other statements are planned anew, with the types
    /// of these parameters.
    pub async fn run(&self, parameters: Vec<ScalarValue>) -> Result<Output> {
        let mut parameters = parameters;
        if let Some(point) = &self.point {
            let (output, given) = self.session.run_point(Arc::clone(point), parameters).await?;
            if let Some(output) = output {
                return Ok(output);
            }
            parameters = given;
        }
        self.run_planned(parameters).await
    }

    /// Like [`Prepared::run`], for callers without an executor. Not to be called from
    /// asynchronous code. Changes of single rows are committed by the caller's own thread.
    pub fn run_blocking(&self, parameters: Vec<ScalarValue>) -> Result<Output> {
        let runtime = runtime()?;
        outside_of_executors()?;
        if let Some(point) = &self.point
            && let Some(output) = self.session.answer(point, &parameters)?
        {
            return Ok(output);
        }
        runtime.block_on(self.run_planned(parameters))
    }

    /// Whether it is a query: running it changes nothing.
    pub fn is_query(&self) -> bool {
        matches!(&self.statement, sql::Statement::Sql(statement)
            if matches!(statement.as_ref(), Statement::Query(_)))
    }

    /// Whether it changes rows and gives none: it says how many they were.
    pub fn only_counts(&self) -> bool {
        match &self.statement {
            sql::Statement::Sql(statement) => match statement.as_ref() {
                Statement::Insert(insert) => insert.returning.is_none(),
                Statement::Update(update) => update.returning.is_none(),
                Statement::Delete(delete) => delete.returning.is_none(),
                _ => false,
            },
            sql::Statement::Copy(_) => true,
            sql::Statement::Cancel(_) | sql::Statement::Checkpoint | sql::Statement::User(_) => {
                false
            }
        }
    }

    /// How many parameters it has: the largest n of `$n`.
    pub fn parameter_count(&self) -> usize {
        match &self.statement {
            sql::Statement::Sql(statement) => highest_parameter(statement),
            _ => 0,
        }
    }

    /// The relations that it names without a schema, those of its WITH clauses apart.
    pub fn names(&self) -> Result<Vec<String>> {
        sql::relation_names(&self.statement)
    }

    /// The same statement, which knows these relations too.
    pub fn with_relations(&self, relations: Relations) -> Self {
        Self { session: self.session.with_relations(relations), ..self.clone() }
    }

    /// What it takes and gives, without running it.
    pub async fn describe(&self) -> Result<Description> {
        self.describe_with(Vec::new()).await
    }

    /// The same with parameters of these types; those beyond are what the statement makes
    /// of them.
    pub async fn describe_with(&self, types: Vec<DataType>) -> Result<Description> {
        let statement = self.statement.clone();
        self.session
            .on_query_threads(&self.sql, async move |session| {
                description::describe(&session, statement, types).await
            })
            .await
    }

    async fn run_planned(&self, parameters: Vec<ScalarValue>) -> Result<Output> {
        let statement = self.statement.clone();
        self.session
            .on_query_threads(&self.sql, async move |session| {
                session.inner.readings.clear_progress();
                run::planned(&session, statement, parameters).await
            })
            .await
    }
}

/// A statement of PREPARE.
#[derive(Clone)]
pub(super) struct Named {
    pub statement: Statement,
    /// The statement, when it is about single rows.
    pub point: Option<Arc<PointStatement>>,
    /// Declared types of parameters; those beyond take the type of the value.
    pub types: Vec<DataType>,
}

impl Named {
    /// The values of EXECUTE as the declared types.
    pub fn parameters(&self, name: &str, values: Vec<ScalarValue>) -> Result<Vec<ScalarValue>> {
        let expected = self.types.len().max(highest_parameter(&self.statement));
        if expected != values.len() {
            return Err(Error::new(
                ErrorKind::InvalidStatement,
                format!("'{name}' takes {expected} parameters, {} are given", values.len()),
            ));
        }
        let mut values = values;
        for (index, (value, data_type)) in values.iter_mut().zip(&self.types).enumerate() {
            *value = value.cast_to(data_type).map_err(|_| {
                Error::new(
                    ErrorKind::DatatypeMismatch,
                    format!(
                        "parameter ${} of '{name}' is of type {}, not {value}",
                        index + 1,
                        sql_name(data_type)
                    ),
                )
            })?;
        }
        Ok(values)
    }
}

/// The largest n of `$n` in a statement; 0 without parameters.
pub(super) fn highest_parameter(statement: &Statement) -> usize {
    let mut highest = 0;
    let _ = visit_expressions(statement, |expression| {
        if let Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) = expression
            && let Some(n) = name.strip_prefix('$').and_then(|n| n.parse().ok())
        {
            highest = highest.max(n);
        }
        ControlFlow::<()>::Continue(())
    });
    highest
}
