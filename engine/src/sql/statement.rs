//! A statement: of the parser's grammar, or of ours where the parser's has no room
//! for what we say.

use datafusion::sql::sqlparser::ast;

use super::copy::Copy;
use super::user::UserStatement;
use crate::point::PointStatement;

/// What a text of SQL is parsed into.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    /// `COPY`: the parser knows a fixed list of options.
    Copy(Box<Copy>),
    /// `CANCEL n`: ends the statement with this number.
    Cancel(u64),
    /// `CHECKPOINT`: what only the log has goes into segments.
    Checkpoint,
    /// `CREATE USER` and the like: the parser knows another grammar.
    User(UserStatement),
    /// Everything else.
    Sql(Box<ast::Statement>),
}

impl Statement {
    /// The statement about single rows that it may be.
    pub fn point(&self) -> Option<PointStatement> {
        match self {
            Self::Sql(statement) => PointStatement::recognise(statement),
            Self::Copy(_) | Self::Cancel(_) | Self::Checkpoint | Self::User(_) => None,
        }
    }
}

#[cfg(test)]
impl Statement {
    /// The parser's statement that it must be.
    pub fn sql(&self) -> &ast::Statement {
        match self {
            Self::Sql(statement) => statement,
            other => panic!("not of the parser's: {other:?}"),
        }
    }
}
