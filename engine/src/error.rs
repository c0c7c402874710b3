//! The one error of the public API: what happened, where in the SQL, what to do.

use std::fmt;
use std::sync::Arc;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong. Every kind has a SQLSTATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The SQL does not parse.
    Syntax,
    /// A table or view does not exist.
    UndefinedTable,
    /// A column does not exist.
    UndefinedColumn,
    /// A function does not exist or does not take these arguments.
    UndefinedFunction,
    /// A schema does not exist.
    UndefinedSchema,
    /// Some other named thing does not exist.
    UndefinedObject,
    /// A name could mean several columns.
    AmbiguousColumn,
    /// A table, view or column of this name is already there.
    DuplicateObject,
    /// The statement is understood but not supported yet.
    NotSupported,
    /// Types do not fit together.
    DatatypeMismatch,
    /// A text does not read as a value of the type.
    InvalidText,
    /// A number, date or decimal does not fit its type.
    OutOfRange,
    /// A division by zero.
    DivisionByZero,
    /// A NULL where the column does not allow it.
    NotNullViolation,
    /// A key that is already there.
    UniqueViolation,
    /// Concurrent commits kept changing the same rows: run the statement again.
    SerializationFailure,
    /// The session may not do this.
    InsufficientPrivilege,
    /// The database is open for reading only.
    ReadOnly,
    /// The database is open for writing elsewhere.
    Locked,
    /// A setting or option does not exist or has an impossible value.
    InvalidParameter,
    /// The statement makes no sense as it stands.
    InvalidStatement,
    /// The statement is larger than the limits allow.
    LimitExceeded,
    /// The memory budget is used up.
    OutOfMemory,
    /// The statement was cancelled.
    Cancelled,
    /// A function of the program's failed.
    FunctionFailed,
    /// The operating system said no.
    Io,
    /// Bytes on disk are not what was written.
    Corrupt,
    /// A fault of the engine: please report it.
    Internal,
}

impl ErrorKind {
    /// The five characters that PostgreSQL's clients know this kind by.
    pub fn sqlstate(self) -> &'static str {
        match self {
            Self::Syntax => "42601",
            Self::UndefinedTable => "42P01",
            Self::UndefinedColumn => "42703",
            Self::UndefinedFunction => "42883",
            Self::UndefinedSchema => "3F000",
            Self::UndefinedObject => "42704",
            Self::AmbiguousColumn => "42702",
            Self::DuplicateObject => "42710",
            Self::NotSupported => "0A000",
            Self::DatatypeMismatch => "42804",
            Self::InvalidText => "22P02",
            Self::OutOfRange => "22003",
            Self::DivisionByZero => "22012",
            Self::NotNullViolation => "23502",
            Self::UniqueViolation => "23505",
            Self::SerializationFailure => "40001",
            Self::InsufficientPrivilege => "42501",
            Self::ReadOnly => "25006",
            Self::Locked => "55006",
            Self::InvalidParameter => "22023",
            Self::InvalidStatement => "42000",
            Self::LimitExceeded => "54000",
            Self::OutOfMemory => "53200",
            Self::Cancelled => "57014",
            Self::FunctionFailed => "38000",
            Self::Io => "58030",
            Self::Corrupt => "XX001",
            Self::Internal => "XX000",
        }
    }
}

/// An error of a statement or of the database.
#[derive(Clone, Debug)]
pub struct Error {
    /// What kind of thing went wrong.
    pub kind: ErrorKind,
    /// What happened, in a sentence without a full stop.
    pub message: String,
    /// Line and column in the SQL text, both from 1, where they are known.
    pub position: Option<(u64, u64)>,
    /// What to try instead.
    pub hint: Option<String>,
    /// What a function of the program's failed with.
    pub cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error without position or hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), position: None, hint: None, cause: None }
    }

    /// What a function of the program's failed with.
    pub fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// Something that is understood but not there yet.
    pub(crate) fn not_supported(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotSupported, format!("{what} is not supported yet"))
    }

    /// Adds where in the SQL text it happened, unless that is known already.
    pub(crate) fn at(mut self, position: Option<(u64, u64)>) -> Self {
        self.position = self.position.or(position);
        self
    }

    /// Adds what to try instead.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "did you mean" when one of `candidates` looks like `name`.
    pub(crate) fn suggest<'a>(
        mut self,
        name: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        if let Some(nearest) = nearest(name, candidates) {
            self.hint = Some(format!("did you mean '{nearest}'?"));
        }
        self
    }

    /// The five characters that PostgreSQL's clients know this error by.
    pub fn sqlstate(&self) -> &'static str {
        self.kind.sqlstate()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some((line, column)) = self.position {
            write!(f, " (line {line}, column {column})")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The candidate that a typing error could have turned into `name`.
fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Half the letters may differ in short names, a third in long ones; more than
    // that and the suggestion is noise.
    let allowed = (name.chars().count() / 3).max(1) + usize::from(name.len() <= 4);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

impl From<sheaf_core::Error> for Error {
    fn from(error: sheaf_core::Error) -> Self {
        use sheaf_core::Error as Core;
        let kind = match &error {
            Core::Corrupt { .. } | Core::Incompatible(_) => ErrorKind::Corrupt,
            Core::Locked { .. } => ErrorKind::Locked,
            Core::ReadOnly => ErrorKind::ReadOnly,
            Core::DuplicateKey { .. } => ErrorKind::UniqueViolation,
            Core::NullViolation { .. } => ErrorKind::NotNullViolation,
            Core::Conflict { .. } | Core::SchemaChanged { .. } => ErrorKind::SerializationFailure,
            Core::NotFound { .. } => ErrorKind::UndefinedObject,
            Core::AlreadyExists { .. } => ErrorKind::DuplicateObject,
            Core::Invalid(_) => ErrorKind::InvalidStatement,
            Core::Stopped(_) | Core::Io { .. } => ErrorKind::Io,
            Core::Formats(inner) => return formats_kind(inner, &error),
            Core::Arrow(inner) => arrow_kind(inner),
            _ => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<sheaf_formats::Error> for Error {
    fn from(error: sheaf_formats::Error) -> Self {
        formats_kind(&error, &error)
    }
}

fn formats_kind(error: &sheaf_formats::Error, shown: &dyn fmt::Display) -> Error {
    use sheaf_formats::Error as Formats;
    let kind = match error {
        Formats::Corrupt { .. } | Formats::Incompatible { .. } => ErrorKind::Corrupt,
        Formats::UnsupportedType { .. } => ErrorKind::NotSupported,
        Formats::Malformed { .. } => ErrorKind::InvalidText,
        Formats::Io { .. } => ErrorKind::Io,
        Formats::Arrow(inner) => arrow_kind(inner),
        Formats::Invalid(_) => ErrorKind::InvalidStatement,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, shown.to_string())
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        use arrow::error::ArrowError as Arrow;
        // The variants' own prefixes ("Cast error:") say nothing to a user.
        let message = match &error {
            Arrow::CastError(m)
            | Arrow::ComputeError(m)
            | Arrow::ParseError(m)
            | Arrow::InvalidArgumentError(m)
            | Arrow::ArithmeticOverflow(m) => m.clone(),
            Arrow::DivideByZero => "division by zero".to_owned(),
            Arrow::ExternalError(inner) => match inner.downcast_ref::<Error>() {
                Some(ours) => return ours.clone(),
                None => inner.to_string(),
            },
            other => other.to_string(),
        };
        Self::new(arrow_kind(&error), message)
    }
}

fn arrow_kind(error: &arrow::error::ArrowError) -> ErrorKind {
    use arrow::error::ArrowError as Arrow;
    match error {
        Arrow::DivideByZero => ErrorKind::DivisionByZero,
        Arrow::ArithmeticOverflow(_) => ErrorKind::OutOfRange,
        Arrow::CastError(_) | Arrow::ParseError(_) => ErrorKind::InvalidText,
        Arrow::IoError(..) => ErrorKind::Io,
        Arrow::NotYetImplemented(_) => ErrorKind::NotSupported,
        Arrow::InvalidArgumentError(_) | Arrow::ComputeError(_) => ErrorKind::InvalidStatement,
        _ => ErrorKind::Internal,
    }
}

impl From<Error> for datafusion::error::DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

impl From<datafusion::sql::sqlparser::parser::ParserError> for Error {
    fn from(error: datafusion::sql::sqlparser::parser::ParserError) -> Self {
        crate::sql::parser_error(&error)
    }
}

impl From<datafusion::error::DataFusionError> for Error {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        crate::sql::planner_error(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_recognised_and_a_stranger_is_not() {
        let names = ["readings", "stations"];
        assert_eq!(nearest("reading", names), Some("readings"));
        assert_eq!(nearest("raedings", names), Some("readings"));
        assert_eq!(nearest("flights", names), None);
    }

    #[test]
    fn the_text_says_where_and_what_to_do() {
        let error = Error::new(ErrorKind::UndefinedTable, "table 'reading' not found")
            .at(Some((2, 15)))
            .suggest("reading", ["readings"]);
        assert_eq!(
            error.to_string(),
            "table 'reading' not found (line 2, column 15); did you mean 'readings'?"
        );
        assert_eq!(error.sqlstate(), "42P01");
    }
}
