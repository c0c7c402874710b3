//! The grammar of CREATE TABLE: PostgreSQL's column list, then `PARTITION BY`,
//! `CLUSTER BY` and `WITH` in any order, then perhaps `AS query`.

use datafusion::sql::sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use datafusion::sql::sqlparser::ast::{
    ClusteredBy, CreateTableOptions, OrderByExpr, Statement, Value,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{IsOptional, Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::build::with_column_names;

/// What a table is partitioned by: `PARTITION BY time_bucket('1 month', ts)`.
pub(crate) const PARTITION_FUNCTION: &str = "time_bucket";

/// Parses CREATE TABLE; `None` when the next statement is another one.
pub(super) fn parse_create_table(parser: &mut Parser) -> Option<Result<Statement, ParserError>> {
    if !parser.peek_keyword(Keyword::CREATE) {
        return None;
    }
    // CREATE OR REPLACE TABLE has no meaning here yet; the parser's own grammar takes
    // it and the statement is refused with its other clauses.
    parser.parse_keywords(&[Keyword::CREATE, Keyword::TABLE]).then(|| after_keywords(parser))
}

fn after_keywords(parser: &mut Parser) -> Result<Statement, ParserError> {
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    // `(a, b) AS query` names the columns of the query.
    let names = parser.maybe_parse(|parser| {
        let names = parser.parse_parenthesized_column_list(IsOptional::Mandatory, false)?;
        parser.expect_keyword_is(Keyword::AS)?;
        Ok(names)
    })?;
    if let Some(names) = names {
        let query = with_column_names(*parser.parse_query()?, names);
        let table =
            CreateTableBuilder::new(name).if_not_exists(if_not_exists).query(Some(Box::new(query)));
        return Ok(table.build().into());
    }
    let (columns, constraints) = parser.parse_columns()?;
    let mut table = CreateTableBuilder::new(name)
        .if_not_exists(if_not_exists)
        .columns(columns)
        .constraints(constraints);
    let (mut partitioned, mut clustered, mut with) = (false, false, false);
    loop {
        if parser.parse_keywords(&[Keyword::PARTITION, Keyword::BY]) {
            once(&mut partitioned, "PARTITION BY")?;
            table = table.partition_by(Some(Box::new(parser.parse_expr()?)));
        } else if parser.parse_keywords(&[Keyword::CLUSTER, Keyword::BY]) {
            once(&mut clustered, "CLUSTER BY")?;
            parser.expect_token(&Token::LParen)?;
            let columns = parser.parse_comma_separated(Parser::parse_order_by_expr)?;
            parser.expect_token(&Token::RParen)?;
            table = table.clustered_by(Some(sorted_by(columns)));
        } else if parser.peek_keyword(Keyword::WITH) {
            once(&mut with, "WITH")?;
            table =
                table.table_options(CreateTableOptions::With(parser.parse_options(Keyword::WITH)?));
        } else {
            break;
        }
    }
    if parser.parse_keyword(Keyword::AS) {
        table = table.query(Some(parser.parse_query()?));
    } else {
        match parser.peek_token_ref().token {
            Token::EOF | Token::SemiColon => {}
            _ => {
                return parser.expected_ref(
                    "PARTITION BY, CLUSTER BY, WITH, AS or the end of the statement",
                    parser.peek_token_ref(),
                );
            }
        }
    }
    Ok(table.build().into())
}

/// Where the tree has room for an order: its CLUSTER BY has columns alone.
fn sorted_by(columns: Vec<OrderByExpr>) -> ClusteredBy {
    ClusteredBy { columns: Vec::new(), sorted_by: Some(columns), num_buckets: Value::Null }
}

fn once(seen: &mut bool, clause: &str) -> Result<(), ParserError> {
    if std::mem::replace(seen, true) {
        return Err(ParserError::ParserError(format!("{clause} is given twice")));
    }
    Ok(())
}
