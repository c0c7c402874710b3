//! `CREATE USER ada PASSWORD '…'`, `ALTER USER`, `DROP USER`.

use std::fmt;

use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::Result;

/// A statement about one user.
#[derive(Clone, Debug)]
pub(crate) struct UserStatement {
    pub name: Ident,
    pub action: UserAction,
}

/// What is done with the user.
#[derive(Clone, Debug)]
pub(crate) enum UserAction {
    Create { password: Password, if_not_exists: bool },
    SetPassword(Password),
    Drop { if_exists: bool },
}

/// A password as it was written. It is not shown.
#[derive(Clone)]
pub(crate) struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// The statement that begins here, if it is about a user.
pub(super) fn parse_user(parser: &mut Parser) -> Option<Result<UserStatement>> {
    let keyword = |at| match &parser.peek_nth_token_ref(at).token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    };
    let parse = match (keyword(0)?, keyword(1)?) {
        (Keyword::CREATE, Keyword::USER) => create,
        (Keyword::ALTER, Keyword::USER) => alter,
        (Keyword::DROP, Keyword::USER) => drop,
        _ => return None,
    };
    parser.advance_token();
    parser.advance_token();
    Some(parse(parser))
}

fn create(parser: &mut Parser) -> Result<UserStatement> {
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = parser.parse_identifier()?;
    let action = UserAction::Create { password: password(parser)?, if_not_exists };
    Ok(UserStatement { name, action })
}

fn alter(parser: &mut Parser) -> Result<UserStatement> {
    let name = parser.parse_identifier()?;
    let action = UserAction::SetPassword(password(parser)?);
    Ok(UserStatement { name, action })
}

fn drop(parser: &mut Parser) -> Result<UserStatement> {
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    Ok(UserStatement { name: parser.parse_identifier()?, action: UserAction::Drop { if_exists } })
}

fn password(parser: &mut Parser) -> Result<Password> {
    let _ = parser.parse_keyword(Keyword::WITH);
    parser.expect_keyword_is(Keyword::PASSWORD)?;
    // A word would do as a text elsewhere.
    match parser.peek_token_ref().token {
        Token::Word(_) => Ok(parser.expected_ref("a text in quotes", parser.peek_token_ref())?),
        _ => Ok(Password(parser.parse_literal_string()?)),
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::{Statement, parse};

    #[test]
    fn users_are_made_changed_and_dropped() {
        let statements = parse(
            "CREATE USER ada PASSWORD 'hidden'; \
             create user if not exists \"Ada\" with password 'hidden'; \
             ALTER USER ada WITH PASSWORD 'hidden'; DROP USER IF EXISTS ada",
        )
        .unwrap();
        assert_eq!(statements.len(), 4);
        assert!(statements.iter().all(|statement| matches!(statement, Statement::User(_))));
        assert!(!format!("{statements:?}").contains("hidden"));
        for sql in ["CREATE USER ada", "ALTER USER ada RENAME TO b", "CREATE USER a PASSWORD b"] {
            assert!(parse(sql).is_err(), "{sql}");
        }
    }
}
