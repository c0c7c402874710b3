//! What to merge next.
//!
//! A merge doubles the largest of what it takes, or more, so that a row is rewritten a
//! logarithmic number of times; it takes four at least, so that it is done less often
//! than it could be. What a bucket or a range of keys holds when nothing has been written
//! to it for a while becomes one sorted run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::runs::{Stretch, groups, in_order, rows, runs};
use super::{FLUSHED, MERGED, SETTLED};
use crate::Result;
use crate::partition::Bucket;
use crate::segment::SegmentHandle;
use crate::state::TableState;

/// How many of a kind make a merge.
const FAN_IN: usize = 4;

/// A merge of flushed segments, or of neighbours, takes no more than this.
const MOST: usize = 64;

/// The output of a merge is cut at no more than this many ends of other segments, so that
/// the ranges of keys that are merged later stay small.
const CUTS: usize = 16;

/// Pieces of a full segment that such cuts may leave.
const PIECES: u64 = 8;

/// A segment that was written so long ago is not hot.
const COLD_US: i64 = 10 * 60 * 1_000_000;

/// What a pick depends on besides the table.
pub(crate) struct Policy {
    /// Rows of a full segment.
    pub segment_rows: u64,
    /// No snapshot is older.
    pub horizon: u64,
    pub now_us: i64,
    /// Whatever makes the table more compact, not only what is worth doing unasked.
    pub thorough: bool,
    /// Bytes that a merge may hold.
    pub memory: usize,
}

/// Segments to merge, of one bucket.
pub(crate) struct Pick {
    pub inputs: Vec<Arc<SegmentHandle>>,
    /// Why, for people.
    pub reason: &'static str,
    /// Level of what comes out.
    pub level: u32,
    /// The output is cut after these rows, which are in order.
    pub cuts: Vec<Box<[u8]>>,
}

impl Pick {
    /// About the bytes that the merge holds at most, when nothing bounds it.
    pub(crate) fn memory(&self) -> usize {
        // Columns are about a quarter of what they decode to, and are held three times.
        self.inputs.iter().map(|s| s.meta.bytes as usize * 12).sum()
    }
}

/// The next merge of a table, or `None` when there is nothing to gain.
pub(crate) fn pick(table: &TableState, policy: &Policy) -> Result<Option<Pick>> {
    let mut buckets: BTreeMap<Bucket, Vec<&Arc<SegmentHandle>>> = BTreeMap::new();
    for segment in table.segments.iter().filter(|s| s.meta.rows > 0) {
        buckets.entry(segment.meta.bucket).or_default().push(segment);
    }
    for (bucket, segments) in buckets {
        let closed = is_closed(table, bucket, policy.now_us);
        let all = in_order(segments)?;
        let picked = if policy.thorough {
            pick_thorough(&all, policy)
        } else {
            pick_worthwhile(&all, policy, closed)
        };
        // Positions among the rows of a merge are 32-bit numbers.
        let fits = |pick: &Pick| {
            pick.inputs.iter().map(|s| s.meta.rows).sum::<u64>() < u64::from(u32::MAX)
        };
        if picked.as_ref().is_some_and(fits) {
            return Ok(picked);
        }
    }
    Ok(None)
}

/// Rows that compaction would rewrite now.
pub(crate) fn debt_rows(table: &TableState, policy: &Policy) -> Result<u64> {
    let picked = pick(table, policy)?;
    Ok(picked.map_or(0, |pick| pick.inputs.iter().map(|s| s.meta.rows).sum()))
}

fn pick_worthwhile(all: &[Stretch<'_>], policy: &Policy, closed: bool) -> Option<Pick> {
    let is_rotten =
        |s: &&Stretch<'_>| s.segment.deletes.count_at(policy.horizon) * 3 > s.segment.meta.rows;
    if let Some(rotten) = all.iter().find(is_rotten) {
        return Some(settled_if_alone(all, &[*rotten], "a third of the rows are deleted"));
    }
    let level = |least: u32, most: u32| -> Vec<Stretch<'_>> {
        all.iter().filter(|s| (least..=most).contains(&s.segment.meta.level)).copied().collect()
    };
    let merged = level(MERGED, u32::MAX);
    for group in groups(&level(FLUSHED, FLUSHED)) {
        if runs(&group).len() >= FAN_IN {
            let group = &group[..group.len().min(MOST)];
            let cuts = cuts(&merged, rows(group), policy.segment_rows);
            let reason = "flushed segments overlap";
            return Some(Pick { cuts, level: MERGED, ..settled_if_alone(all, group, reason) });
        }
    }
    for group in groups(&merged) {
        if let Some(stretches) = like_runs(&group) {
            return Some(settled_if_alone(all, &stretches, "runs of like size overlap"));
        }
    }
    for run in runs(all) {
        if let Some(stretches) = small_neighbours(&run, policy.segment_rows, FAN_IN) {
            return Some(settled_if_alone(all, stretches, "small neighbours"));
        }
    }
    let is_cold = |s: &Stretch<'_>| written_us(s.segment) < policy.now_us.saturating_sub(COLD_US);
    if closed && all.iter().all(is_cold) {
        for group in groups(all) {
            if group.len() > 1 {
                return Some(settled_if_alone(all, &group, "the bucket is closed"));
            }
        }
    }
    let fresh: Vec<_> = level(FLUSHED, MERGED).into_iter().filter(is_cold).collect();
    let group = groups(&fresh).into_iter().next()?;
    Some(Pick { level: SETTLED, ..settled_if_alone(all, &group, "no longer hot") })
}

fn pick_thorough(all: &[Stretch<'_>], policy: &Policy) -> Option<Pick> {
    let unfinished = |s: &Stretch<'_>| {
        s.segment.meta.level < SETTLED || s.segment.deletes.count_at(policy.horizon) > 0
    };
    let overlapping = groups(all).into_iter().find(|group| group.len() > 1);
    let small = || small_neighbours(all, policy.segment_rows, 2).map(<[_]>::to_vec);
    let alone = || all.iter().find(|s| unfinished(s)).map(|s| vec![*s]);
    let picked = overlapping.or_else(small).or_else(alone)?;
    Some(settled_if_alone(all, &picked, "asked for"))
}

/// A pick whose output is settled when nothing else that was merged overlaps it.
fn settled_if_alone(all: &[Stretch<'_>], picked: &[Stretch<'_>], reason: &'static str) -> Pick {
    let is_picked =
        |other: &Stretch<'_>| picked.iter().any(|s| Arc::ptr_eq(s.segment, other.segment));
    let first = picked.iter().map(|s| s.first).min().unwrap_or_default();
    let last = picked.iter().map(|s| s.last).max().unwrap_or_default();
    let alone = !all
        .iter()
        .any(|s| s.segment.meta.level > FLUSHED && s.overlaps(first, last) && !is_picked(s));
    Pick {
        inputs: picked.iter().map(|s| Arc::clone(s.segment)).collect(),
        reason,
        level: if alone { SETTLED } else { MERGED },
        cuts: Vec::new(),
    }
}

/// The smallest runs of a group, among them at least four of which none is more than twice
/// those before it together.
fn like_runs<'a>(group: &[Stretch<'a>]) -> Option<Vec<Stretch<'a>>> {
    let mut runs = runs(group);
    runs.sort_by_key(|run| rows(run));
    let mut taken = 0;
    let mut alike: Vec<u64> = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let rows = rows(run);
        if rows > 2 * alike.iter().sum::<u64>() {
            // Too large for those before it: others like it may follow.
            if taken > 0 {
                break;
            }
            alike.clear();
        }
        alike.push(rows);
        if alike.len() >= FAN_IN {
            taken = i + 1;
        }
    }
    (taken > 0).then(|| runs.into_iter().take(taken).flatten().collect())
}

/// Neighbours in a run, at least `least`, that make no more than one full segment; of four
/// or more none larger than the others together.
fn small_neighbours<'s, 'a>(
    run: &'s [Stretch<'a>],
    segment_rows: u64,
    least: usize,
) -> Option<&'s [Stretch<'a>]> {
    for start in 0..run.len() {
        let (mut total, mut largest) = (0, 0);
        let mut found = None;
        for (i, stretch) in run[start..].iter().enumerate().take(MOST) {
            let rows = stretch.segment.meta.rows;
            total += rows;
            largest = largest.max(rows);
            if total > segment_rows || rows * 2 > segment_rows || stretch.segment.meta.full {
                break;
            }
            if i + 1 >= least && (least < FAN_IN || largest * 2 <= total) {
                found = Some(&run[start..=start + i]);
            }
        }
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Where groups of merged segments end, as many of them as leave pieces that are not too
/// small of `rows` rows.
fn cuts(merged: &[Stretch<'_>], rows: u64, segment_rows: u64) -> Vec<Box<[u8]>> {
    let groups = groups(merged);
    let most = CUTS.min((rows * PIECES / segment_rows.max(1)) as usize);
    let step = groups.len().div_ceil(most.max(1)).max(1);
    let ends = groups.iter().skip(step - 1).step_by(step);
    ends.filter_map(|group| group.iter().map(|s| s.last.into()).max()).take(most).collect()
}

/// Whether the bucket's time is over.
fn is_closed(table: &TableState, bucket: Bucket, now_us: i64) -> bool {
    match (bucket, &table.def.partition) {
        (Bucket::At(number), Some(spec)) => spec.width.start_of(number.saturating_add(1)) <= now_us,
        _ => false,
    }
}

/// When the segment was written: its identity tells.
fn written_us(segment: &SegmentHandle) -> i64 {
    ulid::Ulid(segment.meta.id).timestamp_ms() as i64 * 1_000
}
