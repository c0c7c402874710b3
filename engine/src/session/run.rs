//! Runs one statement: decides which room it belongs to.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    AnalyzeFormatKind, DescribeAlias, Expr, Ident, ObjectName, Reset, ResetStatement, Set,
    Statement, Use, Value,
};

use super::prepared::Named;
use super::{Output, Session, Settings, blocking, describe};
use crate::error::{Error, ErrorKind, Result};
use crate::point::{PointStatement, literal};
use crate::sql::{self, arrow_type, fold, ident_position, one_ident, position_of};
use crate::{ddl, dml, files};

/// A statement is tried again this often when other commits got in its way.
const ATTEMPTS_MAX: usize = 10;

/// Runs a statement, without a plan where that can be.
pub(super) async fn run(
    session: &Session,
    statement: sql::Statement,
    parameters: Vec<ScalarValue>,
) -> Result<Output> {
    if let Some(point) = statement.point()
        && let Some(output) = answered(session, &point, &parameters)?
    {
        return Ok(output);
    }
    planned(session, statement, parameters).await
}

/// What a statement about single rows gives without a plan, on a query thread.
fn answered(
    session: &Session,
    point: &PointStatement,
    parameters: &[ScalarValue],
) -> Result<Option<Output>> {
    match point.writes() {
        true => blocking(|| session.answer(point, parameters)),
        false => session.answer(point, parameters),
    }
}

/// Runs a statement that is not to be answered without a plan.
pub(super) async fn planned(
    session: &Session,
    statement: sql::Statement,
    parameters: Vec<ScalarValue>,
) -> Result<Output> {
    if changes_database(&statement) {
        session.check_changeable()?;
    }
    match statement {
        sql::Statement::Sql(statement) if !dml::changes_rows(&statement) => {
            run_sql(session, *statement, parameters).await
        }
        sql::Statement::Copy(copy) if copy.to => {
            files::copy_to(&session.context(parameters)?, &copy).await
        }
        sql::Statement::Cancel(id) => match session.database().cancel(id) {
            true => Ok(Output::done("CANCEL")),
            false => Err(Error::new(ErrorKind::UndefinedObject, format!("no statement {id} runs"))
                .hint("SELECT * FROM sheaf.queries lists those that do")),
        },
        sql::Statement::Checkpoint => ddl::checkpoint(&session.context(parameters)?),
        sql::Statement::User(user) => ddl::user(&session.context(parameters)?, user).await,
        writing => write(session, &writing, parameters).await,
    }
}

/// Whether a statement is to change what others see.
fn changes_database(statement: &sql::Statement) -> bool {
    match statement {
        sql::Statement::Copy(copy) => !copy.to,
        sql::Statement::Cancel(_) => false,
        sql::Statement::Checkpoint | sql::Statement::User(_) => true,
        sql::Statement::Sql(statement) => {
            dml::changes_rows(statement)
                || matches!(
                    statement.as_ref(),
                    Statement::CreateTable(_)
                        | Statement::CreateSchema { .. }
                        | Statement::CreateView(_)
                        | Statement::AlterTable(_)
                        | Statement::Drop { .. }
                        | Statement::Truncate(_)
                        | Statement::Call(_)
                )
        }
    }
}

async fn run_sql(
    session: &Session,
    statement: Statement,
    parameters: Vec<ScalarValue>,
) -> Result<Output> {
    match statement {
        Statement::Query(_) => {
            let context = session.context(parameters)?;
            let plan = context.plan(statement).await?;
            Output::running(context.stream(&plan).await?).await
        }
        Statement::CreateTable(_)
        | Statement::CreateSchema { .. }
        | Statement::CreateView(_)
        | Statement::AlterTable(_)
        | Statement::Drop { .. }
        | Statement::Truncate(_) => ddl::run(&session.context(parameters)?, statement).await,
        Statement::Call(call) => ddl::call(&session.context(parameters)?, call),
        Statement::Explain { .. } => explain(session, statement, parameters).await,
        Statement::ExplainTable { describe_alias: _, hive_format: None, has_table_keyword: _, table_name } => {
            describe::table(&session.context(parameters)?, &table_name).await
        }
        Statement::ShowTables { terse: false, history: false, extended: false, full: _, external: false, show_options } => {
            describe::tables(&session.context(parameters)?, &show_options).await
        }
        Statement::ShowSchemas { terse: false, history: false, show_options } => {
            describe::schemas(&session.context(parameters)?, &show_options).await
        }
        Statement::ShowColumns { extended: false, full: _, show_options } => {
            describe::columns(&session.context(parameters)?, &show_options).await
        }
        Statement::ShowVariable { variable } => describe::settings(&session.context(parameters)?, &variable),
        Statement::Set(set) => set_setting(session, set),
        Statement::Reset(ResetStatement { reset }) => reset_setting(session, reset),
        Statement::Use(Use::Object(name) | Use::Schema(name)) => set_schema(session, &one_ident(&name)?),
        Statement::Prepare { name, data_types: _, statement: inner } if matches!(*inner, Statement::Copy { .. }) => {
            Err(Error::not_supported("COPY in PREPARE").at(ident_position(&name)))
        }
        Statement::Prepare { name, data_types, statement } => {
            let types = data_types.iter().map(arrow_type).collect::<Result<Vec<_>>>()?;
            let name = fold(&name);
            let mut prepared = session.inner.prepared.lock();
            if prepared.contains_key(&name) {
                return Err(Error::new(ErrorKind::DuplicateObject, format!("prepared statement '{name}' already exists"))
                    .hint(format!("DEALLOCATE {name} first")));
            }
            let point = PointStatement::recognise(&statement).map(Arc::new);
            prepared.insert(name, Named { statement: *statement, point, types });
            Ok(Output::done("PREPARE"))
        }
        Statement::Execute {
            name: Some(name),
            parameters: arguments,
            has_parentheses: _,
            immediate: false,
            into,
            using,
            output: false,
            default: false,
        } if into.is_empty() && using.is_empty() => execute(session, &name, arguments, parameters).await,
        Statement::Deallocate { name, prepare: _ } => deallocate(session, &name),
        Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. } => Err(Error::not_supported("a transaction of several statements")
            .hint("each statement is a transaction of its own; several rows or tables change together in one statement")),
        other => Err(Error::not_supported(format!("the statement {}", first_words(&other)))),
    }
}

/// Runs a writing statement, again at a newer snapshot when others changed the same
/// rows or the table meanwhile.
async fn write(
    session: &Session,
    statement: &sql::Statement,
    parameters: Vec<ScalarValue>,
) -> Result<Output> {
    let mut attempt = 1;
    loop {
        let context = session.context(parameters.clone())?;
        match dml::run(&context, statement).await {
            Err(error)
                if error.kind == ErrorKind::SerializationFailure && attempt < ATTEMPTS_MAX =>
            {
                // Let the winner finish: contenders that wait differently long meet less.
                tokio::time::sleep(std::time::Duration::from_micros(200 << attempt.min(6))).await;
                attempt += 1;
            }
            Err(error) if error.kind == ErrorKind::SerializationFailure => {
                return Err(error
                    .hint(format!("the statement was tried {ATTEMPTS_MAX} times; run it again")));
            }
            outcome => return outcome,
        }
    }
}

async fn explain(
    session: &Session,
    statement: Statement,
    parameters: Vec<ScalarValue>,
) -> Result<Output> {
    let Statement::Explain {
        describe_alias,
        mut analyze,
        mut verbose,
        query_plan,
        estimate,
        statement,
        format,
        options,
    } = statement
    else {
        return Err(Error::new(ErrorKind::Internal, "EXPLAIN is expected here"));
    };
    if query_plan || estimate {
        return Err(Error::not_supported("EXPLAIN QUERY PLAN or ESTIMATE")
            .hint("use EXPLAIN or EXPLAIN ANALYZE"));
    }
    for option in options.iter().flatten() {
        let on = match &option.arg {
            None => true,
            Some(argument) => match argument.to_string().to_lowercase().trim_matches('\'') {
                "true" | "on" | "1" => true,
                "false" | "off" | "0" => false,
                other => {
                    return Err(Error::new(
                        ErrorKind::InvalidParameter,
                        format!("'{other}' is not possible for the EXPLAIN option {}", option.name),
                    ));
                }
            },
        };
        match fold(&option.name).as_str() {
            "analyze" => analyze = on,
            "verbose" => verbose = on,
            other => {
                return Err(Error::not_supported(format!("the EXPLAIN option {other}"))
                    .hint("ANALYZE and VERBOSE are"));
            }
        }
    }
    let context = session.context(parameters)?;
    let (context, query) = match *statement {
        Statement::Query(query) => (context, query),
        _ if analyze => {
            return Err(Error::not_supported("EXPLAIN ANALYZE of a statement that writes")
                .hint("EXPLAIN without ANALYZE shows the plan without running it"));
        }
        writing => dml::explained(&context, &writing).await?,
    };
    if matches!(describe_alias, DescribeAlias::Describe | DescribeAlias::Desc) {
        return describe::query(&context, *query).await;
    }
    let format = match format {
        None => None,
        Some(AnalyzeFormatKind::Keyword(format) | AnalyzeFormatKind::Assignment(format)) => {
            Some(AnalyzeFormatKind::Keyword(format))
        }
    };
    let plan = context
        .plan(Statement::Explain {
            describe_alias,
            analyze,
            verbose,
            query_plan,
            estimate,
            statement: Box::new(Statement::Query(query)),
            format,
            options: None,
        })
        .await?;
    Output::running(context.stream(&plan).await?).await
}

async fn execute(
    session: &Session,
    name: &ObjectName,
    arguments: Vec<Expr>,
    parameters: Vec<ScalarValue>,
) -> Result<Output> {
    if !parameters.is_empty() {
        return Err(Error::not_supported("EXECUTE with parameters of its own")
            .hint("give the values in parentheses"));
    }
    let folded = one_ident(name)?;
    let named = named(session, name)?;
    let values = named.parameters(&folded, evaluated(session, arguments)?)?;
    if let Some(point) = &named.point
        && let Some(output) = answered(session, point, &values)?
    {
        return Ok(output);
    }
    if matches!(named.statement, Statement::Execute { .. } | Statement::Prepare { .. }) {
        return Err(Error::not_supported("PREPARE or EXECUTE inside a prepared statement"));
    }
    Box::pin(planned(session, sql::Statement::Sql(Box::new(named.statement)), values)).await
}

/// The statement of PREPARE with this name.
pub(super) fn named(session: &Session, name: &ObjectName) -> Result<Named> {
    let folded = one_ident(name)?;
    let named = session.inner.prepared.lock().get(&folded).cloned();
    named.ok_or_else(|| unknown_prepared(session, &folded).at(position_of(name)))
}

/// The values of EXECUTE.
fn evaluated(session: &Session, arguments: Vec<Expr>) -> Result<Vec<ScalarValue>> {
    if let Some(literals) = arguments.iter().map(literal).collect() {
        return Ok(literals);
    }
    let context = session.context(Vec::new())?;
    let value = |argument| -> Result<ScalarValue> {
        Ok(ScalarValue::try_from_array(&context.evaluate(argument, 1)?, 0)?)
    };
    arguments.into_iter().map(value).collect()
}

fn deallocate(session: &Session, name: &Ident) -> Result<Output> {
    let folded = fold(name);
    if folded == "all" && name.quote_style.is_none() {
        session.inner.prepared.lock().clear();
        return Ok(Output::done("DEALLOCATE ALL"));
    }
    let removed = session.inner.prepared.lock().remove(&folded);
    match removed {
        Some(_) => Ok(Output::done("DEALLOCATE")),
        None => Err(unknown_prepared(session, &folded).at(ident_position(name))),
    }
}

fn unknown_prepared(session: &Session, name: &str) -> Error {
    let prepared = session.inner.prepared.lock();
    Error::new(ErrorKind::UndefinedObject, format!("prepared statement '{name}' does not exist"))
        .suggest(name, prepared.keys().map(String::as_str))
}

fn set_setting(session: &Session, set: Set) -> Result<Output> {
    match set {
        Set::SingleAssignment { scope: _, hivevar: false, variable, values } => {
            let name = variable
                .0
                .iter()
                .filter_map(|p| p.as_ident())
                .map(fold)
                .collect::<Vec<_>>()
                .join(".");
            let [value] = values.as_slice() else {
                return Err(Error::not_supported(format!(
                    "several values for the setting '{name}'"
                ))
                .at(position_of(&variable))
                .hint("give one value"));
            };
            let value = setting_value(value)?;
            if matches!(name.as_str(), "search_path" | "schema") {
                return set_schema(
                    session,
                    value.as_deref().unwrap_or(super::state::DEFAULT_SCHEMA),
                );
            }
            change(session, &name, value.as_deref())
                .map_err(|error| error.at(position_of(&variable)))
        }
        Set::SetTimeZone { local: _, value } => {
            change(session, "timezone", setting_value(&value)?.as_deref())
        }
        other => Err(Error::not_supported(format!("{other}")).hint("SET name = value is")),
    }
}

fn reset_setting(session: &Session, reset: Reset) -> Result<Output> {
    match reset {
        Reset::ConfigurationParameter(name) => {
            let name =
                name.0.iter().filter_map(|p| p.as_ident()).map(fold).collect::<Vec<_>>().join(".");
            change(session, &name, None)
        }
        Reset::ALL => {
            let memory = Arc::clone(session.database().store().memory());
            let mut settings = session.inner.settings.write();
            let temporary = settings.temporary.clone();
            *settings = Arc::new(Settings { temporary, ..Settings::new(memory) });
            drop(settings);
            *session.inner.state.write() = session.fresh_state()?;
            Ok(Output::done("RESET"))
        }
    }
}

/// The text of a setting's value; `None` for DEFAULT.
fn setting_value(value: &Expr) -> Result<Option<String>> {
    Ok(match value {
        Expr::Identifier(ident)
            if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default") =>
        {
            None
        }
        Expr::Identifier(ident) => Some(fold(ident)),
        Expr::Value(value) => Some(match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        }),
        other => Some(other.to_string()),
    })
}

fn set_schema(session: &Session, schema: &str) -> Result<Output> {
    // A schema that is not there would make every later statement fail.
    if schema != "information_schema" && schema != "sheaf" {
        session.context(Vec::new())?.catalog.schema(schema)?;
    }
    change(session, "search_path", Some(schema))
}

fn change(session: &Session, name: &str, value: Option<&str>) -> Result<Output> {
    let mut state = session.inner.state.write();
    let mut settings = session.inner.settings.write();
    let mut next_state = state.as_ref().clone();
    let mut next_settings = settings.as_ref().clone();
    next_settings.set(name, value, next_state.config_mut().options_mut())?;
    next_state.config_mut().options_mut().catalog.default_schema.clone_from(&next_settings.schema);
    *state = Arc::new(next_state);
    *settings = Arc::new(next_settings);
    Ok(Output::done("SET"))
}

/// Enough of a statement to recognise it.
fn first_words(statement: &Statement) -> String {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    words.join(" ")
}
