//! The grammar of COPY:
//!
//! ```text
//!   COPY t [(a, b)] FROM | TO 'file' [[WITH] (option, …)]
//!   COPY (query) TO 'file' [[WITH] (option, …)]
//!   option = name [[=] value]
//! ```
//!
//! Which options there are is for those who run it to say.

use datafusion::sql::sqlparser::ast::{CopySource, CopyTarget, Statement};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{IsOptional, Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::copy_option::{CopyOption, CopyOptions, OptionValue};
use super::{column_names, supported, using_joins};
use crate::error::Result;

/// A parsed COPY.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    /// What is written, or the table that rows go into.
    pub source: CopySource,
    /// COPY … TO; otherwise COPY … FROM.
    pub to: bool,
    /// The file.
    pub target: CopyTarget,
    /// What stands in the parentheses at the end.
    pub options: CopyOptions,
}

/// Parses COPY; `None` when the next statement is another one.
pub(super) fn parse_copy(parser: &mut Parser) -> Option<Result<Copy>> {
    parser.parse_keyword(Keyword::COPY).then(|| {
        let mut copy = after_keyword(parser)?;
        if let CopySource::Query(query) = copy.source {
            let mut statement = Statement::Query(query);
            supported::check(&mut statement)?;
            column_names::name_columns(&mut statement);
            using_joins::merge_columns(&mut statement)?;
            let Statement::Query(query) = statement else {
                return Ok(parser.expected_ref("a query in COPY", parser.peek_token_ref())?);
            };
            copy.source = CopySource::Query(query);
        }
        Ok(copy)
    })
}

fn after_keyword(parser: &mut Parser) -> Result<Copy, ParserError> {
    let source = if parser.consume_token(&Token::LParen) {
        let query = parser.parse_query()?;
        parser.expect_token(&Token::RParen)?;
        CopySource::Query(query)
    } else {
        let table_name = parser.parse_object_name(false)?;
        let columns = parser.parse_parenthesized_column_list(IsOptional::Optional, false)?;
        CopySource::Table { table_name, columns }
    };
    let is_query = matches!(source, CopySource::Query(_));
    let to = match parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::TO]) {
        Some(Keyword::TO) => true,
        Some(_) if !is_query => false,
        Some(_) => {
            parser.prev_token();
            return parser.expected_ref("TO after a query", parser.peek_token_ref());
        }
        None => return parser.expected_ref("FROM or TO", parser.peek_token_ref()),
    };
    let target = if parser.parse_keyword(Keyword::STDIN) {
        CopyTarget::Stdin
    } else if parser.parse_keyword(Keyword::STDOUT) {
        CopyTarget::Stdout
    } else if parser.parse_keyword(Keyword::PROGRAM) {
        CopyTarget::Program { command: parser.parse_literal_string()? }
    } else {
        CopyTarget::File { filename: parser.parse_literal_string()? }
    };
    let with = parser.parse_keyword(Keyword::WITH);
    let mut options = Vec::new();
    if parser.consume_token(&Token::LParen) {
        options = parser.parse_comma_separated(parse_option)?;
        parser.expect_token(&Token::RParen)?;
    } else if with || !at_end(parser) {
        return parser.expected_ref(
            "options in parentheses, as in (FORMAT csv, HEADER true)",
            parser.peek_token_ref(),
        );
    }
    Ok(Copy { source, to, target, options: CopyOptions(options) })
}

fn at_end(parser: &Parser) -> bool {
    matches!(parser.peek_token_ref().token, Token::SemiColon | Token::EOF)
}

fn parse_option(parser: &mut Parser) -> Result<CopyOption, ParserError> {
    let name = match parser.next_token() {
        TokenWithSpan { token: Token::Word(word), span } => word.into_ident(span),
        other => return parser.expected("the name of an option", other),
    };
    let equals = parser.consume_token(&Token::Eq);
    let start = parser.peek_token_ref().span.start;
    let value_at = (start.line > 0).then_some((start.line, start.column));
    let value = match &parser.peek_token_ref().token {
        Token::Comma | Token::RParen if !equals => OptionValue::Absent,
        _ => parse_value(parser)?,
    };
    Ok(CopyOption { name, value, value_at })
}

fn parse_value(parser: &mut Parser) -> Result<OptionValue, ParserError> {
    let next = parser.next_token();
    Ok(match next.token {
        Token::Word(word) if word.quote_style.is_some() => {
            OptionValue::Name(word.into_ident(next.span))
        }
        Token::Word(word) => match word.keyword {
            Keyword::TRUE => OptionValue::Boolean(true),
            Keyword::FALSE => OptionValue::Boolean(false),
            _ => OptionValue::Name(word.into_ident(next.span)),
        },
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => {
            OptionValue::Text(text)
        }
        Token::Number(digits, _) => OptionValue::Number(digits),
        Token::Minus => match parser.next_token() {
            TokenWithSpan { token: Token::Number(digits, _), .. } => {
                OptionValue::Number(format!("-{digits}"))
            }
            other => return parser.expected("a number", other),
        },
        Token::Mul => OptionValue::All,
        Token::LBrace => {
            let pairs = parser.parse_comma_separated0(parse_pair, Token::RBrace)?;
            parser.expect_token(&Token::RBrace)?;
            OptionValue::Pairs(pairs)
        }
        Token::LParen => {
            // Texts in quotes are taken too, as names that keep their case.
            let names = parser.parse_comma_separated(Parser::parse_identifier)?;
            parser.expect_token(&Token::RParen)?;
            OptionValue::List(names)
        }
        _ => return parser.expected("a value: a name, a text, a number or a list of names", next),
    })
}

/// `'name': 'type'`
fn parse_pair(parser: &mut Parser) -> Result<(String, String), ParserError> {
    let name = parser.parse_identifier()?.value;
    parser.expect_token(&Token::Colon)?;
    Ok((name, parser.parse_identifier()?.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::sql::{Statement, parse_one};

    fn copy(sql: &str) -> Copy {
        match parse_one(sql).unwrap() {
            Statement::Copy(copy) => *copy,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_have_values_of_all_kinds() {
        let copy = copy(
            "COPY t (a, b) TO 'x' WITH (FORMAT csv, header, Delimiter = E'\\t', null '', \
             row_group_size 1000, skip -1, force_quote *, array false, partition_by (a, \"B\"))",
        );
        assert!(copy.to);
        let values: Vec<String> =
            copy.options.iter().map(|o| format!("{} {:?}", o.key(), o.value)).collect();
        assert_eq!(values[1], "header Absent");
        assert_eq!(values[2], "delimiter Text(\"\\t\")");
        assert_eq!(values[3], "null Text(\"\")");
        assert_eq!(values[4], "row_group_size Number(\"1000\")");
        assert_eq!(values[5], "skip Number(\"-1\")");
        assert_eq!(values[6], "force_quote All");
        assert_eq!(values[7], "array Boolean(false)");
        assert_eq!(copy.options.iter().next_back().unwrap().names().unwrap(), ["a", "B"]);
    }

    #[test]
    fn queries_are_copied_out_only() {
        assert!(matches!(copy("COPY (SELECT 1) TO 'x'").source, CopySource::Query(_)));
        for sql in [
            "COPY (SELECT 1) FROM 'x'",
            "COPY t",
            "COPY t FROM 'x' CSV HEADER",
            "COPY t FROM 'x' WITH",
            "COPY t FROM 'x' (FORMAT =)",
            "COPY t FROM 'x' ()",
        ] {
            let error = parse_one(sql).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Syntax, "{sql}: {error}");
        }
        let error = parse_one("COPY (SELECT * FROM t FOR UPDATE) TO 'x'").unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotSupported);
    }
}
