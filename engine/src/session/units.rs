//! Numbers with a unit: `512MB`, `30 s`.

/// The number of a text as it is written, and what its unit stands for; a number alone has
/// the unit `default`.
pub(super) fn split<'a, T: Copy>(
    text: &'a str,
    units: &[(&str, T)],
    default: &str,
) -> Option<(&'a str, T)> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text[digits.len()..].trim().to_ascii_lowercase();
    let unit = if unit.is_empty() { default } else { &unit };
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| (digits, *factor))
}
