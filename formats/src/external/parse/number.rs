//! Booleans, integers and floating-point numbers.

/// Powers of ten that an f64 holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Largest integer up to which an f64 holds all of them.
const EXACT_MAX: u64 = 1 << 53;

/// `true`, `t`, `yes`, `y`, `on`, `1` and their opposites, in any case.
pub(in super::super) fn boolean(text: &[u8]) -> Option<bool> {
    let is = |names: [&str; 6]| names.iter().any(|n| text.eq_ignore_ascii_case(n.as_bytes()));
    if is(["true", "t", "yes", "y", "on", "1"]) {
        return Some(true);
    }
    is(["false", "f", "no", "n", "off", "0"]).then_some(false)
}

/// Digits after an optional sign.
pub(in super::super) fn signed(text: &[u8]) -> Option<i64> {
    match text.split_first()? {
        (b'-', digits) => 0i64.checked_sub_unsigned(natural(digits)?),
        (b'+', digits) => i64::try_from(natural(digits)?).ok(),
        _ => i64::try_from(natural(text)?).ok(),
    }
}

/// Digits after an optional plus.
pub(in super::super) fn unsigned(text: &[u8]) -> Option<u64> {
    natural(text.strip_prefix(b"+").unwrap_or(text))
}

/// Nothing but digits, at least one.
fn natural(digits: &[u8]) -> Option<u64> {
    // Nineteen digits cannot overflow.
    if digits.len() > 19 {
        return long_natural(digits);
    }
    let mut value = 0u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    (!digits.is_empty()).then_some(value)
}

#[cold]
fn long_natural(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        let next = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        (digit <= 9).then_some(next)
    })
}

/// A number of the nearest f64; also `inf` and `nan`.
pub(in super::super) fn float64(text: &[u8]) -> Option<f64> {
    match plain(text) {
        // One rounding of two exact numbers is the nearest number (Clinger 1990).
        Some(Plain { negative, digits, scale }) if digits <= EXACT_MAX => {
            let value = digits as f64 / TENS[scale];
            Some(if negative { -value } else { value })
        }
        _ => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}

/// A number of the nearest f32; also `inf` and `nan`.
pub(in super::super) fn float32(text: &[u8]) -> Option<f32> {
    match plain(text) {
        Some(Plain { negative, digits, scale }) if digits <= 1 << 24 && scale <= 10 => {
            let value = digits as f32 / TENS[scale] as f32;
            Some(if negative { -value } else { value })
        }
        _ => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}

/// A number of at most nineteen digits without an exponent: `digits / 10^scale`.
struct Plain {
    negative: bool,
    digits: u64,
    scale: usize,
}

fn plain(text: &[u8]) -> Option<Plain> {
    let (negative, number) = match text.first()? {
        b'-' => (true, &text[1..]),
        _ => (false, text),
    };
    if number.len() > 20 {
        return None;
    }
    let mut digits = 0u64;
    let mut count = 0;
    let mut point = None;
    for (at, &byte) in number.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        } else if byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    if count == 0 || count > 19 {
        return None;
    }
    let scale = point.map_or(0, |at| number.len() - at - 1);
    Some(Plain { negative, digits, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("+7", Some(7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("000000000000000000000000012", Some(12)),
            ("99999999999999999999999", None),
            ("", None),
            ("-", None),
            ("1.0", None),
            ("1a", None),
            ("--1", None),
        ] {
            assert_eq!(signed(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(unsigned(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(unsigned(b"18446744073709551616"), None);
        assert_eq!(unsigned(b"-1"), None);
    }

    #[test]
    fn floats_are_the_nearest() {
        for text in [
            "0",
            "-0",
            "1.5",
            "21168.23",
            "0.1",
            ".5",
            "5.",
            "-1e9",
            "1E-7",
            "inf",
            "-inf",
            "123456789012345678",
            "9007199254740993",
            "0.30000000000000004",
            "1e400",
            "5e-324",
            "0.0000000000000000001",
            "16777217",
            "33554433.5",
        ] {
            let bytes = text.as_bytes();
            assert_eq!(float64(bytes).map(f64::to_bits), text.parse().ok().map(f64::to_bits));
            assert_eq!(float32(bytes).map(f32::to_bits), text.parse().ok().map(f32::to_bits));
        }
        assert!(float64(b"nan").unwrap().is_nan());
        for text in ["", "-", ".", "1.2.3", "1,5", "x", "1 2", "\u{661}"] {
            assert_eq!(float64(text.as_bytes()), None, "{text}");
            assert_eq!(float32(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn booleans() {
        assert_eq!(boolean(b"TRUE"), Some(true));
        assert_eq!(boolean(b"n"), Some(false));
        assert_eq!(boolean(b"2"), None);
        assert_eq!(boolean(b""), None);
    }
}
