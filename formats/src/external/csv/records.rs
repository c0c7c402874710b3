//! Cuts text into records and their fields.
//!
//! A quote opens a quoted field at the field's very begin only; elsewhere in an
//! unquoted field it is a character like any other. Inside a quoted field a quote
//! after the escape, by default another quote, is part of the value. After the closing
//! quote there may be blanks. Empty lines are no records, unless records have one
//! field: then they are an empty one.

use super::dialect::Dialect;
use super::scan::Finder;

/// Where a field ends, and how it is written, in 32 bits.
const QUOTED: u32 = 1 << 31;
const ESCAPED: u32 = 1 << 30;
const PLACE: u32 = ESCAPED - 1;
/// The record is too short to have the field.
const MISSING: u32 = u32::MAX;

/// Longest text that can be cut.
pub(super) const TEXT_LEN_MAX: usize = PLACE as usize;

/// A field of a record, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    pub(super) bytes: &'a [u8],
    /// Where `bytes` begins in the text.
    pub(super) start: usize,
    pub(super) quoted: bool,
    /// Escapes are still in it.
    pub(super) escaped: bool,
    /// The record ended before it.
    pub(super) missing: bool,
}

/// What is wrong with a record as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// It has another number of fields, this one.
    Width(usize),
    /// A quoted field has no end. It begins here.
    Unclosed(usize),
    /// Something follows a closing quote. The field begins here.
    AfterQuote(usize),
}

/// What ended the cutting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// There are as many records as were wanted.
    Full,
    /// The text is at its end.
    End,
    /// The record that begins here is not one. Cutting can go on after it.
    Defect(usize, Defect),
}

/// How records are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) dialect: Dialect,
    /// Fields per record.
    pub(super) width: usize,
    /// Records may lack fields at their end.
    pub(super) padding: bool,
}

/// Records of a text, which is `&[u8]` in all calls.
#[derive(Debug, Default)]
pub(super) struct Records {
    width: usize,
    starts: Vec<u32>,
    /// Ends of the fields of all records, one record after the other.
    ends: Vec<u32>,
}

impl Records {
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Forgets all records.
    pub(super) fn clear(&mut self) {
        self.starts.clear();
        self.ends.clear();
    }

    /// Where record `row` begins.
    pub(super) fn start(&self, row: usize) -> usize {
        self.starts[row] as usize
    }

    /// The field at `place` of record `row`.
    #[inline]
    pub(super) fn cell<'a>(&self, text: &'a [u8], row: usize, place: usize) -> Cell<'a> {
        let index = row * self.width + place;
        let end = self.ends[index];
        let start = match place {
            0 => self.starts[row] as usize,
            _ => (self.ends[index - 1] & PLACE) as usize + 1,
        };
        if end < ESCAPED {
            let bytes = &text[start..end as usize];
            return Cell { bytes, start, quoted: false, escaped: false, missing: false };
        }
        if end == MISSING {
            return Cell { bytes: &[], start: 0, quoted: false, escaped: false, missing: true };
        }
        // The quotes do not count, nor do blanks after the second one.
        let (start, end, escaped) = (start + 1, (end & PLACE) as usize, end & ESCAPED != 0);
        let blanks = text[start..end].iter().rev().take_while(|&&byte| is_blank(byte)).count();
        let bytes = &text[start..end - blanks - 1];
        Cell { bytes, start, quoted: true, escaped, missing: false }
    }

    /// Cuts records off `text` from `at` on until there are `rows` of them, and says
    /// where the next one begins.
    pub(super) fn cut(
        &mut self,
        text: &[u8],
        at: usize,
        rows: usize,
        shape: &Shape,
    ) -> (usize, Stop) {
        self.width = shape.width;
        let Dialect { delimiter, quote, .. } = shape.dialect;
        // Needles that there are not stand for others.
        match (quote, shape.dialect.own_escape()) {
            (None, _) => {
                let finder = Finder::new(text, at, [delimiter, b'\n', b'\r']);
                Cutter { text, finder, at, shape }.cut(self, rows)
            }
            (Some(quote), None) => {
                let finder = Finder::new(text, at, [delimiter, b'\n', b'\r', quote]);
                Cutter { text, finder, at, shape }.cut(self, rows)
            }
            (Some(quote), Some(escape)) => {
                let finder = Finder::new(text, at, [delimiter, b'\n', b'\r', quote, escape]);
                Cutter { text, finder, at, shape }.cut(self, rows)
            }
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

struct Cutter<'a, const N: usize> {
    text: &'a [u8],
    finder: Finder<'a, N>,
    /// Where the next record begins.
    at: usize,
    shape: &'a Shape,
}

impl<const N: usize> Cutter<'_, N> {
    fn cut(mut self, records: &mut Records, rows: usize) -> (usize, Stop) {
        let width = self.shape.width;
        while records.len() < rows {
            self.skip_lines();
            if self.at >= self.text.len() {
                return (self.text.len(), Stop::End);
            }
            let start = self.at;
            let base = records.ends.len();
            records.ends.resize(base + width, MISSING);
            let count = self.record(&mut records.ends[base..]);
            let defect = match count {
                Ok(count) if count == width || count < width && self.shape.padding => None,
                Ok(count) => Some(Defect::Width(count)),
                Err(defect) => Some(defect),
            };
            if let Some(defect) = defect {
                records.ends.truncate(base);
                return (self.at, Stop::Defect(start, defect));
            }
            records.starts.push(start as u32);
        }
        (self.at, Stop::Full)
    }

    /// Goes over lines that are no records.
    fn skip_lines(&mut self) {
        while let Some(&byte) = self.text.get(self.at) {
            if Some(byte) == self.shape.dialect.comment {
                let rest = &self.text[self.at..];
                let len = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                self.at += len.unwrap_or(rest.len());
                self.line_end();
            } else if matches!(byte, b'\n' | b'\r') && self.shape.width > 1 {
                self.line_end();
            } else {
                return;
            }
        }
    }

    /// Goes over the line end that begins here.
    fn line_end(&mut self) {
        let feed =
            self.text.get(self.at) == Some(&b'\r') && self.text.get(self.at + 1) == Some(&b'\n');
        self.at = (self.at + 1 + usize::from(feed)).min(self.text.len());
        self.finder.skip_to(self.at);
    }

    /// Cuts one record, and says how many fields it has; writes the ends of those
    /// that have a place.
    #[inline]
    fn record(&mut self, ends: &mut [u32]) -> Result<usize, Defect> {
        let mut count = 0;
        let mut start = self.at;
        let mut defect = None;
        loop {
            let opens = self.shape.dialect.quote.is_some()
                && self.text.get(start).copied() == self.shape.dialect.quote;
            let (end, flags) = match opens {
                false => (self.field_end(), 0),
                true => self.quoted(start, &mut defect),
            };
            if let Some(place) = ends.get_mut(count) {
                *place = end as u32 | flags;
            }
            count += 1;
            match self.text.get(end) {
                Some(&byte) if byte == self.shape.dialect.delimiter => start = end + 1,
                Some(b'\r') if self.text.get(end + 1) == Some(&b'\n') => {
                    self.at = end + 2;
                    // The line feed may be in the finder's next step.
                    self.finder.skip_to(end + 2);
                    break;
                }
                Some(_) => {
                    self.at = end + 1;
                    break;
                }
                None => {
                    self.at = self.text.len();
                    break;
                }
            }
        }
        defect.map_or(Ok(count), Err)
    }

    /// The next delimiter or line end, or the end of the text.
    #[inline]
    fn field_end(&mut self) -> usize {
        let Dialect { delimiter, .. } = self.shape.dialect;
        loop {
            match self.finder.next() {
                Some(at)
                    if self.text[at] == delimiter || matches!(self.text[at], b'\n' | b'\r') =>
                {
                    return at;
                }
                Some(_) => {}
                None => return self.text.len(),
            }
        }
    }

    /// Where the quoted field that begins at `start` ends, with what follows its
    /// closing quote, and how it is written.
    fn quoted(&mut self, start: usize, defect: &mut Option<Defect>) -> (usize, u32) {
        let Dialect { quote, escape, .. } = self.shape.dialect;
        let own_escape = self.shape.dialect.own_escape();
        let mut flags = QUOTED;
        self.finder.skip_to(start + 1);
        let close = loop {
            let Some(at) = self.finder.next() else {
                // Whatever else is wrong, the record has no end.
                *defect = Some(Defect::Unclosed(start));
                return (self.text.len(), 0);
            };
            let byte = Some(self.text[at]);
            let escapes = byte == escape
                && self
                    .text
                    .get(at + 1)
                    .is_some_and(|&next| Some(next) == quote || Some(next) == own_escape);
            if escapes {
                flags |= ESCAPED;
                self.finder.skip_to(at + 2);
            } else if byte == quote {
                break at;
            }
        };
        let end = self.field_end();
        if end > close + 1 && !self.text[close + 1..end].iter().all(|&byte| is_blank(byte)) {
            defect.get_or_insert(Defect::AfterQuote(start));
        }
        (end, flags)
    }
}

/// How many fields the records of a text have.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Where each record begins, and its number of fields.
    pub(super) records: Vec<(usize, usize)>,
    /// Records that are malformed.
    pub(super) defects: usize,
    /// Fields in quotes.
    pub(super) quoted: usize,
}

/// Looks at no more than `records` of them.
pub(super) fn survey(text: &[u8], dialect: &Dialect, records: usize) -> Survey {
    let shape = Shape { dialect: *dialect, width: usize::MAX, padding: false };
    let mut cutter = Cutter { text, finder: every_mark(text, dialect), at: 0, shape: &shape };
    let mut survey = Survey::default();
    let mut ends = vec![0; 1 << 10];
    while survey.records.len() + survey.defects < records {
        cutter.skip_lines();
        if cutter.at >= text.len() {
            break;
        }
        let start = cutter.at;
        match cutter.record(&mut ends) {
            Ok(count) => {
                let ends = &ends[..count.min(ends.len())];
                survey.quoted += ends.iter().filter(|&&end| end & QUOTED != 0).count();
                survey.records.push((start, count));
            }
            Err(_) => survey.defects += 1,
        }
    }
    survey
}

fn every_mark<'a>(text: &'a [u8], dialect: &Dialect) -> Finder<'a, 5> {
    let [quote, escape] = [dialect.quote, dialect.own_escape()].map(|byte| byte.unwrap_or(b'\n'));
    Finder::new(text, 0, [dialect.delimiter, b'\n', b'\r', quote, escape])
}

/// Behind the last whole line of `text` that ends a record or is none.
pub(super) fn last_end(text: &[u8], dialect: &Dialect) -> usize {
    let shape = Shape { dialect: *dialect, width: usize::MAX, padding: false };
    let mut cutter = Cutter { text, finder: every_mark(text, dialect), at: 0, shape: &shape };
    let mut last = 0;
    while cutter.at < text.len() {
        cutter.skip_lines();
        let unclosed =
            cutter.at < text.len() && matches!(cutter.record(&mut []), Err(Defect::Unclosed(_)));
        if !unclosed && matches!(text[cutter.at - 1], b'\n' | b'\r') {
            last = cutter.at;
        }
    }
    last
}

/// The value of a quoted field with escapes in it, without them.
pub(super) fn unescape(bytes: &[u8], dialect: &Dialect, out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| Some(byte) == dialect.escape) {
        let next = rest.get(at + 1).copied();
        let escapes = next.is_some() && (next == dialect.quote || next == dialect.escape);
        out.extend_from_slice(&rest[..at + usize::from(!escapes)]);
        if escapes {
            out.extend(next);
        }
        rest = &rest[at + 1 + usize::from(escapes)..];
    }
    out.extend_from_slice(rest);
}
