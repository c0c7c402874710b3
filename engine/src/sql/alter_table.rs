//! The grammar of `ALTER TABLE t RESET (option, …)`; the parser has the other forms.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{AlterTable, AlterTableOperation, SqlOption, Statement};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{IsOptional, Parser, ParserError};

/// Parses the statement; `None` when the next one is another. What is reset is a SET of
/// options without values.
pub(super) fn parse_reset(parser: &mut Parser) -> Option<Result<Statement, ParserError>> {
    if !parser.peek_keyword(Keyword::ALTER) {
        return None;
    }
    parser.maybe_parse(statement).transpose()
}

fn statement(parser: &mut Parser) -> Result<Statement, ParserError> {
    parser.expect_keywords(&[Keyword::ALTER, Keyword::TABLE])?;
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let only = parser.parse_keyword(Keyword::ONLY);
    let name = parser.parse_object_name(false)?;
    parser.expect_keyword_is(Keyword::RESET)?;
    let names = parser.parse_parenthesized_column_list(IsOptional::Mandatory, false)?;
    let options = names.into_iter().map(SqlOption::Ident).collect();
    let alter = AlterTable {
        name,
        if_exists,
        only,
        operations: vec![AlterTableOperation::SetOptionsParens { options }],
        location: None,
        on_cluster: None,
        table_type: None,
        end_token: AttachedToken::empty(),
    };
    Ok(alter.into())
}
