//! Which rows of a segment a scan has to look at, before anything is decoded.

use std::ops::Range;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::ScanRequest;
use crate::statistics::SegmentStatistics;
use crate::{Error, Result};

/// Rows that remain after row range, zone maps and delete vector.
#[derive(Clone, Debug)]
pub(super) struct RowSelection {
    /// Ranges in order that do not touch, none empty.
    pub(super) ranges: Vec<Range<u64>>,
    /// Ordinals inside the ranges to leave out.
    pub(super) excluded: Option<Arc<RoaringBitmap>>,
}

impl RowSelection {
    /// Applies everything in `request` that needs no decoding.
    pub(super) fn of(request: &ScanRequest, statistics: &SegmentStatistics) -> Self {
        let all = 0..statistics.rows;
        let rows = request.rows.as_ref().map_or(all.clone(), |rows| intersect(&all, rows));
        let zones = match &request.predicate {
            Some(predicate) if !rows.is_empty() => predicate.matching_rows(statistics),
            _ => vec![all],
        };
        let mut ranges: Vec<Range<u64>> = zones
            .iter()
            .map(|zone| intersect(zone, &rows))
            .filter(|range| !range.is_empty())
            .collect();
        if request.limit == Some(0) {
            ranges.clear();
        }
        let excluded = request
            .excluded
            .clone()
            .filter(|excluded| ranges.iter().any(|range| excluded_in(excluded, range) > 0));
        Self { ranges, excluded }
    }

    /// True when no row can come of it.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Number of rows selected.
    pub(super) fn len(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| {
                let gone = self.excluded.as_ref().map_or(0, |bits| excluded_in(bits, range));
                range.end - range.start - gone
            })
            .sum()
    }

    /// The smallest range around all of it.
    pub(super) fn hull(&self) -> Range<u64> {
        match (self.ranges.first(), self.ranges.last()) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => 0..0,
        }
    }

    /// Ranges inside the hull that are not selected.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Range<u64>> {
        self.ranges.windows(2).map(|pair| pair[0].end..pair[1].start)
    }

    /// Maximal runs of selected rows, in order.
    pub(super) fn runs(&self) -> Vec<Range<u64>> {
        let Some(excluded) = &self.excluded else {
            return self.ranges.clone();
        };
        let mut runs = Vec::new();
        for range in &self.ranges {
            let mut start = range.start;
            for gone in excluded.range(bit(range.start)..=bit(range.end - 1)) {
                let gone = u64::from(gone);
                if start < gone {
                    runs.push(start..gone);
                }
                start = gone + 1;
            }
            if start < range.end {
                runs.push(start..range.end);
            }
        }
        runs
    }
}

/// Fails unless `projection` names columns of a schema with `columns` columns.
pub(super) fn check_projection(projection: &[usize], columns: usize) -> Result<()> {
    match projection.iter().find(|&&column| column >= columns) {
        None => Ok(()),
        Some(column) => Err(Error::Invalid(format!(
            "column #{column} is wanted of a segment with {columns} columns"
        ))),
    }
}

/// Fails unless `ordinals` rise strictly and stay below `rows`.
pub(super) fn check_ordinals(ordinals: &[u64], rows: u64) -> Result<()> {
    if !ordinals.is_sorted_by(|a, b| a < b) {
        return Err(Error::Invalid("ordinals to take must be strictly increasing".to_owned()));
    }
    match ordinals.last() {
        Some(&last) if last >= rows => {
            Err(Error::Invalid(format!("row {last} is wanted of a segment with {rows} rows")))
        }
        _ => Ok(()),
    }
}

fn intersect(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    a.start.max(b.start)..a.end.min(b.end)
}

fn excluded_in(excluded: &RoaringBitmap, range: &Range<u64>) -> u64 {
    if range.is_empty() || range.start > u64::from(u32::MAX) {
        return 0;
    }
    excluded.range_cardinality(bit(range.start)..=bit(range.end - 1))
}

/// Ordinals past the bitmap's reach are never excluded; clamping keeps ranges valid.
fn bit(ordinal: u64) -> u32 {
    u32::try_from(ordinal).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(ranges: Vec<Range<u64>>, excluded: &[u32]) -> RowSelection {
        let excluded = Some(Arc::new(RoaringBitmap::from_iter(excluded)));
        RowSelection { ranges, excluded }
    }

    #[test]
    fn runs_skip_excluded_rows() {
        let selection = selection(vec![0..5, 8..10], &[0, 2, 6, 9]);
        assert_eq!(selection.runs(), [1..2, 3..5, 8..9]);
        assert_eq!(selection.len(), 4);
        assert_eq!(selection.hull(), 0..10);
        assert!(selection.gaps().eq(std::iter::once(5..8)));
    }

    #[test]
    fn a_range_that_is_the_wrong_way_round_selects_nothing() {
        let statistics = SegmentStatistics { rows: 10, columns: Vec::new() };
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
        let request = ScanRequest { rows: Some(9..2), ..ScanRequest::default() };
        assert!(RowSelection::of(&request, &statistics).is_empty());
        let request = ScanRequest { rows: Some(8..200), ..ScanRequest::default() };
        assert_eq!(RowSelection::of(&request, &statistics).len(), 2);
    }

    #[test]
    fn ordinals_and_projections_are_checked() {
        assert!(check_ordinals(&[1, 1], 5).is_err());
        assert!(check_ordinals(&[1, 5], 5).is_err());
        assert!(check_ordinals(&[0, 4], 5).is_ok());
        assert!(check_projection(&[0, 2], 2).is_err());
    }
}
