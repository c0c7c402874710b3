//! Text to statements, within the limits.

use datafusion::sql::sqlparser::ast::{DataType, Expr, ObjectName, Query, Statement as Sql};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::copy::parse_copy;
use super::dialect::SheafDialect;
use super::statement::Statement;
use super::user::parse_user;
use super::{column_names, placeholders, size, supported, using_joins};
use crate::error::{Error, ErrorKind, Result};

/// Levels of grammar that the parser may go down: far more than people write, and
/// within the stack of any thread.
const RECURSION_MAX: usize = 400;

/// All statements of `sql`. Nothing runs when one of them does not parse.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
    let mut parser = parser(sql)?;
    let mut statements = Vec::new();
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.peek_token_ref().token == Token::EOF {
            return Ok(statements);
        }
        let statement = match parse_ours(&mut parser) {
            Some(statement) => statement?,
            None => {
                let mut statement = parser.parse_statement()?;
                supported::check(&mut statement)?;
                column_names::name_columns(&mut statement);
                using_joins::merge_columns(&mut statement)?;
                Statement::Sql(Box::new(statement))
            }
        };
        statements.push(statement);
        match parser.peek_token_ref().token {
            Token::SemiColon | Token::EOF => {}
            _ => {
                return parser
                    .expected_ref("the end of the statement", parser.peek_token_ref())
                    .map_err(Error::from);
            }
        }
    }
}

/// A statement that the parser does not know, or not well enough.
fn parse_ours(parser: &mut Parser) -> Option<Result<Statement>> {
    if let Some(copy) = parse_copy(parser) {
        return Some(copy.map(|copy| Statement::Copy(Box::new(copy))));
    }
    if let Some(user) = parse_user(parser) {
        return Some(user.map(Statement::User));
    }
    let words = [0, 1].map(|at| match &parser.peek_nth_token_ref(at).token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        _ => String::new(),
    });
    match words.each_ref().map(String::as_str) {
        ["cancel", _] => {
            parser.advance_token();
            Some(parser.parse_literal_uint().map(Statement::Cancel).map_err(Error::from))
        }
        ["checkpoint", _] => {
            parser.advance_token();
            Some(Ok(Statement::Checkpoint))
        }
        ["force", "checkpoint"] => {
            parser.advance_token();
            parser.advance_token();
            Some(Ok(Statement::Checkpoint))
        }
        _ => None,
    }
}

/// The only statement of `sql`.
pub(crate) fn parse_one(sql: &str) -> Result<Statement> {
    only(parse(sql)?)
}

/// The only one of the statements.
pub(crate) fn only(mut statements: Vec<Statement>) -> Result<Statement> {
    match (statements.len(), statements.pop()) {
        (1, Some(statement)) => Ok(statement),
        (count, _) => Err(Error::new(
            ErrorKind::Syntax,
            format!("one statement is expected here, the text has {count}"),
        )),
    }
}

/// An expression that the catalog holds as text: a column's default.
pub(crate) fn parse_expression(sql: &str) -> Result<Expr> {
    let mut parser = parser(sql)?;
    let expression = parser.parse_expr()?;
    parser.expect_token(&Token::EOF)?;
    Ok(expression)
}

/// A possibly qualified name inside a text: `CALL sheaf.flush('hr.staff')`.
pub(crate) fn parse_object_name(sql: &str) -> Result<ObjectName> {
    let mut parser = parser(sql)?;
    let name = parser.parse_object_name(false)?;
    parser.expect_token(&Token::EOF)?;
    Ok(name)
}

/// A type inside a text.
pub(super) fn parse_type(sql: &str) -> Result<DataType> {
    let mut parser = parser(sql)?;
    let data_type = parser.parse_data_type()?;
    parser.expect_token(&Token::EOF)?;
    Ok(data_type)
}

/// A query that the catalog holds as text: a view's.
pub(crate) fn parse_query_text(sql: &str) -> Result<Box<Query>> {
    if let Statement::Sql(statement) = parse_one(sql)?
        && let Sql::Query(query) = *statement
    {
        return Ok(query);
    }
    Err(Error::new(ErrorKind::InvalidStatement, "a query is expected here"))
}

fn parser(sql: &str) -> Result<Parser<'static>> {
    size::check_text(sql)?;
    let tokens = Tokenizer::new(&SheafDialect, sql)
        .tokenize_with_location()
        .map_err(datafusion::sql::sqlparser::parser::ParserError::from)?;
    size::check_tokens(&tokens)?;
    Ok(Parser::new(&SheafDialect)
        .with_recursion_limit(RECURSION_MAX)
        .with_tokens_with_locations(placeholders::number(tokens)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_table_takes_its_clauses_in_any_order() {
        for sql in [
            "CREATE TABLE t (a INT) PARTITION BY time_bucket('1 day', a) CLUSTER BY (a) WITH (format = 'parquet')",
            "CREATE TABLE t (a INT) WITH (format = 'parquet') CLUSTER BY (a) PARTITION BY time_bucket('1 day', a)",
            "CREATE TABLE IF NOT EXISTS s.t CLUSTER BY (a) AS SELECT 1 AS a",
        ] {
            assert!(matches!(parse_one(sql).unwrap().sql(), Sql::CreateTable(_)), "{sql}");
        }
        let error = parse_one("CREATE TABLE t (a INT) CLUSTER BY (a) CLUSTER BY (a)").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Syntax);
    }

    #[test]
    fn long_chains_and_deep_nests_are_refused_before_they_hurt() {
        let chain = format!("SELECT {}", vec!["1"; 3_000].join(" + "));
        assert_eq!(parse(&chain).unwrap_err().kind, ErrorKind::LimitExceeded);
        let unions = vec!["SELECT 1"; 3_000].join(" UNION ALL ");
        assert_eq!(parse(&unions).unwrap_err().kind, ErrorKind::LimitExceeded);
        let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
        assert_eq!(parse(&deep).unwrap_err().kind, ErrorKind::LimitExceeded);
        let wide = format!("INSERT INTO t VALUES {}", vec!["(1 + 1, -2)"; 5_000].join(", "));
        assert_eq!(parse(&wide).unwrap().len(), 1);
    }

    #[test]
    fn a_syntax_error_has_a_position() {
        let error = parse("SELECT 1;\nSELEC 2").unwrap_err();
        assert_eq!((error.kind, error.position), (ErrorKind::Syntax, Some((2, 1))));
    }
}
