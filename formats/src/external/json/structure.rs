//! Follows brackets and strings through JSON text that comes in parts, to find where
//! it may be cut. What is not JSON is noticed later, by who parses it.

use memchr::memchr2;

/// How the values of a file follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// No value has a line end in it.
    Lines,
    /// One after the other.
    Values,
    /// Elements of one array.
    Array,
}

/// Where in the structure a text has been followed to.
#[derive(Debug, Default)]
pub(super) struct Structure {
    depth: usize,
    in_string: bool,
    /// The next byte is escaped.
    escaped: bool,
}

/// Where a text may be cut.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cuts {
    /// The end of the last whole value: the comma after it in an array.
    pub(super) last: Option<usize>,
    /// The bracket that ends the array.
    pub(super) end: Option<usize>,
}

impl Structure {
    /// Follows `bytes` from `start` on, whose begin has been followed already, to the
    /// end of it or of the array.
    pub(super) fn follow(&mut self, bytes: &[u8], start: usize, layout: Layout) -> Cuts {
        let mut cuts = Cuts::default();
        let mut at = start;
        while at < bytes.len() {
            if self.in_string {
                at = self.follow_string(bytes, at);
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b']' if self.depth == 0 && layout == Layout::Array => {
                    cuts.end = Some(at);
                    return cuts;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 && layout != Layout::Array {
                        cuts.last = Some(at + 1);
                    }
                }
                b',' if self.depth == 0 && layout == Layout::Array => cuts.last = Some(at),
                b'\n' if self.depth == 0 && layout != Layout::Array => cuts.last = Some(at + 1),
                _ => {}
            }
            at += 1;
        }
        cuts
    }

    /// The place after the part of a string that begins at `at`.
    fn follow_string(&mut self, bytes: &[u8], at: usize) -> usize {
        if std::mem::take(&mut self.escaped) {
            return at + 1;
        }
        match memchr2(b'"', b'\\', &bytes[at..]) {
            None => bytes.len(),
            Some(found) => {
                match bytes[at + found] {
                    b'"' => self.in_string = false,
                    _ => self.escaped = true,
                }
                at + found + 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_do_not_depend_on_the_parts() {
        let text = r#"{"a":"}\"]\\"} [1,{"b":[2]}] "x" 3"#.to_owned() + "\n4";
        let array = r#"{"a":",]\\"},[1,2],"],", 3 ] "#;
        for (text, layout, last, end) in [
            (text.as_str(), Layout::Values, Some(text.len() - 1), None),
            (array, Layout::Array, array.rfind(','), array.rfind(']')),
        ] {
            let whole = Structure::default().follow(text.as_bytes(), 0, layout);
            assert_eq!(whole, Cuts { last, end });
            for cut in 0..text.len() {
                let mut structure = Structure::default();
                let first = structure.follow(&text.as_bytes()[..cut], 0, layout);
                assert!(first.last <= last);
                if first.end.is_none() {
                    let second = structure.follow(text.as_bytes(), cut, layout);
                    assert_eq!(second.last.or(first.last), last);
                    assert_eq!(second.end, end);
                }
            }
        }
    }
}
