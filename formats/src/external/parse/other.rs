//! Binary values and UUIDs.

/// `\x` and hexadecimal digits, else the bytes of the text itself.
pub(in super::super) fn bytes(text: &[u8]) -> Option<Vec<u8>> {
    match text.strip_prefix(b"\\x") {
        Some(digits) if digits.len() % 2 == 0 => {
            digits.chunks_exact(2).map(|pair| Some(hex(pair[0])? << 4 | hex(pair[1])?)).collect()
        }
        Some(_) => None,
        None => Some(text.to_vec()),
    }
}

/// Thirty-two hexadecimal digits, with hyphens between groups of four and in braces
/// or not, as PostgreSQL takes them.
pub(in super::super) fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let inner = match text {
        [b'{', inner @ .., b'}'] => inner,
        _ => text,
    };
    let mut value = [0; 16];
    let mut count = 0;
    let mut after_hyphen = true;
    for &byte in inner {
        if byte == b'-' {
            if after_hyphen || count % 4 != 0 || count == 32 {
                return None;
            }
            after_hyphen = true;
            continue;
        }
        let shift = if count % 2 == 0 { 4 } else { 0 };
        *value.get_mut(count / 2)? |= hex(byte)? << shift;
        count += 1;
        after_hyphen = false;
    }
    (count == 32).then_some(value)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary() {
        assert_eq!(bytes(b"\\x4fA0"), Some(vec![0x4f, 0xa0]));
        assert_eq!(bytes(b"\\x"), Some(vec![]));
        assert_eq!(bytes(b"\\x4"), None);
        assert_eq!(bytes(b"\\xzz"), None);
        assert_eq!(bytes(b"plain"), Some(b"plain".to_vec()));
    }

    #[test]
    fn uuids() {
        let expected = Some(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");
        for text in [
            "01234567-89ab-cdef-0123-456789abcdef",
            "{01234567-89AB-CDEF-0123-456789ABCDEF}",
            "0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(uuid(text.as_bytes()), expected, "{text}");
        }
        for text in [
            "",
            "0123",
            "01234567--89ab-cdef-0123-456789abcdef",
            "-0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdef-",
            "0123456789abcdef0123456789abcdef00",
            "g123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(uuid(text.as_bytes()), None, "{text}");
        }
    }
}
