//! What a ticket for the rows of a statement stands for.
//!
//! A question is asked again by whoever holds its ticket: the ticket is its text, and the
//! server keeps nothing. Of a statement with effects, which ran when it was announced, the
//! rows that it returned wait to be fetched once. So do those of a question with several
//! endpoints, whose readers share them, whoever they are: it is run for the one who asked.

use bytes::Bytes;
use tonic::Status;

use crate::status;

/// Bytes of a number that nobody guesses.
const HANDLE_LEN: usize = 16;

const QUERY: u8 = b'q';
const RESULT: u8 = b'r';
const NOTHING: u8 = b'n';

/// Identifies a prepared statement, a result that waits, or one asking of a question.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Handle([u8; HANDLE_LEN]);

impl Handle {
    /// A new one.
    pub(crate) fn random() -> Result<Self, Status> {
        let mut bytes = [0; HANDLE_LEN];
        getrandom::fill(&mut bytes).map_err(status::internal)?;
        Ok(Self(bytes))
    }

    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// The one that [`Self::text`] gave.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let digits = text
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        Self::of(&digits.collect::<Option<Vec<u8>>>()?)
    }

    /// In letters and digits.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

/// See the module's documentation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StatementTicket {
    /// To be asked; the handle is this asking's, so that it can be cancelled.
    Query { handle: Handle, sql: String },
    /// Rows that wait, for the reader of this endpoint.
    Result { handle: Handle, endpoint: u8 },
    /// The statement gave no rows.
    Nothing,
}

impl StatementTicket {
    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Self::Query { handle, sql } => {
                [&[QUERY], &handle.0[..], sql.as_bytes()].concat().into()
            }
            Self::Result { handle, endpoint } => {
                [&[RESULT, *endpoint], &handle.0[..]].concat().into()
            }
            Self::Nothing => Bytes::from_static(&[NOTHING]),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Status> {
        Self::read(bytes).ok_or_else(|| status::malformed("the ticket is not of this server"))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match *kind {
            QUERY => {
                let (handle, sql) = rest.split_at_checked(HANDLE_LEN)?;
                let sql = std::str::from_utf8(sql).ok()?.to_owned();
                Some(Self::Query { handle: Handle::of(handle)?, sql })
            }
            RESULT => {
                let (&endpoint, handle) = rest.split_first()?;
                Some(Self::Result { handle: Handle::of(handle)?, endpoint })
            }
            NOTHING if rest.is_empty() => Some(Self::Nothing),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_come_back_as_they_were_and_others_are_refused() {
        let handle = Handle::random().unwrap();
        for ticket in [
            StatementTicket::Query { handle, sql: "SELECT 'é'".into() },
            StatementTicket::Result { handle, endpoint: 3 },
            StatementTicket::Nothing,
        ] {
            assert_eq!(StatementTicket::decode(&ticket.encode()).unwrap(), ticket);
        }
        for bytes in [&b""[..], b"q", b"q123", b"r123", b"nn", b"x", &[b'q'; 17 + 16], &[0xff; 40]]
        {
            let read = StatementTicket::read(bytes);
            assert!(read.is_none_or(|ticket| ticket.encode() == bytes), "{bytes:?}");
        }
    }
}
