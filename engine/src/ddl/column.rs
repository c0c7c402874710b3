//! A column as it is written in CREATE TABLE and ADD COLUMN.

use datafusion::sql::sqlparser::ast::{
    ColumnDef, ColumnOption, ColumnOptionDef, Expr, PrimaryKeyConstraint, Spanned,
};
use sheaf_core::catalog::NewColumn;

use crate::error::{Error, ErrorKind, Result};
use crate::session::Context;
use crate::sql::{arrow_type, fold, ident_position, parse_expression};

/// A column, and whether it was written as the primary key.
pub(super) struct Written {
    pub column: NewColumn,
    pub primary_key: bool,
}

pub(super) fn read(context: &Context, definition: &ColumnDef) -> Result<Written> {
    let ColumnDef { name, data_type, options } = definition;
    let position = ident_position(name);
    let data_type = arrow_type(data_type).map_err(|error| error.at(position))?;
    let mut column = NewColumn {
        name: column_name(name)?,
        data_type,
        nullable: true,
        default_sql: None,
        missing: None,
    };
    let mut primary_key = false;
    let mut explicit_null = false;
    for ColumnOptionDef { name: _, option } in options {
        match option {
            ColumnOption::Null => explicit_null = true,
            ColumnOption::NotNull => column.nullable = false,
            ColumnOption::Default(expression) => {
                column.default_sql = default_text(context, &column, expression)?;
            }
            ColumnOption::PrimaryKey(constraint) => {
                plain_key(constraint)?;
                primary_key = true;
                column.nullable = false;
            }
            ColumnOption::Unique(_) => return Err(unsupported_constraint("UNIQUE").at(position)),
            ColumnOption::ForeignKey(_) => {
                return Err(unsupported_constraint("REFERENCES").at(position));
            }
            ColumnOption::Check(_) => return Err(unsupported_constraint("CHECK").at(position)),
            ColumnOption::Generated { .. } | ColumnOption::Identity(_) => {
                return Err(Error::not_supported("a generated column").at(position));
            }
            other => return Err(Error::not_supported(format!("{other} on a column")).at(position)),
        }
    }
    if explicit_null && !column.nullable {
        return Err(Error::new(
            ErrorKind::Syntax,
            format!("column '{}' is both NULL and NOT NULL", column.name),
        )
        .at(position));
    }
    Ok(Written { column, primary_key })
}

/// A name that a column may have.
pub(super) fn column_name(name: &datafusion::sql::sqlparser::ast::Ident) -> Result<String> {
    let folded = fold(name);
    if folded.is_empty() {
        return Err(Error::new(ErrorKind::Syntax, "a column needs a name").at(ident_position(name)));
    }
    if folded.starts_with('_') && matches!(folded.as_str(), "_rowid" | "_seq") {
        return Err(Error::new(
            ErrorKind::InvalidStatement,
            format!("the name '{folded}' belongs to the system"),
        )
        .at(ident_position(name)));
    }
    Ok(folded)
}

/// The text of a default that has been checked; `None` for DEFAULT NULL.
pub(super) fn default_text(
    context: &Context,
    column: &NewColumn,
    expression: &Expr,
) -> Result<Option<String>> {
    let text = expression.to_string();
    // What is stored must read back, and fit the column.
    let value = context
        .evaluate(parse_expression(&text)?, 1)
        .and_then(|value| crate::dml::assign(&value, &column.name, &column.data_type))
        .map_err(|error| {
            let message =
                format!("the default of column '{}' does not fit: {}", column.name, error.message);
            Error { message, ..error }.at(position(expression))
        })?;
    Ok((value.null_count() == 0).then_some(text))
}

fn position(expression: &Expr) -> Option<(u64, u64)> {
    let start = expression.span().start;
    (start.line > 0).then_some((start.line, start.column))
}

pub(super) fn plain_key(constraint: &PrimaryKeyConstraint) -> Result<()> {
    let PrimaryKeyConstraint {
        name: _,
        index_name,
        index_type,
        columns: _,
        index_options,
        characteristics,
    } = constraint;
    if index_name.is_some()
        || index_type.is_some()
        || !index_options.is_empty()
        || characteristics.is_some()
    {
        return Err(Error::not_supported("an option of PRIMARY KEY"));
    }
    Ok(())
}

pub(super) fn unsupported_constraint(name: &str) -> Error {
    Error::not_supported(format!("the constraint {name}"))
        .hint("PRIMARY KEY, NOT NULL and DEFAULT are")
}
