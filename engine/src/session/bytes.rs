//! Numbers of bytes as people write them: `512MB`, `1.5 GiB`.

use super::units;

/// Units by their names in lower case; as in DuckDB, only those with an `i` are binary.
const UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// The bytes that a text says; a number alone is of bytes.
pub(super) fn parse(text: &str) -> Option<usize> {
    let (digits, factor) = units::split(text, &UNITS, "b")?;
    let bytes = digits.parse::<f64>().ok()? * factor as f64;
    (bytes >= 0.0 && bytes <= usize::MAX as f64).then_some(bytes as usize)
}

/// Bytes in the largest binary unit of which there is at least one.
pub(super) fn show(bytes: usize) -> String {
    let units = UNITS[5..].iter().rev().zip(["TiB", "GiB", "MiB", "KiB"]);
    for ((_, factor), name) in units {
        if bytes as u64 >= *factor {
            let shown = format!("{:.1}", bytes as f64 / *factor as f64);
            return format!("{} {name}", shown.trim_end_matches(".0"));
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bytes_and_back() {
        for (text, bytes, shown) in [
            ("1024", 1024, "1 KiB"),
            ("1 GiB", 1 << 30, "1 GiB"),
            ("1.5gib", 3 << 29, "1.5 GiB"),
            ("2GB", 2_000_000_000, "1.9 GiB"),
            (" 512 MB ", 512_000_000, "488.3 MiB"),
            ("7 B", 7, "7 B"),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
            assert_eq!(show(bytes), shown);
        }
        for text in ["", "GB", "-1GB", "1 parsec", "1e400"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
