//! Errors as a person reads them: what happened, where, what to try.

use std::fmt;

use nu_ansi_term::{Color, Style};
use unicode_width::UnicodeWidthStr;

/// Why a statement did not end well.
#[derive(Debug)]
pub enum Failure {
    /// The database refused it.
    Sql(Box<sheafdb::Error>),
    /// A server refused it.
    Remote {
        /// Why.
        message: String,
        /// Line and column in the statement, both from 1.
        position: Option<(u64, u64)>,
    },
    /// Its result could not be written.
    Output(arrow::error::ArrowError),
    /// Ctrl-C.
    Cancelled,
    /// Everything else, as a finished sentence.
    Other(String),
}

impl From<sheafdb::Error> for Failure {
    fn from(error: sheafdb::Error) -> Self {
        Self::Sql(Box::new(error))
    }
}

impl From<sheafdb::core::Error> for Failure {
    fn from(error: sheafdb::core::Error) -> Self {
        sheafdb::Error::from(error).into()
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Output(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) => f.write_str(&error.message),
            Self::Remote { message, position: _ } => f.write_str(message),
            Self::Output(error) => write!(f, "cannot write the result: {error}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Failure {
    /// True when whoever read our output went away: nothing to complain about.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(arrow::error::ArrowError::IoError(_, e)) if e.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// The message, the line of `sql` it is about with a caret, and the hint.
    /// `origin` is a file's name and the line in it where `sql` starts (from 0).
    pub fn report(&self, sql: &str, origin: Option<(&str, usize)>, color: bool) -> String {
        let paint = |style: Style, text: &str| {
            if color { style.paint(text).to_string() } else { text.to_owned() }
        };
        let mut out = format!("{} {self}\n", paint(Color::Red.bold(), "error:"));
        let (position, hint) = match self {
            Self::Sql(error) => (error.position, error.hint.as_deref()),
            Self::Remote { position, .. } => (*position, None),
            _ => return out,
        };
        if let Some((line, column)) = position
            && let Some(text) = sql.lines().nth((line as usize).saturating_sub(1))
        {
            let label = match origin {
                Some((name, first)) => format!("{name}:{}: ", first + line as usize),
                None => format!("line {line}: "),
            };
            // Tabs would move the caret away from what it points at.
            let text = text.replace('\t', " ");
            let before: String = text.chars().take((column as usize).saturating_sub(1)).collect();
            let caret = " ".repeat(label.width() + before.width());
            out.push_str(&format!("  {label}{text}\n  {caret}{}\n", paint(Color::Red.bold(), "^")));
        }
        if let Some(hint) = hint {
            out.push_str(&format!("{} {hint}\n", paint(Color::Cyan.bold(), "hint:")));
        }
        out
    }
}
