//! Where inserted rows come from: which columns are named, and the query with each
//! DEFAULT in its place.

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, SetExpr, UnaryOperator, Value,
};
use sheaf_core::catalog::{ColumnDef, TableDef};

use crate::error::{Error, ErrorKind, Result};
use crate::sql::{fold, one_ident, parse_expression, position_of};

/// Positions among the table's live columns of the columns that rows are given for.
pub(crate) fn named_columns(table: &TableDef, names: &[ObjectName]) -> Result<Vec<usize>> {
    if names.is_empty() {
        return Ok((0..table.live_columns().count()).collect());
    }
    let mut columns: Vec<usize> = Vec::with_capacity(names.len());
    for name in names {
        let folded = one_ident(name)?;
        let index = find(table, &folded).map_err(|error| error.at(position_of(name)))?.0;
        if columns.contains(&index) {
            return Err(Error::new(
                ErrorKind::InvalidStatement,
                format!("column '{folded}' is named twice"),
            )
            .at(position_of(name)));
        }
        columns.push(index);
    }
    Ok(columns)
}

/// Like [`named_columns`], for statements that cannot qualify names.
pub(super) fn named_idents(table: &TableDef, names: &[Ident]) -> Result<Vec<usize>> {
    let names: Vec<ObjectName> =
        names.iter().map(|ident| ObjectName::from(vec![ident.clone()])).collect();
    named_columns(table, &names)
}

/// A live column and its position.
pub(super) fn find<'a>(table: &'a TableDef, name: &str) -> Result<(usize, &'a ColumnDef)> {
    table.live_columns().enumerate().find(|(_, column)| column.name == name).ok_or_else(|| {
        Error::new(
            ErrorKind::UndefinedColumn,
            format!("column '{name}' of table '{}' not found", table.name),
        )
        .suggest(name, table.live_columns().map(|c| c.name.as_str()))
    })
}

/// For each live column of the table, which column of the source it comes from.
/// Without names the source may leave out the last ones.
pub(crate) fn places(
    table: &TableDef,
    columns: &[usize],
    named: bool,
    width: usize,
) -> Result<Vec<Option<usize>>> {
    let fits = if named { width == columns.len() } else { width <= columns.len() };
    if !fits {
        return Err(Error::new(
            ErrorKind::Syntax,
            format!(
                "INSERT has {width} values for {} columns of table '{}'",
                columns.len(),
                table.name
            ),
        ));
    }
    let mut places = vec![None; table.live_columns().count()];
    for (source, column) in columns.iter().take(width).enumerate() {
        places[*column] = Some(source);
    }
    Ok(places)
}

/// Puts defaults where `VALUES` says DEFAULT.
pub(super) fn fill_defaults(table: &TableDef, columns: &[usize], query: &mut Query) -> Result<()> {
    let SetExpr::Values(values) = query.body.as_mut() else { return Ok(()) };
    let defs: Vec<&ColumnDef> = table.live_columns().collect();
    for row in &mut values.rows {
        let expressions: &mut Vec<Expr> = row;
        for (place, expression) in expressions.iter_mut().enumerate() {
            if !is_default(expression) {
                continue;
            }
            let column =
                columns.get(place).and_then(|index| defs.get(*index)).ok_or_else(|| {
                    Error::new(ErrorKind::Syntax, "DEFAULT stands in a place that has no column")
                        .at(position_of(expression))
                })?;
            *expression = default_of(column)?;
        }
    }
    Ok(())
}

/// Where some rows of `VALUES` give a column quoted text and others a number, quotes
/// the numbers too: the query would find one type for all of them, which may be
/// narrower than the column's, and only assignment knows the column's.
pub(super) fn quote_numbers(table: &TableDef, columns: &[usize], query: &mut Query) {
    let SetExpr::Values(values) = query.body.as_mut() else { return };
    let defs: Vec<&ColumnDef> = table.live_columns().collect();
    for (place, index) in columns.iter().enumerate() {
        let Some(data_type) = defs.get(*index).map(|def| &def.data_type) else { continue };
        if !data_type.is_numeric() && *data_type != DataType::Utf8View {
            continue;
        }
        let cells = values.rows.iter().filter_map(|row| row.get(place));
        if !cells.clone().any(is_quoted) || cells.clone().all(is_quoted) {
            continue;
        }
        for row in &mut values.rows {
            let rows: &mut Vec<Expr> = row;
            let Some(cell) = rows.get_mut(place) else { continue };
            // A fraction is rounded for a whole number; its text would be refused.
            if let Some(number) = number(cell)
                && !(data_type.is_integer() && number.contains(['.', 'e', 'E']))
            {
                *cell = Expr::value(Value::SingleQuotedString(number));
            }
        }
    }
}

fn is_quoted(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

/// The text of a number, perhaps with a sign.
fn number(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits.clone()),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => number(expr)
            .filter(|digits| !digits.starts_with('-'))
            .map(|digits| format!("-{digits}")),
        _ => None,
    }
}

/// The word DEFAULT by itself.
pub(crate) fn is_default(expression: &Expr) -> bool {
    matches!(expression, Expr::Identifier(ident) if ident.quote_style.is_none() && fold(ident) == "default")
}

/// The default of a column as an expression.
pub(crate) fn default_of(column: &ColumnDef) -> Result<Expr> {
    match &column.default_sql {
        Some(text) => parse_expression(text),
        None => Ok(Expr::value(Value::Null)),
    }
}
