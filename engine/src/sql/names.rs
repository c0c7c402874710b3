//! Identifiers: folding, and what a possibly qualified name means.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, Spanned};

use crate::error::{Error, ErrorKind, Result};

/// The name of the one catalog (database) that a session sees.
pub(crate) const CATALOG: &str = "sheaf";

/// A table or view by schema and name, both folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub schema: String,
    pub name: String,
}

/// Unquoted identifiers fold to lower case.
pub(crate) fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// What `name` means when unqualified names are looked up in `default_schema`.
pub(crate) fn resolve(name: &ObjectName, default_schema: &str) -> Result<Resolved> {
    let parts = parts(name)?;
    match parts.as_slice() {
        [name] => Ok(Resolved { schema: default_schema.to_owned(), name: name.clone() }),
        [schema, name] => Ok(Resolved { schema: schema.clone(), name: name.clone() }),
        [catalog, schema, name] if catalog == CATALOG => {
            Ok(Resolved { schema: schema.clone(), name: name.clone() })
        }
        [catalog, ..] => Err(Error::new(
            ErrorKind::UndefinedObject,
            format!("'{name}' does not name anything here: the only database is \"{CATALOG}\", not \"{catalog}\""),
        )
        .at(position_of(name))),
        [] => Err(Error::new(ErrorKind::Syntax, "a name is empty")),
    }
}

/// A name that must not be qualified, folded.
pub(crate) fn one_ident(name: &ObjectName) -> Result<String> {
    let mut parts = parts(name)?;
    match (parts.len(), parts.pop()) {
        (1, Some(part)) => Ok(part),
        _ => Err(Error::new(ErrorKind::Syntax, format!("'{name}' must be a single name here"))
            .at(position_of(name))),
    }
}

fn parts(name: &ObjectName) -> Result<Vec<String>> {
    name.0
        .iter()
        .map(|part| {
            part.as_ident().map(fold).ok_or_else(|| {
                Error::new(ErrorKind::Syntax, format!("'{name}' is not a name"))
                    .at(position_of(name))
            })
        })
        .collect()
}

/// Line and column where a node of the syntax tree begins.
pub(crate) fn position_of(node: &impl Spanned) -> Option<(u64, u64)> {
    let start = node.span().start;
    (start.line > 0).then_some((start.line, start.column))
}

/// Line and column where an identifier begins.
pub(crate) fn ident_position(ident: &Ident) -> Option<(u64, u64)> {
    let start = ident.span.start;
    (start.line > 0).then_some((start.line, start.column))
}
