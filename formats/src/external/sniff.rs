//! Finds out how a CSV file is written from its first records.

use super::infer::ColumnGuess;

/// Separators that are tried, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Records that decide on the delimiter.
const RECORDS: usize = 200;

/// A reader of records with nothing but the dialect set: no header, any width.
pub(super) fn records<R: std::io::Read>(input: R, delimiter: u8, quote: u8) -> csv::Reader<R> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .quote(quote)
        .buffer_capacity(256 * 1024)
        .from_reader(input)
}

/// The delimiter under which most records of `sample` have the same number of
/// fields, and more than one.
pub(super) fn delimiter(sample: &[u8], quote: u8) -> u8 {
    let mut best = (DELIMITERS[0], 0.0, 1);
    for candidate in DELIMITERS {
        let (share, width) = agreement(sample, candidate, quote);
        if width > 1 && (share, width) > (best.1, best.2) {
            best = (candidate, share, width);
        }
    }
    best.0
}

/// The commonest number of fields, and the share of records that have it.
fn agreement(sample: &[u8], delimiter: u8, quote: u8) -> (f64, usize) {
    let mut widths: Vec<usize> = records(sample, delimiter, quote)
        .into_byte_records()
        .take(RECORDS)
        .map_while(Result::ok)
        .map(|record| record.len())
        .collect();
    // The end of a sample may cut a record.
    if widths.len() > 1 {
        widths.pop();
    }
    let count = |width: usize| widths.iter().filter(|&&other| other == width).count();
    match widths.iter().map(|&width| (count(width), width)).max() {
        Some((most, width)) => (most as f64 / widths.len() as f64, width),
        None => (0.0, 0),
    }
}

/// Whether `first` names the columns whose values `rest` has seen: some name is not
/// of its column's type, or all columns are text and the names could be names.
pub(super) fn has_header(first: &[&str], rest: &[ColumnGuess]) -> bool {
    let typed = |guess: &&ColumnGuess| !guess.is_text();
    if !rest.iter().any(|guess| typed(&guess)) {
        let mut names: Vec<&str> = first.iter().map(|name| name.trim()).collect();
        names.sort_unstable();
        let distinct = names.windows(2).all(|pair| pair[0] != pair[1]);
        return distinct && names.iter().all(|name| !name.is_empty());
    }
    first
        .iter()
        .zip(rest)
        .any(|(name, guess)| typed(&guess) && !name.trim().is_empty() && !guess.fits(name))
}

/// Names of columns as a header gives them: trimmed, none empty, none twice.
pub(super) fn names(header: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    for (index, name) in header.iter().enumerate() {
        let base = match name.trim() {
            "" => format!("column{index}"),
            name => name.to_owned(),
        };
        let mut name = base.clone();
        let mut number = 1;
        while names.contains(&name) {
            name = format!("{base}_{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        assert_eq!(delimiter(b"a,b\n1,2\n", b'"'), b',');
        assert_eq!(delimiter(b"a;b\n1,5;2,5\n3;4\n", b'"'), b';');
        assert_eq!(delimiter(b"a\tb c\n1\t\"x\ty\"\n", b'"'), b'\t');
        assert_eq!(delimiter(b"one\ntwo\n", b'"'), b',');
        assert_eq!(delimiter(b"", b'"'), b',');
    }

    #[test]
    fn headers() {
        let guess = |values: &[&str]| {
            let mut guess = ColumnGuess::default();
            values.iter().for_each(|value| guess.see(value));
            guess
        };
        let rest = [guess(&["1", "2"]), guess(&["x"])];
        assert!(has_header(&["id", "name"], &rest));
        assert!(!has_header(&["7", "name"], &rest));
        assert!(has_header(&["name"], &[guess(&["x"])]));
        assert!(!has_header(&["x", "x"], &[guess(&["x"]), guess(&["x"])]));
    }

    #[test]
    fn names_are_unique() {
        assert_eq!(names(&[" a ", "", "a", "a"]), ["a", "column1", "a_1", "a_2"]);
    }
}
