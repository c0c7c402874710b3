//! Statistics that a segment carries for the planner, and zone maps that let a
//! scan skip.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};

use crate::Result;
use crate::sketch::DistinctSketch;

mod bounds;
mod builder;
mod codec;

use bounds::Bounds;
pub use builder::StatisticsBuilder;

pub(crate) use bounds::prefix_end;

/// Rows per zone of a zone map.
pub const ZONE_ROWS: usize = 65_536;

/// Statistics over all rows of a segment, deleted ones included.
#[derive(Clone, Debug, Default)]
pub struct SegmentStatistics {
    /// Number of rows.
    pub rows: u64,
    /// One entry per column of the segment's schema.
    pub columns: Vec<ColumnStatistics>,
}

/// Statistics of one column.
#[derive(Clone, Debug, Default)]
pub struct ColumnStatistics {
    /// Number of NULLs.
    pub nulls: u64,
    /// Smallest value as an array of length one and the column's type; `None` when
    /// all are NULL or the type has no order. Floats are in IEEE total order.
    pub min: Option<ArrayRef>,
    /// Largest value, likewise; also `None` when a long text has no short bound.
    pub max: Option<ArrayRef>,
    /// False when `min` or `max` are bounds only: long values were cut, or a float
    /// was a zero (whose sign was widened) or a NaN.
    pub exact: bool,
    /// Distinct non-NULL values, mergeable across segments.
    pub distinct: Option<Arc<DistinctSketch>>,
    /// Bytes in memory as Arrow.
    pub memory_bytes: u64,
    /// Per zone of [`ZONE_ROWS`] rows.
    pub zones: Option<Arc<ZoneMap>>,
}

/// Bounds per zone of consecutive rows.
#[derive(Clone, Debug)]
pub struct ZoneMap {
    /// Lower bound per zone, NULL where a zone has none.
    pub min: ArrayRef,
    /// Upper bound per zone.
    pub max: ArrayRef,
    /// NULLs per zone.
    pub nulls: Vec<u64>,
}

impl SegmentStatistics {
    /// Makes these the statistics of both sets of rows together, for the planner.
    /// Zone maps are dropped: they belong to one segment. Both sides must be of one
    /// schema; default statistics are neutral.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.columns.is_empty() && self.rows == 0 {
            *self = other.clone();
            for column in &mut self.columns {
                column.zones = None;
            }
            return Ok(());
        }
        if other.columns.is_empty() && other.rows == 0 {
            return Ok(());
        }
        if self.columns.len() != other.columns.len() {
            return Err(crate::Error::Invalid(format!(
                "statistics of {} and of {} columns cannot be merged",
                self.columns.len(),
                other.columns.len()
            )));
        }
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            let mut bounds = mine.bounds(self.rows);
            bounds.include(theirs.bounds(other.rows))?;
            mine.min = bounds.min;
            mine.max = bounds.max;
            mine.exact = bounds.exact;
            mine.nulls += theirs.nulls;
            mine.memory_bytes += theirs.memory_bytes;
            mine.distinct = match (mine.distinct.take(), &theirs.distinct) {
                (Some(mut merged), Some(more)) => {
                    Arc::make_mut(&mut merged).merge(more);
                    Some(merged)
                }
                _ => None,
            };
            mine.zones = None;
        }
        self.rows += other.rows;
        Ok(())
    }

    /// Number of zones of the zone maps.
    pub fn zone_count(&self) -> usize {
        self.rows.div_ceil(ZONE_ROWS as u64) as usize
    }
}

impl ColumnStatistics {
    fn bounds(&self, rows: u64) -> Bounds {
        Bounds {
            empty: self.nulls >= rows,
            min: self.min.clone(),
            max: self.max.clone(),
            exact: self.exact,
        }
    }

    /// Heap bytes that the statistics themselves take, roughly.
    pub fn size_bytes(&self) -> usize {
        let array = |array: &Option<ArrayRef>| {
            array.as_ref().map_or(0, |array| array.get_array_memory_size())
        };
        let zones = self.zones.as_ref().map_or(0, |zones| {
            zones.min.get_array_memory_size()
                + zones.max.get_array_memory_size()
                + zones.nulls.len() * 8
        });
        let sketch = self.distinct.as_ref().map_or(0, |_| DistinctSketch::SIZE_BYTES);
        size_of::<Self>() + array(&self.min) + array(&self.max) + zones + sketch
    }
}
