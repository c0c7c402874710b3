//! Decimal numbers of a fixed scale.

/// A number with `scale` digits after the point, times ten to the scale; rounded half
/// away from zero. None when it has more than `precision` digits.
pub(in super::super) fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, number) = match text.split_first()? {
        (b'-', number) => (true, number),
        (b'+', number) => (false, number),
        _ => (false, text),
    };
    let magnitude = match short(number, scale) {
        Some(magnitude) => i128::from(magnitude),
        None => long(number, scale)?,
    };
    if magnitude >= 10i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX) {
        return None;
    }
    Some(if negative { -magnitude } else { magnitude })
}

/// The common case: no exponent, nothing to round, and it fits in 64 bits.
fn short(number: &[u8], scale: i8) -> Option<u64> {
    let scale = usize::try_from(scale).ok()?;
    if number.len() > 18 {
        return None;
    }
    let mut value = 0u64;
    let mut point = None;
    for (at, &byte) in number.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + u64::from(digit);
        } else if byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let fraction = point.map_or(0, |at| number.len() - at - 1);
    let digits = number.len() - usize::from(point.is_some());
    let missing = scale.checked_sub(fraction)?;
    if digits == 0 || digits + missing > 19 {
        return None;
    }
    value.checked_mul(10u64.checked_pow(u32::try_from(missing).ok()?)?)
}

/// Any number.
fn long(number: &[u8], scale: i8) -> Option<i128> {
    let (digits, exponent) = match number.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&number[..at], super::signed(&number[at + 1..])?),
        None => (number, 0),
    };
    let point = digits.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &[][..]),
    };
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    // How many of the digits stand before the point, once it is moved to the scale.
    let kept = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let kept = kept.checked_add(i64::from(scale))?;
    let mut value = 0i128;
    let mut count = 0i64;
    for &byte in whole.iter().chain(fraction) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        if count < kept {
            value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
        } else if count == kept && digit >= 5 {
            value = value.checked_add(1)?;
        }
        count += 1;
    }
    while count < kept && value != 0 {
        value = value.checked_mul(10)?;
        count += 1;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for (text, expected) in [
            ("1.5", Some(150)),
            ("-1.5", Some(-150)),
            ("+.5", Some(50)),
            ("5.", Some(500)),
            ("1.235", Some(124)),
            ("-1.235", Some(-124)),
            ("1.2349999999999999999999999999999999999999999", Some(123)),
            ("0.004", Some(0)),
            ("0.005", Some(1)),
            ("0.0049", Some(0)),
            ("999.99", Some(99_999)),
            ("999.995", None),
            ("1000", None),
            ("1e2", Some(10_000)),
            ("12345e-3", Some(1_235)),
            ("5e-3", Some(1)),
            ("5e-4", Some(0)),
            ("0e999999999", Some(0)),
            ("1e999999999", None),
            ("1e-999999999", Some(0)),
            ("1e99999999999999999999", None),
            ("", None),
            ("-", None),
            (".", None),
            ("1.2.3", None),
            ("1e", None),
            ("e5", None),
            ("1x", None),
            ("nan", None),
        ] {
            assert_eq!(decimal(text.as_bytes(), 5, 2), expected, "{text}");
        }
        let nines = "9".repeat(38);
        assert_eq!(decimal(nines.as_bytes(), 38, 0), Some(10i128.pow(38) - 1));
        assert_eq!(decimal(format!("{nines}9").as_bytes(), 38, 0), None);
        assert_eq!(decimal(b"1250", 5, -2), Some(13));
        assert_eq!(
            decimal(b"123456789012345678", 38, 10),
            Some(1_234_567_890_123_456_780_000_000_000)
        );
    }
}
