//! Finds out how a CSV file is written from its first records.

use super::dialect::Dialect;
use super::records::{Survey, survey};
use crate::external::CsvOptions;
use crate::external::infer::ColumnGuess;

/// Separators that are tried, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Records that decide on the dialect, and their bytes.
const RECORDS: usize = 500;
const SAMPLE_LEN: usize = 256 << 10;
/// Lines that may come before the first record.
const PREAMBLE_MAX: usize = 64;

/// How a file seems to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sniffed {
    pub(super) dialect: Dialect,
    /// Lines before the first record that are none.
    pub(super) preamble_lines: u64,
}

/// The dialect under which most records of `sample` have the same number of fields,
/// and more than one. What the options say is taken as it is.
pub(super) fn dialect(
    sample: &[u8],
    whole: bool,
    options: &CsvOptions,
    likely: Option<u8>,
) -> Sniffed {
    let whole = whole && sample.len() <= SAMPLE_LEN;
    let sample = &sample[..sample.len().min(SAMPLE_LEN)];
    let mut best: Option<(Score, Sniffed)> = None;
    for (quote, escape) in quotes(sample, options) {
        for delimiter in delimiters(options, likely) {
            let dialect = Dialect { delimiter, quote, escape, comment: options.comment };
            if dialect.check().is_err() && options.delimiter.is_none() {
                continue;
            }
            let (score, preamble_lines) = score(sample, whole, &dialect);
            if best.as_ref().is_none_or(|(other, _)| score.beats(other)) {
                best = Some((score, Sniffed { dialect, preamble_lines }));
            }
        }
    }
    let (quote, escape) = (options.quote.unwrap_or(b'"'), options.escape);
    let fallback = Dialect {
        delimiter: options.delimiter.unwrap_or(b','),
        quote: Some(quote),
        escape: escape.or(Some(quote)),
        comment: options.comment,
    };
    best.map_or(Sniffed { dialect: fallback, preamble_lines: 0 }, |(_, sniffed)| sniffed)
}

fn delimiters(options: &CsvOptions, likely: Option<u8>) -> Vec<u8> {
    match options.delimiter {
        Some(delimiter) => vec![delimiter],
        None => likely.into_iter().chain(DELIMITERS).collect(),
    }
}

/// Quotes and escapes that are tried, the likeliest first.
fn quotes(sample: &[u8], options: &CsvOptions) -> Vec<(Option<u8>, Option<u8>)> {
    let has = |byte: u8| sample.contains(&byte);
    let quotes = match options.quote {
        Some(0) => return vec![(None, None)],
        Some(quote) => vec![quote],
        None if has(b'\'') => vec![b'"', b'\''],
        None => vec![b'"'],
    };
    let mut pairs = Vec::new();
    for quote in quotes {
        match options.escape {
            Some(escape) => pairs.push((Some(quote), Some(escape))),
            None => {
                pairs.push((Some(quote), Some(quote)));
                let backslashed = sample.windows(2).any(|pair| pair == [b'\\', quote]);
                if backslashed {
                    pairs.push((Some(quote), Some(b'\\')));
                }
            }
        }
    }
    pairs
}

/// How well a dialect suits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Score {
    /// Share of the records with the commonest number of fields.
    agreement: f64,
    /// That number.
    width: usize,
    /// Some fields are in quotes.
    quoted: bool,
    /// No line comes before the first record.
    at_once: bool,
}

impl Score {
    /// Whether to prefer it to one that is tried earlier.
    fn beats(&self, other: &Self) -> bool {
        let splits = |score: &Self| score.width > 1;
        if splits(self) != splits(other) {
            return splits(self);
        }
        // A header without the delimiter looks like a line before the records.
        let rank = |score: &Self| (score.agreement, score.at_once, score.width, score.quoted);
        rank(self) > rank(other)
    }
}

fn score(sample: &[u8], whole: bool, dialect: &Dialect) -> (Score, u64) {
    let mut survey = survey(sample, dialect, RECORDS);
    // The end of a sample may cut a record.
    if !whole && survey.records.len() > 1 {
        survey.records.pop();
    }
    let preamble = preamble(sample, &survey);
    let widths: Vec<usize> = survey.records[preamble..].iter().map(|(_, width)| *width).collect();
    let count = |width: usize| widths.iter().filter(|&&other| other == width).count();
    let mut tried: Vec<usize> = widths.clone();
    tried.sort_unstable();
    tried.dedup();
    let (most, width) = tried.iter().map(|&width| (count(width), width)).max().unwrap_or((0, 0));
    let all = widths.len() + survey.defects;
    let agreement = if all == 0 { 0.0 } else { most as f64 / all as f64 };
    let begin = survey.records.get(preamble).map_or(0, |(start, _)| *start);
    let preamble_lines = if preamble == 0 { 0 } else { super::lines::count(&sample[..begin]) };
    let score = Score { agreement, width, quoted: survey.quoted > 0, at_once: preamble == 0 };
    (score, preamble_lines)
}

/// Number of records at the begin that are something else: lines of one field, or that
/// begin with `#`, before at least two records that all have another width.
fn preamble(sample: &[u8], survey: &Survey) -> usize {
    let records = &survey.records;
    let Some((_, width)) = records.last() else { return 0 };
    if *width < 2 || survey.defects > 0 {
        return 0;
    }
    let same = records.iter().rev().take_while(|(_, other)| other == width).count();
    let before = records.len() - same;
    let other = |(start, width): &(usize, usize)| *width == 1 || sample[*start] == b'#';
    match same >= 2 && before <= PREAMBLE_MAX && records[..before].iter().all(other) {
        true => before,
        false => 0,
    }
}

/// Whether `first` names the columns whose values `rest` has seen: some name is not
/// of its column's type, or all columns are text and the names could be names.
pub(super) fn has_header(first: &[&str], rest: &[ColumnGuess]) -> bool {
    let typed = |guess: &&ColumnGuess| !guess.is_text();
    if !rest.iter().any(|guess| typed(&guess)) {
        let mut names: Vec<&str> =
            first.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        let distinct = names.windows(2).all(|pair| pair[0] != pair[1]);
        return distinct && !names.is_empty();
    }
    first
        .iter()
        .zip(rest)
        .any(|(name, guess)| typed(&guess) && !name.trim().is_empty() && !guess.fits(name))
}

/// Names of columns as a header gives them: trimmed, none empty, none twice.
pub(super) fn names(header: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    let mut taken = std::collections::HashSet::new();
    for (index, name) in header.iter().enumerate() {
        let base = match name.trim() {
            "" => format!("column{index}"),
            name => name.to_owned(),
        };
        let mut name = base.clone();
        let mut number = 1;
        // Names that differ in case only could not be told apart in SQL.
        while !taken.insert(name.to_lowercase()) {
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

    fn sniffed(sample: &str) -> Sniffed {
        dialect(sample.as_bytes(), true, &CsvOptions::default(), None)
    }

    fn delimiter(sample: &str) -> char {
        char::from(sniffed(sample).dialect.delimiter)
    }

    #[test]
    fn delimiters() {
        assert_eq!(delimiter("a,b\n1,2\n"), ',');
        assert_eq!(delimiter("a;b\n1,5;2,5\n3;4\n"), ';');
        assert_eq!(delimiter("a;b\n1;2,5\n2;-3,75\n"), ';');
        assert_eq!(delimiter("a\tb c\n1\t\"x\ty\"\n"), '\t');
        assert_eq!(delimiter("a|b\n1|2\n"), '|');
        assert_eq!(delimiter("one\ntwo\n"), ',');
        assert_eq!(delimiter("key: value\nfoo: bar\n"), ',');
        assert_eq!(delimiter(""), ',');
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(sniffed("a,b\n1,\"x\"\n").dialect.quote, Some(b'"'));
        assert_eq!(sniffed("a,b\n1,'x,y'\n2,'z,w'\n").dialect.quote, Some(b'\''));
        assert_eq!(sniffed("a,b\n1,it's\n2,\"x\"\n").dialect.quote, Some(b'"'));
        assert_eq!(sniffed("a,b\n1,\"x\\\"y,\"\n2,\"z\"\n").dialect.escape, Some(b'\\'));
        assert_eq!(sniffed("a,b\n1,\"x\"\"y\"\n").dialect.escape, Some(b'"'));
    }

    #[test]
    fn lines_before_the_records() {
        assert_eq!(sniffed("a report\n\na,b\n1,2\n3,4\n").preamble_lines, 2);
        assert_eq!(sniffed("# hi\n# x, y, z\na,b\n1,2\n").preamble_lines, 2);
        assert_eq!(sniffed("a\n1,2\n").preamble_lines, 0);
        assert_eq!(sniffed("a,b,c\n1,2\n3,4\n").preamble_lines, 0);
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
        assert!(has_header(&["x", ""], &[guess(&["x"]), guess(&["x"])]));
    }

    #[test]
    fn names_are_unique() {
        assert_eq!(names(&[" a ", "", "a", "A"]), ["a", "column1", "a_1", "A_2"]);
    }
}
