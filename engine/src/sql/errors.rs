//! Errors of the parser and of DataFusion as ours: kind, position, hint.

use datafusion::common::{Diagnostic, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::error::{Error, ErrorKind};

/// The parser puts the position at the end of its text.
pub(crate) fn parser_error(error: &ParserError) -> Error {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return Error::new(ErrorKind::LimitExceeded, "the statement is nested too deeply");
        }
    };
    let (said, position) = match text.rsplit_once(" at Line: ") {
        Some((said, place)) => (said, parse_place(place)),
        None => (text.as_str(), None),
    };
    let said = said.replace("Expected: ", "expected ").replace(", found: ", ", found ");
    let said = said.replace("found EOF", "found the end of the text");
    Error::new(ErrorKind::Syntax, format!("syntax error: {}", said.trim())).at(position)
}

/// `3, Column: 7`
fn parse_place(place: &str) -> Option<(u64, u64)> {
    let (line, column) = place.split_once(", Column: ")?;
    let (line, column): (u64, u64) = (line.trim().parse().ok()?, column.trim().parse().ok()?);
    (line > 0).then_some((line, column))
}

/// Finds our own error inside DataFusion's, or says what DataFusion says in our words.
pub(crate) fn planner_error(error: &DataFusionError) -> Error {
    use DataFusionError as DF;
    match error {
        DF::External(inner) => external(inner.as_ref()),
        DF::Shared(inner) => planner_error(inner),
        DF::Context(_, inner) => planner_error(inner),
        DF::Diagnostic(diagnostic, inner) => planner_error(inner).at(start_of(diagnostic)),
        DF::Collection(errors) => match errors.first() {
            Some(first) => planner_error(first),
            None => Error::new(ErrorKind::Internal, "an empty list of errors"),
        },
        DF::SQL(inner, _) => parser_error(inner),
        DF::ArrowError(inner, _) => arrow(inner),
        DF::SchemaError(inner, _) => schema(inner),
        DF::NotImplemented(text) => not_implemented(text),
        DF::Plan(text) => plan(text),
        DF::Configuration(text) => Error::new(ErrorKind::InvalidParameter, first_line(text)),
        DF::Execution(text) => Error::new(ErrorKind::InvalidStatement, first_line(text)),
        DF::ResourcesExhausted(text) => Error::new(ErrorKind::OutOfMemory, first_line(text))
            .hint("SET memory_limit to more, or ask for less at a time"),
        DF::IoError(inner) => Error::new(ErrorKind::Io, inner.to_string()),
        DF::ObjectStore(inner) => Error::new(ErrorKind::Io, inner.to_string()),
        DF::ParquetError(inner) => Error::new(ErrorKind::InvalidText, inner.to_string()),
        DF::ExecutionJoin(inner) => {
            Error::new(ErrorKind::Internal, format!("a task of the query failed: {inner}"))
        }
        DF::Internal(text) => Error::new(ErrorKind::Internal, first_line(text)),
        other => Error::new(ErrorKind::Internal, other.strip_backtrace()),
    }
}

fn external(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Error {
    if let Some(ours) = error.downcast_ref::<Error>() {
        return ours.clone();
    }
    if let Some(nested) = error.downcast_ref::<DataFusionError>() {
        return planner_error(nested);
    }
    // Core's and the formats' errors do not clone; their text and kind survive.
    let kind = if let Some(core) = error.downcast_ref::<sheaf_core::Error>() {
        match core {
            sheaf_core::Error::Corrupt { .. } => ErrorKind::Corrupt,
            sheaf_core::Error::Io { .. } => ErrorKind::Io,
            sheaf_core::Error::SchemaChanged { .. } => ErrorKind::SerializationFailure,
            _ => ErrorKind::Internal,
        }
    } else if let Some(formats) = error.downcast_ref::<sheaf_formats::Error>() {
        match formats {
            sheaf_formats::Error::Corrupt { .. } => ErrorKind::Corrupt,
            sheaf_formats::Error::Malformed { .. } => ErrorKind::InvalidText,
            sheaf_formats::Error::Io { .. } => ErrorKind::Io,
            _ => ErrorKind::Internal,
        }
    } else if let Some(vector) = error.downcast_ref::<sheaf_vector::Error>() {
        return Error::new(ErrorKind::DatatypeMismatch, vector.to_string());
    } else {
        ErrorKind::InvalidStatement
    };
    Error::new(kind, first_line(&error.to_string()))
}

fn arrow(error: &arrow::error::ArrowError) -> Error {
    use arrow::error::ArrowError as Arrow;
    match error {
        Arrow::ExternalError(inner) => external(inner.as_ref()),
        Arrow::DivideByZero => Error::new(ErrorKind::DivisionByZero, "division by zero"),
        Arrow::ArithmeticOverflow(text) => {
            Error::new(ErrorKind::OutOfRange, format!("out of range: {text}"))
        }
        Arrow::CastError(text) | Arrow::ParseError(text) => {
            Error::new(ErrorKind::InvalidText, first_line(text))
        }
        Arrow::ComputeError(text) | Arrow::InvalidArgumentError(text) => {
            Error::new(ErrorKind::InvalidStatement, first_line(text))
        }
        other => Error::new(ErrorKind::Internal, other.to_string()),
    }
}

fn schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let missing = match &field.relation {
                Some(relation) => {
                    format!("column '{}' not found in '{}'", field.name, relation.table())
                }
                None => format!("column '{}' not found", field.name),
            };
            let position = field.spans().first().map(|span| (span.start.line, span.start.column));
            Error::new(ErrorKind::UndefinedColumn, missing)
                .at(position.filter(|(line, _)| *line > 0))
                .suggest(&field.name, valid_fields.iter().map(|c| c.name.as_str()))
        }
        SchemaError::AmbiguousReference { field } => Error::new(
            ErrorKind::AmbiguousColumn,
            format!("column '{}' could be one of several", field.name),
        )
        .hint("write the table's name or alias in front of it"),
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new(ErrorKind::AmbiguousColumn, format!("two columns have the name '{name}'"))
                .hint("give one of them another name with AS")
        }
    }
}

fn plan(text: &str) -> Error {
    let text = first_line(text);
    if let Some(rest) = text.strip_prefix("Invalid function '") {
        let name = rest.split('\'').next().unwrap_or(rest);
        let error =
            Error::new(ErrorKind::UndefinedFunction, format!("function '{name}' does not exist"));
        return match rest.split("Did you mean '").nth(1).and_then(|r| r.split('\'').next()) {
            Some(meant) => error.hint(format!("did you mean '{meant}'?")),
            None => error,
        };
    }
    let kind =
        if text.contains("No function matches") || text.contains("failed to match any signature") {
            ErrorKind::UndefinedFunction
        } else if text.contains("Cannot coerce")
            || text.contains("Cannot infer common")
            || text.contains("Unsupported CAST")
        {
            ErrorKind::DatatypeMismatch
        } else {
            ErrorKind::InvalidStatement
        };
    Error::new(kind, text)
}

fn not_implemented(text: &str) -> Error {
    // Some of DataFusion's texts hold a whole syntax tree.
    let text = first_line(text);
    let text = text.split(": ").next().filter(|_| text.len() > 200).unwrap_or(&text);
    let text = text.trim_end_matches('.');
    if text.contains("not supported")
        || text.contains("nsupported")
        || text.contains("not implemented")
    {
        Error::new(ErrorKind::NotSupported, text)
    } else {
        Error::not_supported(text)
    }
}

fn start_of(diagnostic: &Diagnostic) -> Option<(u64, u64)> {
    diagnostic.span.map(|span| (span.start.line, span.start.column)).filter(|(line, _)| *line > 0)
}

/// Backtraces and candidate lists follow on later lines.
fn first_line(text: &str) -> String {
    let text = text.strip_prefix("Error during planning: ").unwrap_or(text);
    text.split("\n\nbacktrace:")
        .next()
        .unwrap_or(text)
        .lines()
        .next()
        .unwrap_or(text)
        .trim_end()
        .to_owned()
}
