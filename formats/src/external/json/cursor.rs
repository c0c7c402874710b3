//! A position in JSON text (RFC 8259), and the tokens that are read at it.
//!
//! Tokens are validated as they are passed, the skipped ones too, so that what is an
//! error does not depend on the columns that are read. The text is UTF-8 already.

use std::borrow::Cow;

use super::fault::{Fault, Parsed};

/// Lists and objects inside each other; more would be an attack on the stack.
pub(super) const DEPTH_MAX: u32 = 512;

/// A position in a text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    pub(super) at: usize,
    /// Lists and objects that are open.
    depth: u32,
    /// Whether objects look for their last value of each key before they read any:
    /// set when the row turned out to have a key twice.
    pub(super) careful: bool,
    /// A line end was passed between tokens.
    pub(super) broken: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Self { text, at, depth: 0, careful: false, broken: false }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn blanks(&mut self) {
        while let Some(byte @ (b' ' | b'\n' | b'\r' | b'\t')) = self.peek() {
            self.broken |= byte == b'\n';
            self.at += 1;
        }
    }

    /// Passes `byte` when it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn syntax<T>(&self, what: &'static str) -> Parsed<T> {
        Err(Fault::syntax(self.at, what))
    }

    pub(super) fn literal(&mut self, word: &'static str) -> Parsed<()> {
        if self.rest().starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        self.syntax(
            "a value is expected: an object, an array, a string, a number, true, false or null",
        )
    }

    /// The text of a number.
    pub(super) fn number(&mut self) -> Parsed<&'a str> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let whole = start + usize::from(self.peek() == Some(b'-'));
        let mut at = digits(whole);
        if at == whole {
            return self.syntax("a number or another value is expected");
        }
        if bytes[whole] == b'0' && at > whole + 1 {
            return self.syntax("a number does not begin with zeros");
        }
        if bytes.get(at) == Some(&b'.') {
            let end = digits(at + 1);
            if end == at + 1 {
                return self.syntax("a number has digits after its point");
            }
            at = end;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'-' | b'+')));
            let end = digits(at + 1 + sign);
            if end == at + 1 + sign {
                return self.syntax("a number has digits in its exponent");
            }
            at = end;
        }
        self.at = at;
        match self.peek() {
            None | Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') => Ok(self.since(start)),
            _ => self.syntax("a number ends with a comma, a bracket or a blank"),
        }
    }

    /// Passes a string; its text between the quotes, and whether escapes are in it.
    pub(super) fn string(&mut self) -> Parsed<(&'a str, bool)> {
        if !self.take(b'"') {
            return self.syntax(match self.peek() {
                Some(_) => "a string is expected",
                None => "the text ends where a string is expected",
            });
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_len(self.rest());
            match self.peek() {
                Some(b'"') => {
                    let content = self.since(start);
                    self.at += 1;
                    return Ok((content, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => {
                    return self
                        .syntax("a string has no line ends or control characters: escape them");
                }
                None => return self.syntax("the text ends inside a string"),
            }
        }
    }

    fn escape(&mut self) -> Parsed<()> {
        match self.rest() {
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.at += 2,
            [_, b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|h| h.is_ascii_hexdigit()) => {
                self.at += 6;
            }
            _ => return self.syntax(
                "a backslash is followed by one of \"\\/bfnrt or by u and four hexadecimal digits",
            ),
        }
        Ok(())
    }

    /// Passes a string.
    pub(super) fn unescaped(&mut self) -> Parsed<Cow<'a, str>> {
        let start = self.at;
        let (content, escaped) = self.string()?;
        match escaped {
            false => Ok(Cow::Borrowed(content)),
            true => match super::escape::unescaped(content) {
                Some(text) => Ok(Cow::Owned(text)),
                None => Err(Fault::syntax(
                    start,
                    "an escape \\ud800 to \\udfff is half a character: its other half is missing",
                )),
            },
        }
    }

    /// Enters a list or an object.
    pub(super) fn open(&mut self) -> Parsed<()> {
        if self.depth == DEPTH_MAX {
            return self.syntax("lists and objects are more than 512 deep inside each other");
        }
        self.depth += 1;
        self.at += 1;
        self.blanks();
        Ok(())
    }

    /// Leaves a list or an object.
    pub(super) fn close(&mut self) {
        self.depth -= 1;
    }

    /// After an element of a list or an object: whether another one follows.
    pub(super) fn another(&mut self, end: u8) -> Parsed<bool> {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.blanks();
        }
        if self.take(b',') {
            if self.peek().is_some_and(|byte| byte <= b' ') {
                self.blanks();
            }
            return Ok(true);
        }
        if self.take(end) {
            return Ok(false);
        }
        match self.is_at_end() {
            true => self.syntax("the text ends inside a list or an object"),
            false if end == b'}' => self.syntax("a comma or } is expected"),
            false => self.syntax("a comma or ] is expected"),
        }
    }

    /// After a key.
    pub(super) fn colon(&mut self) -> Parsed<()> {
        self.blanks();
        if !self.take(b':') {
            return self.syntax("a colon is expected after a key");
        }
        self.blanks();
        Ok(())
    }

    /// Passes a value; its text.
    pub(super) fn skip(&mut self) -> Parsed<&'a str> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                self.string()?;
            }
            Some(b'{') => {
                self.open()?;
                let mut more = !self.take(b'}');
                while more {
                    self.string()?;
                    self.colon()?;
                    self.skip()?;
                    more = self.another(b'}')?;
                }
                self.close();
            }
            Some(b'[') => {
                self.open()?;
                let mut more = !self.take(b']');
                while more {
                    self.skip()?;
                    more = self.another(b']')?;
                }
                self.close();
            }
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
            }
            None => return self.syntax("the text ends where a value is expected"),
            Some(_) => self.literal("null")?,
        }
        Ok(self.since(start))
    }
}

/// Bytes before the first quote, backslash or control character: eight at a time.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    let mut len = 0;
    for chunk in bytes.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*chunk);
        // The top bit of each byte that is less than the subtrahend; what is above the
        // first such byte may be wrong, but only the first counts.
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        if found & TOPS != 0 {
            return len + (found & TOPS).trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    len + bytes[len..].iter().take_while(plain).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(text: &str) -> bool {
        let mut cursor = Cursor::new(text, 0);
        cursor.skip().is_ok() && cursor.is_at_end()
    }

    #[test]
    fn values() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "12",
            "1.5",
            "1e9",
            "1E-9",
            "1.25e+10",
            "\"\"",
            r#""a\"b\\\u00e9\ud83d\ude00""#,
            "[]",
            "{}",
            "[ 1 , [ ] ]",
            "{ \"a\" : { } , \"b\":[1,2]}",
            "\"äöü and a text of more than eight bytes\"",
        ] {
            assert!(skipped(text), "{text}");
        }
        for text in [
            "",
            "nul",
            "tru",
            "truex",
            "01",
            "-",
            "+1",
            ".5",
            "5.",
            "1e",
            "1e+",
            "1x",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"a\nb\"",
            "[",
            "[1",
            "[1,",
            "[,]",
            "[1,]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "NaN",
            "'a'",
            "[1}",
            "{\"a\":1]",
            "\"tab\there, long enough\"",
        ] {
            assert!(!skipped(text), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(skipped(&nested(512)));
        assert!(!skipped(&nested(513)));
        assert!(!skipped(&"[".repeat(1_000_000)));
        assert!(!skipped(&"{\"a\":".repeat(1_000_000)));
    }

    #[test]
    fn plain_lengths() {
        for len in 0..40 {
            for stop in ["\"", "\\", "\n", "\u{1f}", "\0"] {
                for fill in ["a", "\u{7f}", " ", "!", "#", "[", "]"] {
                    let text = fill.repeat(len) + stop + "\"a\\tail of the text";
                    assert_eq!(plain_len(text.as_bytes()), len, "{text:?}");
                }
                let text = "é".repeat(len) + stop + "tail";
                assert_eq!(plain_len(text.as_bytes()), 2 * len);
            }
            assert_eq!(plain_len("a".repeat(len).as_bytes()), len);
        }
    }
}
