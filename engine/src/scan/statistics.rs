//! What the planner may know of a table: merged from its segments, column by
//! column, when it is first asked for.

use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use sheaf_formats::statistics::ColumnStatistics as SegmentColumn;

use super::table::ScannedPart;

/// Statistics of all rows of a table at a snapshot.
pub(super) struct TableStatistics {
    schema: SchemaRef,
    parts: Arc<[ScannedPart]>,
    /// No row is deleted and none is in a memtable: segments know everything.
    complete: bool,
    rows: Precision<usize>,
    columns: Vec<OnceLock<ColumnStatistics>>,
}

impl TableStatistics {
    pub(super) fn new(schema: SchemaRef, parts: Arc<[ScannedPart]>) -> Self {
        let complete = parts.iter().all(|ScannedPart { part, .. }| {
            !part.is_memtable() && part.rows_exact() && part.deleted_rows() == 0
        });
        let rows = rows_of(parts.iter());
        let columns = schema.fields().iter().map(|_| OnceLock::new()).collect();
        Self { schema, parts, complete, rows, columns }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> Precision<usize> {
        self.rows
    }

    /// Statistics of one column.
    pub(super) fn column(&self, index: usize) -> &ColumnStatistics {
        self.columns[index].get_or_init(|| self.merge(index))
    }

    /// Statistics of the table with only these columns.
    pub(super) fn of(&self, columns: &[usize]) -> Statistics {
        let column_statistics: Vec<ColumnStatistics> =
            columns.iter().map(|&index| self.column(index).clone()).collect();
        let total_byte_size = total_bytes(&column_statistics);
        Statistics { num_rows: self.rows, total_byte_size, column_statistics }
    }

    fn merge(&self, index: usize) -> ColumnStatistics {
        let mut merged: Option<SegmentColumn> = None;
        let mut bounds = Bounds::default();
        let (mut known_rows, mut known_bytes) = (0u64, 0u64);
        for part in self.parts.iter() {
            let Some(statistics) = part.statistics() else { continue };
            let Some(column) = statistics.columns.get(index) else { continue };
            known_rows += statistics.rows;
            known_bytes += column.memory_bytes;
            bounds.add(column, column.nulls >= statistics.rows);
            match &mut merged {
                None => merged = Some(column.clone()),
                Some(merged) => {
                    merged.nulls += column.nulls;
                    match (&mut merged.distinct, &column.distinct) {
                        (Some(sketch), Some(other)) => Arc::make_mut(sketch).merge(other),
                        (sketch, _) => *sketch = None,
                    }
                }
            }
        }
        let Some(merged) = merged else {
            let mut unknown = ColumnStatistics::new_unknown();
            // A column that cannot be NULL has no NULLs, wherever its rows are.
            if !self.schema.field(index).is_nullable() {
                unknown.null_count = Precision::Exact(0);
            }
            return unknown;
        };
        let exact_bounds = self.complete && bounds.exact;
        let rows = self.rows.get_value().copied().unwrap_or(0);
        let never_null = !self.schema.field(index).is_nullable();
        let bytes_per_row = known_bytes as f64 / known_rows.max(1) as f64;
        let distinct = merged.distinct.map(|sketch| {
            usize::try_from(sketch.estimate()).unwrap_or(usize::MAX).min(rows.max(1))
        });
        ColumnStatistics {
            null_count: match never_null {
                true => Precision::Exact(0),
                false => {
                    precision(self.complete, usize::try_from(merged.nulls).unwrap_or(usize::MAX))
                }
            },
            min_value: bounds.min.map_or(Precision::Absent, |min| precision(exact_bounds, min)),
            max_value: bounds.max.map_or(Precision::Absent, |max| precision(exact_bounds, max)),
            sum_value: Precision::Absent,
            distinct_count: distinct.map_or(Precision::Absent, Precision::Inexact),
            byte_size: Precision::Inexact((bytes_per_row * rows as f64) as usize),
        }
    }
}

/// Smallest and largest value over segments.
struct Bounds {
    min: Option<ScalarValue>,
    max: Option<ScalarValue>,
    exact: bool,
    /// A segment's bound was not known: neither is the table's.
    lost: (bool, bool),
}

impl Default for Bounds {
    fn default() -> Self {
        Self { min: None, max: None, exact: true, lost: (false, false) }
    }
}

impl Bounds {
    fn add(&mut self, column: &SegmentColumn, only_nulls: bool) {
        if only_nulls {
            return;
        }
        self.exact &= column.exact;
        fold(&mut self.min, &mut self.lost.0, column.min.as_ref(), |new, old| new < old);
        fold(&mut self.max, &mut self.lost.1, column.max.as_ref(), |new, old| new > old);
    }
}

fn fold(
    bound: &mut Option<ScalarValue>,
    lost: &mut bool,
    value: Option<&ArrayRef>,
    better: impl Fn(&ScalarValue, &ScalarValue) -> bool,
) {
    let value =
        value.and_then(|array| ScalarValue::try_from_array(array, 0).ok()).filter(|v| !v.is_null());
    match value {
        Some(value) if !*lost => {
            if bound.as_ref().is_none_or(|old| better(&value, old)) {
                *bound = Some(value);
            }
        }
        _ => {
            *lost = true;
            *bound = None;
        }
    }
}

/// Rows of some parts.
pub(super) fn rows_of<'a>(parts: impl Iterator<Item = &'a ScannedPart>) -> Precision<usize> {
    let (mut rows, mut exact) = (0u64, true);
    for ScannedPart { part, .. } in parts {
        rows += part.rows();
        exact &= part.rows_exact();
    }
    precision(exact, usize::try_from(rows).unwrap_or(usize::MAX))
}

fn precision<T>(exact: bool, value: T) -> Precision<T>
where
    T: std::fmt::Debug + Clone + PartialEq + Eq + PartialOrd,
{
    if exact { Precision::Exact(value) } else { Precision::Inexact(value) }
}

/// Bytes of all columns, when that of each is known.
fn total_bytes(columns: &[ColumnStatistics]) -> Precision<usize> {
    let sizes: Option<usize> = columns.iter().map(|c| c.byte_size.get_value().copied()).sum();
    sizes.map_or(Precision::Absent, Precision::Inexact)
}

/// What is left of `statistics` when only `rows` of its rows are; `equals` are
/// columns that then have one value.
pub(super) fn reduced(mut statistics: Statistics, rows: usize, equals: &[usize]) -> Statistics {
    let before = statistics.num_rows.get_value().copied().unwrap_or(rows).max(1);
    let share = (rows as f64 / before as f64).min(1.0);
    let scaled = |p: &Precision<usize>| match p.get_value() {
        Some(value) => Precision::Inexact((*value as f64 * share).ceil() as usize),
        None => Precision::Absent,
    };
    statistics.num_rows = Precision::Inexact(rows);
    statistics.total_byte_size = scaled(&statistics.total_byte_size);
    for (index, column) in statistics.column_statistics.iter_mut().enumerate() {
        column.null_count = scaled(&column.null_count);
        column.byte_size = scaled(&column.byte_size);
        column.min_value = std::mem::take(&mut column.min_value).to_inexact();
        column.max_value = std::mem::take(&mut column.max_value).to_inexact();
        column.distinct_count = match column.distinct_count.get_value() {
            _ if equals.contains(&index) => Precision::Inexact(1),
            Some(distinct) => Precision::Inexact((*distinct).min(rows)),
            None => Precision::Absent,
        };
    }
    statistics
}
