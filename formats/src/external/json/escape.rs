//! Strings with escapes as the text that they stand for.

/// The text that the content of a string stands for. Its escapes have their form
/// already; none when one of them is half a surrogate pair.
pub(super) fn unescaped(content: &str) -> Option<String> {
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let (character, len) = escape(&rest[at..])?;
        text.push(character);
        rest = &rest[at + len..];
    }
    text.push_str(rest);
    Some(text)
}

/// The character that the escape at the begin of `text` stands for, and the escape's
/// length.
fn escape(text: &str) -> Option<(char, usize)> {
    let character = match text.as_bytes().get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(text),
        &other => char::from(other),
    };
    Some((character, 2))
}

fn unicode(text: &str) -> Option<(char, usize)> {
    let high = unit(text)?;
    if !(0xd800..0xe000).contains(&high) {
        return Some((char::from_u32(high)?, 6));
    }
    // A character beyond the sixteen bits is two escapes: high and low surrogate.
    let low = unit(text.get(6..)?).filter(|low| (0xdc00..0xe000).contains(low))?;
    if high >= 0xdc00 {
        return None;
    }
    let character = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    Some((char::from_u32(character)?, 12))
}

fn unit(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes() {
        let is = |content: &str, text: &str| assert_eq!(unescaped(content).as_deref(), Some(text));
        is(r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t");
        is(r"a\u00e9\u20ACz\u0000", "aé€z\0");
        is(r"\ud83d\ude00!", "😀!");
        is(r"\uD83D\uDE00", "😀");
        is("äöü", "äöü");
        for half in
            [r"\ud83d", r"\ud83dx", r"\ude00", r"\ud83d\u0041", r"\ud83d\ud83d", r"\ude00\ud83d"]
        {
            assert_eq!(unescaped(half), None, "{half}");
        }
    }
}
