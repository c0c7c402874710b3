//! Errors of the engine as exceptions of `sheafdb.errors`.

use pyo3::prelude::*;
use sheafdb::{Error, ErrorKind};

/// What the engine gave, or its error as an exception.
pub fn raised<T>(py: Python<'_>, outcome: sheafdb::Result<T>) -> PyResult<T> {
    outcome.map_err(|error| exception(py, &error))
}

/// The exception for an error; another one if that cannot be made.
pub fn exception(py: Python<'_>, error: &Error) -> PyErr {
    make(py, error).unwrap_or_else(|error| error)
}

/// Without names that are kept for the next time: to keep them takes a lock of the process, which a
/// thread may have held that a forked process, whose first call is this error, does not have.
fn make(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let class = py.import("sheafdb.errors")?.getattr(class_of(error.kind))?;
    let exception = class.call1((error.to_string(),))?;
    exception.setattr("sqlstate", error.sqlstate())?;
    exception.setattr("hint", error.hint.as_deref())?;
    exception.setattr("position", error.position)?;
    let exception = PyErr::from_value(exception);
    if let Some(cause) = error.cause.as_ref().and_then(|cause| cause.downcast_ref::<PyErr>()) {
        exception.set_cause(py, Some(cause.clone_ref(py)));
    }
    Ok(exception)
}

/// PEP 249's classes.
fn class_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Syntax
        | ErrorKind::UndefinedTable
        | ErrorKind::UndefinedColumn
        | ErrorKind::UndefinedFunction
        | ErrorKind::UndefinedSchema
        | ErrorKind::UndefinedObject
        | ErrorKind::AmbiguousColumn
        | ErrorKind::DuplicateObject
        | ErrorKind::DatatypeMismatch
        | ErrorKind::InsufficientPrivilege
        | ErrorKind::InvalidParameter
        | ErrorKind::InvalidStatement => "ProgrammingError",
        ErrorKind::InvalidText | ErrorKind::OutOfRange | ErrorKind::DivisionByZero => "DataError",
        ErrorKind::NotNullViolation | ErrorKind::UniqueViolation => "IntegrityError",
        ErrorKind::NotSupported => "NotSupportedError",
        ErrorKind::Cancelled => "QueryCancelled",
        ErrorKind::FunctionFailed
        | ErrorKind::SerializationFailure
        | ErrorKind::ReadOnly
        | ErrorKind::Locked
        | ErrorKind::LimitExceeded
        | ErrorKind::OutOfMemory
        | ErrorKind::Io => "OperationalError",
        // Corrupt, Internal, and what is to come.
        _ => "InternalError",
    }
}

/// The exception for a misuse of the package.
pub fn programming_error(py: Python<'_>, message: &str) -> PyErr {
    exception(py, &Error::new(ErrorKind::InvalidStatement, message))
}

/// The exception for a statement that was ended.
pub fn cancelled(py: Python<'_>) -> PyErr {
    exception(py, &Error::new(ErrorKind::Cancelled, "the statement was cancelled"))
}
