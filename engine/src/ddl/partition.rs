//! `PARTITION BY time_bucket('1 month', ts)`.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    Interval, Value,
};
use sheaf_core::partition::BucketWidth;

use crate::error::{Error, ErrorKind, Result};
use crate::sql::{PARTITION_FUNCTION, fold, position_of};

/// The time column and the width of its buckets.
pub(super) fn read(expression: &Expr) -> Result<(String, BucketWidth)> {
    let wrong = || {
        Error::new(
            ErrorKind::InvalidStatement,
            format!("a table cannot be partitioned by {expression}"),
        )
        .at(position_of(expression))
        .hint("write PARTITION BY time_bucket('1 month', column)")
    };
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expression
    else {
        return Err(wrong());
    };
    let FunctionArgumentList { duplicate_treatment: None, args, clauses } = list else {
        return Err(wrong());
    };
    if name.to_string().to_lowercase() != PARTITION_FUNCTION || !clauses.is_empty() {
        return Err(wrong());
    }
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(width)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(column))),
    ] = args.as_slice()
    else {
        return Err(wrong());
    };
    let text = match width {
        Expr::Interval(Interval { value, leading_field, .. }) => match text_of(value) {
            Some(text) => format!(
                "{text} {}",
                leading_field.as_ref().map(ToString::to_string).unwrap_or_default()
            ),
            None => return Err(wrong()),
        },
        other => text_of(other).ok_or_else(wrong)?.to_owned(),
    };
    let width = BucketWidth::parse(text.trim())
        .map_err(|error| Error::from(error).at(position_of(expression)))?;
    Ok((fold(column), width))
}

fn text_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
