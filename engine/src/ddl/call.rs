//! `CALL sheaf.flush('t')`, `sheaf.compact('t')` and `sheaf.expire('t')`; without a table, of
//! all. `CHECKPOINT` is the first of them, of all tables.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Value,
};
use sheaf_core::catalog::TableId;

use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output, blocking};
use crate::sql::{parse_object_name, position_of, resolve};

pub(crate) fn call(context: &Context, call: Function) -> Result<Output> {
    let Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args,
        filter: None,
        null_treatment: None,
        over: None,
        within_group,
    } = &call
    else {
        return Err(Error::not_supported(format!("CALL {call}")));
    };
    if !within_group.is_empty() {
        return Err(Error::not_supported("WITHIN GROUP in CALL"));
    }
    let procedure = resolve(name, "sheaf")?;
    let table = match argument(args)? {
        Some(table) => Some(table_id(context, table)?),
        None => None,
    };
    match (procedure.schema.as_str(), procedure.name.as_str()) {
        ("sheaf", "flush") => blocking(|| context.store.flush(table))?,
        ("sheaf", "compact") => blocking(|| context.store.compact(table))?,
        ("sheaf", "expire") => blocking(|| context.store.expire(table).map(drop))?,
        _ => {
            return Err(Error::new(
                ErrorKind::UndefinedFunction,
                format!("procedure '{name}' does not exist"),
            )
            .at(position_of(name))
            .suggest(&procedure.name, ["sheaf.flush", "sheaf.compact", "sheaf.expire"])
            .hint("there are sheaf.flush, sheaf.compact and sheaf.expire"));
        }
    }
    Ok(Output::done("CALL"))
}

/// Brings all rows that only the log has into segments.
pub(crate) fn checkpoint(context: &Context) -> Result<Output> {
    blocking(|| context.store.flush(None))?;
    Ok(Output::done("CHECKPOINT"))
}

/// The one text that a procedure takes.
fn argument(args: &FunctionArguments) -> Result<Option<&str>> {
    let list = match args {
        FunctionArguments::None => return Ok(None),
        FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses,
        }) if clauses.is_empty() => args,
        other => return Err(Error::not_supported(format!("the arguments ({other}) of CALL"))),
    };
    match list.as_slice() {
        [] => Ok(None),
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => match &value.value {
            Value::SingleQuotedString(text) => Ok(Some(text)),
            other => Err(Error::new(
                ErrorKind::DatatypeMismatch,
                format!("the name of a table is expected, not {other}"),
            )),
        },
        _ => Err(Error::new(
            ErrorKind::InvalidStatement,
            "the procedure takes the name of one table, in quotes, or nothing",
        )),
    }
}

fn table_id(context: &Context, name: &str) -> Result<TableId> {
    Ok(context.table(&parse_object_name(name)?)?.id)
}
