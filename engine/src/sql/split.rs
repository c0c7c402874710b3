//! Where statements end, without parsing them: for shells that read a stream.

/// Byte offsets just after each `;` that ends a statement, and whether the text
/// ends inside a string, a quoted name or a comment.
struct Scan {
    ends: Vec<usize>,
    open: bool,
}

/// Texts of the statements in `sql`, without the `;`. The last one may lack it.
pub(crate) fn split(sql: &str) -> Vec<String> {
    let scan = scan(sql);
    let mut statements = Vec::new();
    let mut start = 0;
    for end in scan.ends.iter().copied().chain([sql.len()]) {
        let text = sql[start..end].trim_end().trim_end_matches(';').trim();
        if !is_blank(text) {
            statements.push(text.to_owned());
        }
        start = end;
    }
    statements
}

/// Texts of the statements that are ended by a `;`, and the rest of the text.
pub(crate) fn complete_statements(sql: &str) -> (Vec<String>, &str) {
    let end = scan(sql).ends.last().copied().unwrap_or(0);
    (split(&sql[..end]), &sql[end..])
}

/// True when nothing is missing: the text ends after a `;`, or holds no statement.
pub(crate) fn is_complete(sql: &str) -> bool {
    let scan = scan(sql);
    !scan.open && is_blank(&sql[scan.ends.last().copied().unwrap_or(0)..])
}

/// True when there are only spaces, comments and semicolons.
fn is_blank(sql: &str) -> bool {
    let bytes = sql.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b';' => at += 1,
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => match skip_comment(bytes, at) {
                Some((end, _)) => at = end,
                None => return false,
            },
        }
    }
    true
}

fn scan(sql: &str) -> Scan {
    let bytes = sql.as_bytes();
    let mut scan = Scan { ends: Vec::new(), open: false };
    let mut at = 0;
    while at < bytes.len() {
        let skipped = match bytes[at] {
            b';' => {
                scan.ends.push(at + 1);
                at += 1;
                continue;
            }
            b'\'' => Some(skip_quoted(bytes, at, b'\'', is_escape_string(bytes, at))),
            b'"' => Some(skip_quoted(bytes, at, b'"', false)),
            b'$' => skip_dollar_quoted(sql, at),
            _ => skip_comment(bytes, at),
        };
        match skipped {
            Some((end, closed)) => {
                scan.open = !closed;
                at = end;
            }
            None => at += 1,
        }
    }
    scan
}

/// `E'…'` has backslash escapes.
fn is_escape_string(bytes: &[u8], quote: usize) -> bool {
    let Some(before) = quote.checked_sub(1) else { return false };
    let starts_word = before == 0 || !is_word(bytes[before - 1]);
    matches!(bytes[before], b'e' | b'E') && starts_word
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// The offset after a quoted text, and whether it is closed. A doubled quote reads
/// as the end of one text and the start of the next, which comes to the same.
fn skip_quoted(bytes: &[u8], start: usize, quote: u8, escapes: bool) -> (usize, bool) {
    let mut at = start + 1;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] == quote {
            return (at + 1, true);
        } else {
            at += 1;
        }
    }
    (bytes.len(), false)
}

/// `$$…$$` and `$tag$…$tag$`; `None` when the `$` starts something else.
fn skip_dollar_quoted(sql: &str, start: usize) -> Option<(usize, bool)> {
    let bytes = sql.as_bytes();
    if start > 0 && is_word(bytes[start - 1]) {
        return None;
    }
    let tag_len = bytes[start + 1..].iter().position(|b| !is_word(*b) || *b == b'$')?;
    let tag_end = start + 1 + tag_len;
    let first = bytes.get(start + 1)?;
    if bytes[tag_end] != b'$' || first.is_ascii_digit() {
        return None;
    }
    let tag = &sql[start..=tag_end];
    Some(match sql[tag_end + 1..].find(tag) {
        Some(found) => (tag_end + 1 + found + tag.len(), true),
        None => (sql.len(), false),
    })
}

/// A comment at `start`. One of two dashes is closed by the end of the text too.
fn skip_comment(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    if bytes[start..].starts_with(b"--") {
        let end =
            bytes[start..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| start + n + 1);
        return Some((end, true));
    }
    if !bytes[start..].starts_with(b"/*") {
        return None;
    }
    let (mut at, mut depth) = (start + 2, 1);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some((at, true));
            }
        } else {
            at += 1;
        }
    }
    Some((bytes.len(), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_inside_text_do_not_end_statements() {
        let sql =
            "SELECT ';', \"a;b\", E'\\';', $$;$$, $x$;$$;$x$ -- ;\n/* ; /* ; */ ; */; SELECT 2";
        let (complete, rest) = complete_statements(sql);
        assert_eq!(complete.len(), 1);
        assert_eq!(rest, " SELECT 2");
        assert_eq!(split(sql).len(), 2);
        assert_eq!(split(sql)[1], "SELECT 2");
    }

    #[test]
    fn an_open_string_or_comment_is_incomplete() {
        for sql in ["SELECT 1", "SELECT 'a;", "SELECT 1; /* ;", "SELECT $$ ;", "SELECT \"a;"] {
            assert!(!is_complete(sql), "{sql}");
        }
        for sql in ["", " ;", "SELECT 1;", "SELECT 1; -- done", "SELECT 'it''s';\n", "SELECT $1;"] {
            assert!(is_complete(sql), "{sql}");
        }
    }

    #[test]
    fn blank_statements_are_left_out() {
        assert_eq!(split(";; -- nothing\n; SELECT 1 ;;"), ["SELECT 1"]);
        assert!(split("/* only a comment */").is_empty());
    }

    #[test]
    fn offsets_fall_between_characters() {
        assert_eq!(split("SELECT 'ä;ö'; SELECT 'ü'"), ["SELECT 'ä;ö'", "SELECT 'ü'"]);
    }
}
