//! Exact nearest-neighbour search over vector columns.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use arrow::array::FixedSizeListArray;
use arrow::buffer::BooleanBuffer;

use crate::column::VectorColumn;
use crate::metric::Metric;
use crate::{Error, Result};

/// A row that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbor {
    /// The row's ordinal.
    pub ordinal: u64,
    /// Its distance.
    pub distance: f64,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    rank: f64,
    ordinal: u64,
}

/// Farther is greater; among equals the later row, so that the heap gives up the
/// latest of the farthest. NaN is farther than everything, whatever its sign.
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_rank = match (self.rank.is_nan(), other.rank.is_nan()) {
            (false, false) => self.rank.partial_cmp(&other.rank).unwrap_or(Ordering::Equal),
            (left, right) => left.cmp(&right),
        };
        by_rank.then(self.ordinal.cmp(&other.ordinal))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// The `k` nearest rows of as many columns as one cares to show it.
///
/// Ties are decided by ordinal, so the answer does not depend on the order in
/// which columns are searched.
#[derive(Clone, Debug)]
pub struct Nearest {
    metric: Metric,
    query: Vec<f32>,
    k: usize,
    heap: BinaryHeap<Candidate>,
}

impl Nearest {
    /// Starts a search for the `k` rows nearest to `query`.
    pub fn new(metric: Metric, query: Vec<f32>, k: usize) -> Self {
        Self { metric, query, k, heap: BinaryHeap::new() }
    }

    /// Looks at the rows of `column`, whose first has ordinal `first`: only those
    /// set in `filter`, when there is one (bit 0 is the first row). NULL rows are
    /// never found.
    pub fn search(
        &mut self,
        column: &FixedSizeListArray,
        first: u64,
        filter: Option<&BooleanBuffer>,
    ) -> Result<()> {
        let column = VectorColumn::new(column)?;
        if let Some(filter) = filter.filter(|f| f.len() != column.rows()) {
            return Err(Error::RowMismatch { left: column.rows(), right: filter.len() });
        }
        if column.dimension() != self.query.len() {
            return Err(Error::DimensionMismatch {
                left: column.dimension(),
                right: self.query.len(),
            });
        }
        if self.k == 0 {
            return Ok(());
        }
        let valid = column.nulls().map(|n| n.inner());
        let admitted = match (filter, valid) {
            (Some(filter), Some(valid)) => Some(filter & valid),
            (Some(only), None) | (None, Some(only)) => Some(only.clone()),
            (None, None) => None,
        };
        match admitted {
            None => self.search_all(&column, first),
            Some(admitted) => self.search_some(&column, first, &admitted),
        }
    }

    fn search_all(&mut self, column: &VectorColumn<'_>, first: u64) -> Result<()> {
        let query = std::mem::take(&mut self.query);
        let metric = self.metric;
        let searched = column.ranks(metric, &query, |row, rank| {
            self.offer(Candidate { rank, ordinal: first + row as u64 });
        });
        self.query = query;
        searched
    }

    fn search_some(
        &mut self,
        column: &VectorColumn<'_>,
        first: u64,
        admitted: &BooleanBuffer,
    ) -> Result<()> {
        let query = std::mem::take(&mut self.query);
        let metric = self.metric;
        let mut scratch = Vec::new();
        for row in admitted.set_indices() {
            let vector = column.row(row, &mut scratch);
            metric.ranks(&query, vector, |_, rank| {
                self.offer(Candidate { rank, ordinal: first + row as u64 });
            });
        }
        self.query = query;
        Ok(())
    }

    #[inline]
    fn offer(&mut self, candidate: Candidate) {
        if self.heap.len() < self.k {
            self.heap.push(candidate);
        } else if let Some(mut farthest) = self.heap.peek_mut()
            && candidate < *farthest
        {
            *farthest = candidate;
        }
    }

    /// The distance that a row must not exceed to be found, once `k` are.
    pub fn bound(&self) -> Option<f64> {
        (self.heap.len() == self.k)
            .then(|| self.heap.peek())?
            .map(|c| self.metric.distance_of_rank(c.rank))
    }

    /// What was found, nearest first, ties by ordinal.
    pub fn finish(self) -> Vec<Neighbor> {
        let metric = self.metric;
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|c| Neighbor { ordinal: c.ordinal, distance: metric.distance_of_rank(c.rank) })
            .collect()
    }
}

/// The `k` rows of one column nearest to `query`: see [`Nearest`].
pub fn nearest(
    metric: Metric,
    column: &FixedSizeListArray,
    query: &[f32],
    k: usize,
    filter: Option<&BooleanBuffer>,
) -> Result<Vec<Neighbor>> {
    let mut search = Nearest::new(metric, query.to_vec(), k);
    search.search(column, 0, filter)?;
    Ok(search.finish())
}
