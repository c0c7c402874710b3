//! Limits on the size of a statement, checked on its tokens: before anything
//! recursive sees them.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, ErrorKind, Result};

/// Largest text that is taken as SQL. Data comes in by COPY or parameters.
pub(super) const TEXT_BYTES_MAX: usize = 16 << 20;
/// Operators in one expression, or set operations in one query: each adds a level
/// to a tree that parser, planner and optimizer recurse into.
const CHAIN_MAX: usize = 2_000;
/// Nested parentheses and brackets.
const DEPTH_MAX: usize = 200;

/// What is counted at one depth of parentheses.
#[derive(Default)]
struct Level {
    /// Operators since the last comma: what one expression can hold.
    operators: usize,
    /// UNION, INTERSECT, EXCEPT.
    set_operations: usize,
}

pub(super) fn check_text(sql: &str) -> Result<()> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            format!(
                "the SQL text has {} MiB, more than {} MiB",
                sql.len() >> 20,
                TEXT_BYTES_MAX >> 20
            ),
        )
        .hint("load data with COPY, or send it as parameters"));
    }
    Ok(())
}

/// Refuses statements that would make the planner recurse too deeply.
pub(super) fn check_tokens(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut levels = vec![Level::default()];
    for token in tokens {
        let position = Some((token.span.start.line, token.span.start.column));
        match &token.token {
            Token::LParen | Token::LBracket => {
                if levels.len() >= DEPTH_MAX {
                    return Err(Error::new(
                        ErrorKind::LimitExceeded,
                        format!("parentheses are nested more than {DEPTH_MAX} deep"),
                    )
                    .at(position));
                }
                levels.push(Level::default());
                continue;
            }
            Token::RParen | Token::RBracket => {
                // More closing than opening ones is the parser's to complain about.
                if levels.len() > 1 {
                    levels.pop();
                }
                continue;
            }
            Token::SemiColon => {
                levels = vec![Level::default()];
                continue;
            }
            _ => {}
        }
        let Some(level) = levels.last_mut() else { continue };
        match &token.token {
            Token::Comma => level.operators = 0,
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::JOIN => level.operators += 1,
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => {
                    level.set_operations += 1;
                    level.operators = 0;
                }
                _ => {}
            },
            Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::Caret
            | Token::DoubleColon => level.operators += 1,
            _ => {}
        }
        if level.operators > CHAIN_MAX {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("an expression has more than {CHAIN_MAX} operators in a chain"),
            )
            .at(position)
            .hint("use IN (…), a join with VALUES, or a table for the terms"));
        }
        if level.set_operations > CHAIN_MAX {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("a query has more than {CHAIN_MAX} UNION, INTERSECT or EXCEPT in a chain"),
            )
            .at(position)
            .hint("put the rows in VALUES or in a table"));
        }
    }
    Ok(())
}
