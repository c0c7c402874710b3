//! Physical lines of a text. They end with `\n`, `\r\n` or `\r`, quoted or not.

use super::scan::mask_at;

/// Number of line ends in `text`. A `\r` at its very end counts.
pub(super) fn count(text: &[u8]) -> u64 {
    let mut count = 0;
    let mut after_return = false;
    for base in (0..text.len()).step_by(64) {
        let feeds = mask_at(text, base, [b'\n']);
        let returns = mask_at(text, base, [b'\r']);
        // The feed of `\r\n` does not count.
        let second = returns << 1 | u64::from(after_return);
        count += (feeds & !second).count_ones() + returns.count_ones();
        after_return = returns >> 63 == 1;
    }
    u64::from(count)
}

/// Where the line after the first `lines` ones begins, if there are as many line ends.
/// `whole` says that nothing follows `text`.
pub(super) fn after(text: &[u8], lines: u64, whole: bool) -> Option<usize> {
    let mut at = 0;
    for _ in 0..lines {
        at += text[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
        match (text[at], text.get(at + 1)) {
            (b'\r', Some(b'\n')) => at += 2,
            (b'\r', None) if !whole => return None,
            _ => at += 1,
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_of_line_ends() {
        assert_eq!(count(b""), 0);
        assert_eq!(count(b"a\nb\r\nc\rd\n\n\r\r\n"), 7);
        for pad in 55..70 {
            let text = [vec![b'x'; pad], b"\r\n\r\n\n\r".to_vec()].concat();
            assert_eq!(count(&text), 4, "{pad}");
        }
        assert_eq!(after(b"a\r\nb\n", 1, true), Some(3));
        assert_eq!(after(b"a\r\nb\n", 2, true), Some(5));
        assert_eq!(after(b"a\r\nb\n", 3, true), None);
        assert_eq!(after(b"a\r", 1, false), None);
        assert_eq!(after(b"a\r", 1, true), Some(2));
    }
}
