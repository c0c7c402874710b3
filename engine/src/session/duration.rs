//! Durations as people write them: `500ms`, `5 s`, `2min`.

use std::time::Duration;

use super::units;

/// Units by their names, and their milliseconds.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The duration that a text says; as in PostgreSQL a number alone is of milliseconds.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (digits, millis) = units::split(text, &UNITS, "ms")?;
    digits.parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)
}

/// A duration in the largest unit of which it is a whole number.
pub(super) fn show(duration: Duration) -> String {
    let millis = duration.as_millis() as u64;
    let whole = UNITS.iter().rev().find(|(_, unit)| millis.is_multiple_of(*unit));
    let (name, unit) = whole.unwrap_or(&UNITS[0]);
    format!("{} {name}", millis / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_durations_and_back() {
        for (text, millis, shown) in [
            ("1500", 1500, "1500 ms"),
            ("2000ms", 2000, "2 s"),
            (" 90 s ", 90_000, "90 s"),
            ("2MIN", 120_000, "2 min"),
            ("1 d", 86_400_000, "1 d"),
        ] {
            let parsed = parse(text).unwrap();
            assert_eq!((parsed, show(parsed)), (Duration::from_millis(millis), shown.into()));
        }
        for text in ["", "s", "-1", "1 fortnight", "1.5 s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
