//! Completion with Tab.

use reedline::{Completer, CompletionResult, Span, Suggestion};

use super::words::Words;

/// Completes the word before the cursor.
pub struct SqlCompleter {
    /// Where the words come from.
    pub words: Words,
}

impl Completer for SqlCompleter {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let start = word_start(&line[..pos]);
        if start == pos {
            return CompletionResult::fresh(Vec::new());
        }
        let suggestions: Vec<Suggestion> = self
            .words
            .starting_with(&line[start..pos])
            .into_iter()
            .map(|value| Suggestion {
                value,
                span: Span::new(start, pos),
                append_whitespace: true,
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}

/// Where the word that `text` ends with begins.
fn word_start(text: &str) -> usize {
    text.char_indices()
        .rev()
        .take_while(|(_, c)| c.is_alphanumeric() || *c == '_')
        .last()
        .map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_starts_after_anything_that_names_cannot_hold() {
        assert_eq!(word_start("select fl"), 7);
        assert_eq!(word_start("f.dep_de"), 2);
        assert_eq!(word_start("count(ü"), 6);
        assert_eq!(word_start("select "), 7);
    }
}
