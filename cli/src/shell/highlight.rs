//! Colours while typing: keywords, strings, numbers, comments.

use nu_ansi_term::{Color, Style};
use reedline::{Highlighter, StyledText};

use super::words::is_keyword;

/// Colours SQL by its lexical parts only, so it is right at every keystroke.
pub struct SqlHighlighter;

impl Highlighter for SqlHighlighter {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        let mut rest = line;
        while !rest.is_empty() {
            let (length, style) = next(rest);
            let (token, after) = rest.split_at(length);
            styled.push((style, token.to_owned()));
            rest = after;
        }
        styled
    }
}

/// Length and style of the token at the start of `text`, which is not empty.
fn next(text: &str) -> (usize, Style) {
    let run = |accept: fn(char) -> bool| text.find(|c| !accept(c)).unwrap_or(text.len());
    let first = text.chars().next().unwrap_or(' ');
    if text.starts_with("--") {
        (text.find('\n').unwrap_or(text.len()), Style::new().dimmed())
    } else if text.starts_with("/*") {
        (text.find("*/").map_or(text.len(), |at| at + 2), Style::new().dimmed())
    } else if first == '\'' || first == '"' {
        let end = text[1..].find(first).map_or(text.len(), |at| at + 2);
        (end, if first == '\'' { Color::Green.normal() } else { Style::new() })
    } else if first.is_ascii_digit() {
        (run(|c| c.is_ascii_digit() || c == '.'), Color::Cyan.normal())
    } else if first.is_alphabetic() || first == '_' {
        let length = run(|c| c.is_alphanumeric() || c == '_');
        (length, if is_keyword(&text[..length]) { Color::Blue.bold() } else { Style::new() })
    } else {
        (first.len_utf8(), Style::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(mut text: &str) -> Vec<&str> {
        let mut out = Vec::new();
        while !text.is_empty() {
            let (token, rest) = text.split_at(next(text).0);
            out.push(token);
            text = rest;
        }
        out
    }

    #[test]
    fn every_byte_belongs_to_one_token() {
        assert_eq!(tokens("select 'ü'"), ["select", " ", "'ü'"]);
        assert_eq!(tokens("a>1.5--x\n/*"), ["a", ">", "1.5", "--x", "\n", "/*"]);
        assert_eq!(tokens("'open"), ["'open"]);
    }
}
