//! Which segments overlap: runs of segments one after another, and groups of segments
//! that hang together.
//!
//! Two segments that only touch (the last row of one equals the first of the next) do
//! not overlap: a merge leaves such borders where many rows are equal.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::FLUSHED;
use crate::Result;
use crate::partition::Bucket;
use crate::segment::SegmentHandle;
use crate::state::TableState;

/// A segment with the rows it begins and ends with.
#[derive(Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub segment: &'a Arc<SegmentHandle>,
    pub first: &'a [u8],
    pub last: &'a [u8],
}

impl Stretch<'_> {
    pub(crate) fn overlaps(&self, first: &[u8], last: &[u8]) -> bool {
        self.first < last && first < self.last
            // A single row, or many equal ones, inside the other.
            || self.first == self.last && first < self.first && self.first < last
            || first == last && self.first < first && first < self.last
    }
}

/// Stretches in the order of their first rows.
pub(crate) fn in_order<'a>(
    segments: impl IntoIterator<Item = &'a Arc<SegmentHandle>>,
) -> Result<Vec<Stretch<'a>>> {
    let mut stretches = Vec::new();
    for segment in segments {
        let bounds = segment.bounds()?;
        stretches.push(Stretch { segment, first: &bounds.first, last: &bounds.last });
    }
    stretches.sort_by(|a, b| (a.first, a.last).cmp(&(b.first, b.last)));
    Ok(stretches)
}

/// As few runs as there can be; the segments of one do not overlap.
pub(crate) fn runs<'a>(in_order: &[Stretch<'a>]) -> Vec<Vec<Stretch<'a>>> {
    let mut runs: Vec<Vec<Stretch<'a>>> = Vec::new();
    for stretch in in_order {
        let end = |run: &Vec<Stretch<'a>>| run.last().map(|s| s.last);
        // The run that ends closest before it.
        let fitting = (0..runs.len())
            .filter(|i| end(&runs[*i]).is_none_or(|last| last <= stretch.first))
            .max_by_key(|i| end(&runs[*i]));
        match fitting {
            Some(i) => runs[i].push(*stretch),
            None => runs.push(vec![*stretch]),
        }
    }
    runs
}

/// Flushed segments of a table that overlap: a look for a row may have to ask all of them.
/// Fewer than `least` are not looked at closely.
pub(crate) fn unmerged(table: &TableState, least: usize) -> Result<usize> {
    let mut buckets: BTreeMap<Bucket, Vec<&Arc<SegmentHandle>>> = BTreeMap::new();
    for segment in table.segments.iter().filter(|s| s.meta.level == FLUSHED) {
        buckets.entry(segment.meta.bucket).or_default().push(segment);
    }
    let mut most = 0;
    for segments in buckets.into_values() {
        let overlap = match segments.len() < least {
            true => segments.len(),
            false => runs(&in_order(segments)?).len(),
        };
        most = most.max(overlap);
    }
    Ok(most)
}

/// Groups that do not overlap each other.
pub(crate) fn groups<'a>(in_order: &[Stretch<'a>]) -> Vec<Vec<Stretch<'a>>> {
    let mut groups: Vec<Vec<Stretch<'a>>> = Vec::new();
    let mut end: &[u8] = &[];
    for stretch in in_order {
        match groups.last_mut() {
            Some(group) if stretch.first < end => group.push(*stretch),
            _ => groups.push(vec![*stretch]),
        }
        end = end.max(stretch.last);
    }
    groups
}

/// Rows of all of them, deleted ones included.
pub(crate) fn rows(stretches: &[Stretch<'_>]) -> u64 {
    stretches.iter().map(|s| s.segment.meta.rows).sum()
}
