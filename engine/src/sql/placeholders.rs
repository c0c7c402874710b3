//! `?` as a parameter: the n-th of a statement is `$n`.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, ErrorKind, Result};

/// Numbers the question marks of each statement. The tokenizer takes some of them for
/// operators of PostgreSQL's geometry, which there is not.
pub(super) fn number(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    if !tokens.iter().any(|token| rest_of(&token.token).is_some()) {
        return Ok(tokens);
    }
    let mut numbered = Vec::with_capacity(tokens.len());
    let (mut count, mut has_numbers) = (0, false);
    for token in tokens {
        let rest = rest_of(&token.token);
        match &token.token {
            Token::SemiColon => (count, has_numbers) = (0, false),
            Token::Placeholder(_) => has_numbers = true,
            _ => count += usize::from(rest.is_some()),
        }
        if has_numbers && count > 0 {
            return Err(Error::new(ErrorKind::Syntax, "a statement has parameters as ? and as $1")
                .at(Some((token.span.start.line, token.span.start.column)))
                .hint("write all of them the same way"));
        }
        let Some(rest) = rest else {
            numbered.push(token);
            continue;
        };
        let placeholder = Token::Placeholder(format!("${count}"));
        let all = std::iter::once(placeholder).chain(rest.iter().cloned());
        numbered.extend(all.map(|part| TokenWithSpan { token: part, span: token.span }));
    }
    Ok(numbered)
}

/// What follows the question mark that a token begins with.
fn rest_of(token: &Token) -> Option<&'static [Token]> {
    match token {
        Token::Question => Some(&[]),
        Token::QuestionMarkDash => Some(&[Token::Minus]),
        Token::QuestionMarkDashVerticalBar => Some(&[Token::Minus, Token::Pipe]),
        Token::QuestionPipe => Some(&[Token::Pipe]),
        Token::QuestionMarkDoubleVerticalBar => Some(&[Token::StringConcat]),
        Token::QuestionAnd => Some(&[Token::Ampersand]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::parse;

    fn shown(sql: &str) -> String {
        let statements = parse(sql).unwrap();
        let texts: Vec<String> = statements.iter().map(|s| s.sql().to_string()).collect();
        texts.join("; ")
    }

    #[test]
    fn question_marks_are_numbered_in_each_statement() {
        for (marks, numbers) in [
            ("SELECT ? + ?; SELECT ?", "SELECT $1 + $2; SELECT $1"),
            ("SELECT ?-1, ?||'x', '?', \"?\"", "SELECT $1-1, $2||'x', '?', \"?\""),
            ("SELECT a FROM t WHERE v <-> ? < 1", "SELECT a FROM t WHERE v <-> $1 < 1"),
        ] {
            assert_eq!(shown(marks), shown(numbers));
        }
        assert!(parse("SELECT $1 + ?").unwrap_err().message.contains("as ? and as $1"));
        assert!(parse("SELECT ? + $1").is_err());
    }
}
