//! Decides from statistics alone which zones of a segment may hold matching rows.
//!
//! Every answer errs on the side of reading: a zone is dropped only when no row of
//! it can make the predicate true, whatever is not known.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Datum, LargeStringArray, NullArray, Scalar, StringArray,
    StringViewArray,
};
use arrow::compute::{SortOptions, sort_to_indices};
use arrow::datatypes::DataType;

use super::evaluate::compare;
use super::{CompareOp, Predicate};
use crate::statistics::{ColumnStatistics, SegmentStatistics, ZONE_ROWS, prefix_end};

/// Longer lists are pruned by their smallest and largest value.
const SHORT_LIST: usize = 64;

impl Predicate {
    /// False only when no row of the segment can satisfy the predicate.
    pub fn may_match(&self, statistics: &SegmentStatistics) -> bool {
        self.candidates(&Zones { statistics, whole: true })[0]
    }

    /// The ranges of rows that may hold matches, in order and not touching, by the
    /// segment's zone maps.
    pub fn matching_rows(&self, statistics: &SegmentStatistics) -> Vec<Range<u64>> {
        if statistics.rows == 0 || !self.may_match(statistics) {
            return Vec::new();
        }
        let zones = Zones { statistics, whole: false };
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for (zone, matches) in self.candidates(&zones).into_iter().enumerate() {
            if !matches {
                continue;
            }
            let start = (zone * ZONE_ROWS) as u64;
            let end = start + zones.rows(zone);
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => ranges.push(start..end),
            }
        }
        ranges
    }

    /// Per zone, whether a row of it may satisfy the predicate.
    fn candidates(&self, zones: &Zones<'_>) -> Vec<bool> {
        match self {
            Self::Literal(value) => vec![*value; zones.count()],
            Self::Compare { column, op, value } => zones.compare(*column, *op, value),
            Self::CompareColumns { left, op, right } => zones.compare_columns(*left, *op, *right),
            Self::In { column, values, negated } => zones.is_in(*column, values, *negated),
            Self::IsNull(column) => {
                zones.each(|zone| zones.nulls(*column, zone).is_none_or(|nulls| nulls > 0))
            }
            Self::IsNotNull(column) => zones.has_values(*column),
            Self::IsTrue(column) => {
                let value: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
                zones.compare(*column, CompareOp::Eq, &Scalar::new(value))
            }
            Self::Like { column, pattern, negated, case_insensitive } => {
                let prefix = literal_prefix(pattern);
                if *negated || *case_insensitive || prefix.is_empty() {
                    return zones.has_values(*column);
                }
                zones.starts_with(*column, &prefix)
            }
            Self::Check { implied, .. } => match implied {
                Some(implied) => implied.candidates(zones),
                None => vec![true; zones.count()],
            },
            Self::And(parts) => parts.iter().fold(vec![true; zones.count()], |before, part| {
                zip(before, part.candidates(zones), |a, b| a && b)
            }),
            Self::Or(parts) => parts.iter().fold(vec![false; zones.count()], |before, part| {
                zip(before, part.candidates(zones), |a, b| a || b)
            }),
            Self::Not(inner) => inner.negation().candidates(zones),
        }
    }

    /// A predicate that is true wherever this one is false.
    fn negation(&self) -> Self {
        let all = |parts: &[Self]| parts.iter().map(Self::negation).collect();
        match self {
            Self::Literal(value) => Self::Literal(!value),
            Self::Compare { column, op, value } => {
                Self::Compare { column: *column, op: op.negated(), value: value.clone() }
            }
            Self::CompareColumns { left, op, right } => {
                Self::CompareColumns { left: *left, op: op.negated(), right: *right }
            }
            Self::In { column, values, negated } => {
                Self::In { column: *column, values: values.clone(), negated: !negated }
            }
            Self::IsNull(column) => Self::IsNotNull(*column),
            Self::IsNotNull(column) => Self::IsNull(*column),
            Self::IsTrue(column) => Self::Compare {
                column: *column,
                op: CompareOp::Eq,
                value: Scalar::new(Arc::new(BooleanArray::from(vec![false]))),
            },
            Self::Like { column, pattern, negated, case_insensitive } => Self::Like {
                column: *column,
                pattern: pattern.clone(),
                negated: !negated,
                case_insensitive: *case_insensitive,
            },
            // Which rows fail it, nothing here can say.
            Self::Check { .. } => Self::Literal(true),
            Self::And(parts) => Self::Or(all(parts)),
            Self::Or(parts) => Self::And(all(parts)),
            Self::Not(inner) => (**inner).clone(),
        }
    }
}

/// The zones of a segment, or the segment as one zone.
struct Zones<'a> {
    statistics: &'a SegmentStatistics,
    whole: bool,
}

impl Zones<'_> {
    fn count(&self) -> usize {
        if self.whole { 1 } else { self.statistics.zone_count() }
    }

    fn each(&self, matches: impl Fn(usize) -> bool) -> Vec<bool> {
        (0..self.count()).map(matches).collect()
    }

    fn rows(&self, zone: usize) -> u64 {
        if self.whole {
            return self.statistics.rows;
        }
        (self.statistics.rows - (zone * ZONE_ROWS) as u64).min(ZONE_ROWS as u64)
    }

    fn column(&self, column: usize) -> Option<&ColumnStatistics> {
        self.statistics.columns.get(column)
    }

    /// NULLs of a zone, where they are known.
    fn nulls(&self, column: usize, zone: usize) -> Option<u64> {
        let column = self.column(column)?;
        if self.whole {
            return Some(column.nulls);
        }
        match &column.zones {
            Some(map) => map.nulls.get(zone).copied(),
            None if column.nulls == 0 => Some(0),
            None => None,
        }
    }

    fn has_values(&self, column: usize) -> Vec<bool> {
        self.each(|zone| self.nulls(column, zone).is_none_or(|nulls| nulls < self.rows(zone)))
    }

    /// Lower and upper bounds, NULL where unknown.
    fn bounds(&self, column: usize) -> Option<(ArrayRef, ArrayRef)> {
        let column = self.column(column)?;
        if self.whole {
            let or_unknown = |bound: &Option<ArrayRef>| {
                bound.clone().unwrap_or_else(|| Arc::new(NullArray::new(1)))
            };
            return Some((or_unknown(&column.min), or_unknown(&column.max)));
        }
        let map = column.zones.as_ref()?;
        (map.min.len() == self.count()).then(|| (map.min.clone(), map.max.clone()))
    }

    /// Where a comparison of bounds does not rule a zone out.
    fn not_false(&self, op: CompareOp, left: &dyn Datum, right: &dyn Datum) -> Vec<bool> {
        match compare(op, left, right) {
            Ok(result) if result.len() == self.count() => {
                self.each(|zone| result.is_null(zone) || result.value(zone))
            }
            _ => vec![true; self.count()],
        }
    }

    fn compare(&self, column: usize, op: CompareOp, value: &Scalar<ArrayRef>) -> Vec<bool> {
        let (one, _) = value.get();
        if one.is_null(0) {
            return vec![false; self.count()];
        }
        let Some((min, max)) = self.bounds(column) else {
            return self.has_values(column);
        };
        let by_bounds = match op {
            CompareOp::Lt | CompareOp::LtEq => self.not_false(op, &min, value),
            CompareOp::Gt | CompareOp::GtEq => self.not_false(op, &max, value),
            CompareOp::Eq => zip(
                self.not_false(CompareOp::LtEq, &min, value),
                self.not_false(CompareOp::GtEq, &max, value),
                |a, b| a && b,
            ),
            // Cut bounds never meet, so equal bounds mean one value in all rows.
            CompareOp::NotEq => zip(
                self.not_false(CompareOp::NotEq, &min, value),
                self.not_false(CompareOp::NotEq, &max, value),
                |a, b| a || b,
            ),
        };
        zip(by_bounds, self.has_values(column), |a, b| a && b)
    }

    fn compare_columns(&self, left: usize, op: CompareOp, right: usize) -> Vec<bool> {
        let has_values = zip(self.has_values(left), self.has_values(right), |a, b| a && b);
        let (Some(l), Some(r)) = (self.bounds(left), self.bounds(right)) else {
            return has_values;
        };
        let by_bounds = match op {
            CompareOp::Lt | CompareOp::LtEq => self.not_false(op, &l.0, &r.1),
            CompareOp::Gt | CompareOp::GtEq => self.not_false(op, &l.1, &r.0),
            CompareOp::Eq => zip(
                self.not_false(CompareOp::LtEq, &l.0, &r.1),
                self.not_false(CompareOp::GtEq, &l.1, &r.0),
                |a, b| a && b,
            ),
            CompareOp::NotEq => return has_values,
        };
        zip(by_bounds, has_values, |a, b| a && b)
    }

    fn is_in(&self, column: usize, values: &ArrayRef, negated: bool) -> Vec<bool> {
        if negated {
            return self.has_values(column);
        }
        let equals = |index: usize| {
            self.compare(column, CompareOp::Eq, &Scalar::new(values.slice(index, 1)))
        };
        if values.len() <= SHORT_LIST {
            return (0..values.len()).fold(vec![false; self.count()], |before, i| {
                zip(before, equals(i), |a, b| a || b)
            });
        }
        // NULLs of the list never match, so they must not become its end.
        let order = |descending| {
            let options = SortOptions { descending, nulls_first: false };
            sort_to_indices(values, Some(options), Some(1))
                .ok()
                .map(|found| found.value(0) as usize)
        };
        let (Some(smallest), Some(largest)) = (order(false), order(true)) else {
            return self.has_values(column);
        };
        let bound = |op, index| self.compare(column, op, &Scalar::new(values.slice(index, 1)));
        zip(bound(CompareOp::GtEq, smallest), bound(CompareOp::LtEq, largest), |a, b| a && b)
    }

    fn starts_with(&self, column: usize, prefix: &str) -> Vec<bool> {
        let text = |data_type: &DataType, value: &str| -> Option<Scalar<ArrayRef>> {
            let value: ArrayRef = match data_type {
                DataType::Utf8 => Arc::new(StringArray::from(vec![value])),
                DataType::LargeUtf8 => Arc::new(LargeStringArray::from(vec![value])),
                DataType::Utf8View => Arc::new(StringViewArray::from(vec![value])),
                _ => return None,
            };
            Some(Scalar::new(value))
        };
        let Some((min, _)) = self.bounds(column) else {
            return self.has_values(column);
        };
        let Some(start) = text(min.data_type(), prefix) else {
            return self.has_values(column);
        };
        let from_start = self.compare(column, CompareOp::GtEq, &start);
        match prefix_end(prefix).and_then(|end| text(min.data_type(), &end)) {
            Some(end) => zip(from_start, self.compare(column, CompareOp::Lt, &end), |a, b| a && b),
            None => from_start,
        }
    }
}

fn zip(left: Vec<bool>, right: Vec<bool>, connect: fn(bool, bool) -> bool) -> Vec<bool> {
    left.into_iter().zip(right).map(|(a, b)| connect(a, b)).collect()
}

/// What every text that a LIKE pattern matches starts with.
fn literal_prefix(pattern: &str) -> String {
    let mut prefix = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' | '_' => break,
            '\\' => match chars.next() {
                Some(escaped @ ('%' | '_' | '\\')) => prefix.push(escaped),
                // What another escape means is for the kernel to say.
                _ => break,
            },
            other => prefix.push(other),
        }
    }
    prefix
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, RecordBatch};

    use super::*;
    use crate::statistics::StatisticsBuilder;

    /// Three zones: rising numbers, texts from three letters, and a column that is
    /// NULL throughout the second zone.
    fn statistics() -> SegmentStatistics {
        let rows = 2 * ZONE_ROWS as i64 + 100;
        let zone = |row: i64| row as usize / ZONE_ROWS;
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("i", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef, false),
            (
                "t",
                Arc::new(StringViewArray::from_iter_values(
                    (0..rows).map(|row| ["apple", "berry", "cherry"][zone(row)]),
                )) as _,
                true,
            ),
            (
                "n",
                Arc::new(Int64Array::from_iter(
                    (0..rows).map(|row| (zone(row) != 1).then_some(row)),
                )) as _,
                true,
            ),
        ])
        .unwrap();
        let mut builder = StatisticsBuilder::new(&batch.schema());
        builder.push(&batch).unwrap();
        builder.finish().unwrap()
    }

    fn zones_of(predicate: &Predicate) -> Vec<usize> {
        let ranges = predicate.matching_rows(&statistics());
        (0..3)
            .filter(|zone| ranges.iter().any(|r| r.contains(&((zone * ZONE_ROWS) as u64))))
            .collect()
    }

    fn int(column: usize, op: CompareOp, value: i64) -> Predicate {
        Predicate::Compare {
            column,
            op,
            value: Scalar::new(Arc::new(Int64Array::from(vec![value]))),
        }
    }

    #[test]
    fn comparisons_choose_zones() {
        let z = ZONE_ROWS as i64;
        assert_eq!(zones_of(&int(0, CompareOp::Eq, z)), [1]);
        assert_eq!(zones_of(&int(0, CompareOp::Lt, z)), [0]);
        assert_eq!(zones_of(&int(0, CompareOp::LtEq, z)), [0, 1]);
        assert_eq!(zones_of(&int(0, CompareOp::GtEq, 2 * z)), [2]);
        assert_eq!(zones_of(&int(0, CompareOp::Gt, 10 * z)), [] as [usize; 0]);
        assert_eq!(zones_of(&int(0, CompareOp::NotEq, 5)), [0, 1, 2]);
        let not = Predicate::Not(Box::new(int(0, CompareOp::Lt, z)));
        assert_eq!(zones_of(&not), [1, 2]);
    }

    #[test]
    fn nulls_and_connectives() {
        assert_eq!(zones_of(&Predicate::IsNull(2)), [1]);
        assert_eq!(zones_of(&Predicate::IsNotNull(2)), [0, 2]);
        assert_eq!(zones_of(&int(2, CompareOp::NotEq, 5)), [0, 2]);
        let z = ZONE_ROWS as i64;
        let or = Predicate::Or(vec![int(0, CompareOp::Lt, 5), int(0, CompareOp::Gt, 2 * z)]);
        assert_eq!(zones_of(&or), [0, 2]);
        assert_eq!(or.matching_rows(&statistics()).len(), 2);
        let and = Predicate::And(vec![or, Predicate::IsNull(2)]);
        assert!(!and.matching_rows(&statistics()).iter().any(|r| r.contains(&0)));
    }

    #[test]
    fn texts_lists_and_patterns() {
        let like = |pattern: &str| Predicate::Like {
            column: 1,
            pattern: pattern.to_owned(),
            negated: false,
            case_insensitive: false,
        };
        assert_eq!(zones_of(&like("be%y")), [1]);
        assert_eq!(zones_of(&like("%y")), [0, 1, 2]);
        assert_eq!(zones_of(&like("z%")), [] as [usize; 0]);
        let values: ArrayRef = Arc::new(StringViewArray::from(vec!["apple", "cherry"]));
        assert_eq!(zones_of(&Predicate::In { column: 1, values, negated: false }), [0, 2]);
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200));
        assert_eq!(zones_of(&Predicate::In { column: 0, values, negated: false }), [0]);
        // One value in the whole zone.
        let value = Scalar::new(Arc::new(StringViewArray::from(vec!["berry"])) as ArrayRef);
        let not = Predicate::Compare { column: 1, op: CompareOp::NotEq, value };
        assert_eq!(zones_of(&not), [0, 2]);
    }

    #[test]
    fn prefixes_of_patterns() {
        assert_eq!(literal_prefix("a\\%b%c"), "a%b");
        assert_eq!(literal_prefix("_x"), "");
        assert_eq!(literal_prefix("plain"), "plain");
    }

    #[test]
    fn what_is_not_known_is_read() {
        assert_eq!(zones_of(&int(1, CompareOp::Eq, 5)), [0, 1, 2]);
        assert_eq!(zones_of(&int(77, CompareOp::Eq, 5)), [0, 1, 2]);
    }
}
