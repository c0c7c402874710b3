//! Errors as gRPC has them: a code, a sentence, and SQLSTATE and position beside it.

use sheafdb::{Error, ErrorKind};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// Headers that say more than the code.
const SQLSTATE: &str = "x-sheaf-sqlstate";
const POSITION: &str = "x-sheaf-position";

/// An error of the engine.
pub(crate) fn of_error(error: Error) -> Status {
    let mut headers = MetadataMap::new();
    if let Ok(state) = error.sqlstate().parse() {
        headers.insert(SQLSTATE, state);
    }
    if let Some((line, column)) = error.position
        && let Ok(position) = format!("{line}:{column}").parse()
    {
        headers.insert(POSITION, position);
    }
    Status::with_metadata(code(error.kind), format!("[{}] {error}", error.sqlstate()), headers)
}

fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::UndefinedTable | ErrorKind::UndefinedSchema | ErrorKind::UndefinedObject => {
            Code::NotFound
        }
        ErrorKind::DuplicateObject | ErrorKind::UniqueViolation => Code::AlreadyExists,
        ErrorKind::NotSupported => Code::Unimplemented,
        ErrorKind::SerializationFailure => Code::Aborted,
        ErrorKind::InsufficientPrivilege => Code::PermissionDenied,
        ErrorKind::ReadOnly | ErrorKind::Locked => Code::FailedPrecondition,
        ErrorKind::LimitExceeded | ErrorKind::OutOfMemory => Code::ResourceExhausted,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Io => Code::Unavailable,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::Internal => Code::Internal,
        _ => Code::InvalidArgument,
    }
}

/// Something that Flight SQL has and this server has not.
pub(crate) fn unimplemented(what: &str) -> Status {
    Status::unimplemented(format!("[0A000] {what} is not supported yet"))
}

/// A message that cannot be read.
pub(crate) fn malformed(what: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("[08P01] the message cannot be read: {what}"))
}

/// A request of somebody who must say first who they are.
pub(crate) fn unauthenticated(what: &str) -> Status {
    Status::unauthenticated(format!("[28000] {what}"))
}

/// Rows that somebody stopped.
pub(crate) fn cancelled() -> Status {
    Status::cancelled("[57014] the query was cancelled")
}

/// A fault of this server.
pub(crate) fn internal(what: impl std::fmt::Display) -> Status {
    Status::internal(format!("[XX000] {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_state_and_position() {
        let mut error = Error::new(ErrorKind::UndefinedTable, "table 'x' not found");
        error.position = Some((2, 15));
        let status = of_error(error);
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), "[42P01] table 'x' not found (line 2, column 15)");
        assert_eq!(status.metadata().get(POSITION).unwrap(), "2:15");
    }
}
