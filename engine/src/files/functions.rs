//! `read_csv('x', header => true)` and its like in FROM.
//!
//! To know the columns of a file it must be opened, and that is not the planner's
//! work: before a query is planned each such function becomes the name of a relation
//! that has been opened already.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Statement, TableAlias, TableFactor,
    TableFunctionArgs, UnaryOperator, Value, VisitMut, VisitorMut,
};
use sheaf_formats::external::{Format, ReadOptions};

use super::options::{read_options, skips_errors};
use super::readings::Readings;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{
    CopyOption, CopyOptions, OptionValue, fold, ident_position, one_ident, position_of,
};

/// Schema of the relations that functions become. Users cannot write this name by
/// accident.
pub(crate) const FILES: &str = "$files";

/// Functions that read files, and their format where the name says it.
const FUNCTIONS: [(&str, Option<Format>); 10] = [
    ("read_csv", Some(Format::Csv)),
    ("read_csv_auto", Some(Format::Csv)),
    ("read_json", Some(Format::Json)),
    ("read_json_auto", Some(Format::Json)),
    ("read_ndjson", Some(Format::Json)),
    ("read_parquet", Some(Format::Parquet)),
    ("parquet_scan", Some(Format::Parquet)),
    ("read_arrow", Some(Format::Arrow)),
    ("read_files", None),
    (SNIFF, None),
];
/// Tells what is found out about files instead of reading them.
const SNIFF: &str = "sniff";

/// One call of a function that reads files.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The files.
    pub names: Vec<String>,
    /// The options, not yet read.
    pub options: CopyOptions,
    /// The format that the function's name says.
    pub format: Option<Format>,
    /// What is found out about the files is wanted, not their rows.
    pub sniffs: bool,
}

impl Reader {
    /// What the call says; rows that it skips go to `readings`.
    pub fn read_options(&self, readings: &Readings) -> Result<ReadOptions> {
        let mut read = read_options(&self.options, self.format)?;
        read.rejects = skips_errors(&self.options)?.then(|| readings.rejects());
        Ok(read)
    }
}

/// Puts the name `$files.n` in the place of the n-th call, and returns the calls.
pub(crate) fn replace_readers(statement: &mut Statement) -> Result<Vec<Reader>> {
    let mut replace = Replace { readers: Vec::new() };
    match VisitMut::visit(statement, &mut replace) {
        ControlFlow::Continue(()) => Ok(replace.readers),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Replace {
    readers: Vec<Reader>,
}

impl VisitorMut for Replace {
    type Break = Box<Error>;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Box<Error>> {
        let TableFactor::Table { name, alias, args: args @ Some(_), .. } = factor else {
            return ControlFlow::Continue(());
        };
        let Ok(function) = one_ident(name) else { return ControlFlow::Continue(()) };
        let Some((function, format)) = FUNCTIONS.iter().find(|(known, _)| *known == function)
        else {
            return ControlFlow::Continue(());
        };
        let Some(TableFunctionArgs { args: given, .. }) = args.take() else {
            return ControlFlow::Continue(());
        };
        match reader(function, *format, &given) {
            Ok(reader) => {
                let number = self.readers.len().to_string();
                *name = ObjectName::from(vec![
                    Ident::with_quote('"', FILES),
                    Ident::with_quote('"', number),
                ]);
                alias.get_or_insert_with(|| TableAlias {
                    explicit: false,
                    name: Ident::new(*function),
                    columns: Vec::new(),
                    at: None,
                });
                self.readers.push(reader);
                ControlFlow::Continue(())
            }
            Err(error) => {
                let at = error.position.or_else(|| position_of(name));
                ControlFlow::Break(Box::new(error.at(at)))
            }
        }
    }
}

fn reader(function: &str, format: Option<Format>, args: &[FunctionArg]) -> Result<Reader> {
    let Some((FunctionArg::Unnamed(FunctionArgExpr::Expr(files)), rest)) = args.split_first()
    else {
        return Err(Error::new(
            ErrorKind::Syntax,
            format!("{function} takes a file first, as in {function}('x', …)"),
        ));
    };
    let names = file_names(function, files)?;
    let mut options = Vec::with_capacity(rest.len());
    for arg in rest {
        options.push(option(function, arg)?);
    }
    let mut options = CopyOptions::new(options);
    if function == "read_ndjson" {
        options.push_default("format", OptionValue::Text("newline_delimited".to_owned()));
    }
    Ok(Reader { names, options, format, sniffs: function == SNIFF })
}

fn file_names(function: &str, expr: &Expr) -> Result<Vec<String>> {
    let name = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    let names = match expr {
        Expr::Array(array) => array.elem.iter().map(name).collect(),
        one => name(one).map(|name| vec![name]),
    };
    names.filter(|names: &Vec<String>| !names.is_empty()).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidParameter,
            format!("{function} takes the name of a file in quotes, or a list ['a', 'b'] of them"),
        )
        .at(position_of(expr))
    })
}

fn option(function: &str, arg: &FunctionArg) -> Result<CopyOption> {
    let refused = || {
        Error::new(
            ErrorKind::Syntax,
            format!("the argument {arg} of {function} is not an option: write name => value"),
        )
    };
    let (name, expr) = match arg {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), operator: _ } => {
            (name.clone(), expr)
        }
        FunctionArg::ExprNamed {
            name: Expr::Identifier(name),
            arg: FunctionArgExpr::Expr(expr),
            ..
        } => (name.clone(), expr),
        // `name = value` parses as a comparison.
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { left, op, right }))
            if op.to_string() == "=" =>
        {
            match left.as_ref() {
                Expr::Identifier(name) => (name.clone(), right.as_ref()),
                _ => return Err(refused()),
            }
        }
        _ => return Err(refused()),
    };
    let value_at = position_of(expr);
    let value = value(expr).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidParameter,
            format!("the value of {} must be a constant, not {expr}", fold(&name)),
        )
        .at(value_at.or_else(|| ident_position(&name)))
    })?;
    Ok(CopyOption { name, value, value_at })
}

fn value(expr: &Expr) -> Option<OptionValue> {
    let text = |expr: &Expr| match value(expr)? {
        OptionValue::Text(text) | OptionValue::Number(text) => Some(text),
        OptionValue::Name(name) => Some(fold(&name)),
        _ => None,
    };
    Some(match expr {
        Expr::Identifier(name) => OptionValue::Name(name.clone()),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
                OptionValue::Text(text.clone())
            }
            Value::Number(digits, _) => OptionValue::Number(digits.clone()),
            Value::Boolean(value) => OptionValue::Boolean(*value),
            _ => return None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match value(expr)? {
            OptionValue::Number(digits) => OptionValue::Number(format!("-{digits}")),
            _ => return None,
        },
        Expr::Array(array) => OptionValue::List(
            array
                .elem
                .iter()
                .map(|item| text(item).map(|text| Ident::with_quote('\'', text)))
                .collect::<Option<_>>()?,
        ),
        Expr::Dictionary(fields) => OptionValue::Pairs(
            fields
                .iter()
                .map(|field| Some((field.key.value.clone(), text(&field.value)?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}
