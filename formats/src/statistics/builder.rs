//! Gathers statistics while a segment is written.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, SchemaRef};

use super::{Bounds, ColumnStatistics, SegmentStatistics, ZONE_ROWS, ZoneMap};
use crate::sketch::DistinctSketch;
use crate::{Error, Result, shown_bytes};

/// Takes the batches of a segment in order.
#[derive(Debug)]
pub struct StatisticsBuilder {
    schema: SchemaRef,
    rows: u64,
    /// Rows of the zone that is being filled.
    zone_rows: usize,
    columns: Vec<ColumnBuilder>,
}

#[derive(Debug)]
struct ColumnBuilder {
    ordered: bool,
    distinct: Option<DistinctSketch>,
    nulls: u64,
    memory_bytes: u64,
    zone: Bounds,
    zone_nulls: u64,
    finished: Vec<(Bounds, u64)>,
}

impl StatisticsBuilder {
    /// Starts with no rows of `schema`.
    pub fn new(schema: &SchemaRef) -> Self {
        let columns = schema
            .fields()
            .iter()
            .map(|field| ColumnBuilder {
                ordered: Bounds::supports(field.data_type()),
                distinct: DistinctSketch::supports(field.data_type()).then(DistinctSketch::new),
                nulls: 0,
                memory_bytes: 0,
                zone: Bounds::default(),
                zone_nulls: 0,
                finished: Vec::new(),
            })
            .collect();
        Self { schema: schema.clone(), rows: 0, zone_rows: 0, columns }
    }

    /// Adds the rows of `batch`, which has the builder's schema.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_columns() != self.columns.len() {
            return Err(Error::Invalid(format!(
                "a batch has {} columns where the segment has {}",
                batch.num_columns(),
                self.columns.len()
            )));
        }
        let mut start = 0;
        while start < batch.num_rows() {
            let len = (batch.num_rows() - start).min(ZONE_ROWS - self.zone_rows);
            for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
                column.push_to_zone(&array.slice(start, len))?;
            }
            self.zone_rows += len;
            start += len;
            if self.zone_rows == ZONE_ROWS {
                self.finish_zone();
            }
        }
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            if let Some(sketch) = &mut column.distinct {
                sketch.add_array(array);
            }
            column.memory_bytes += shown_bytes(array) as u64;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// The statistics of everything pushed.
    pub fn finish(mut self) -> Result<SegmentStatistics> {
        if self.zone_rows > 0 {
            self.finish_zone();
        }
        let columns = self
            .columns
            .into_iter()
            .zip(self.schema.fields())
            .map(|(column, field)| column.finish(field.data_type()))
            .collect::<Result<_>>()?;
        Ok(SegmentStatistics { rows: self.rows, columns })
    }

    fn finish_zone(&mut self) {
        for column in &mut self.columns {
            let bounds = std::mem::take(&mut column.zone);
            column.finished.push((bounds, column.zone_nulls));
            column.nulls += column.zone_nulls;
            column.zone_nulls = 0;
        }
        self.zone_rows = 0;
    }
}

impl ColumnBuilder {
    fn push_to_zone(&mut self, array: &ArrayRef) -> Result<()> {
        // Dictionaries and the null type hide NULLs behind their values.
        self.zone_nulls += array.logical_null_count() as u64;
        if self.ordered {
            self.zone.include(Bounds::of(array)?)?;
        }
        Ok(())
    }

    fn finish(self, data_type: &DataType) -> Result<ColumnStatistics> {
        let mut all = Bounds::default();
        for (zone, _) in &self.finished {
            all.include(zone.clone())?;
        }
        let zones = if self.ordered && !self.finished.is_empty() {
            let side = |pick: fn(&Bounds) -> &Option<ArrayRef>| -> Result<ArrayRef> {
                let missing = new_null_array(data_type, 1);
                let arrays: Vec<&dyn Array> = self
                    .finished
                    .iter()
                    .map(|(bounds, _)| pick(bounds).as_ref().unwrap_or(&missing).as_ref())
                    .collect();
                Ok(concat(&arrays)?)
            };
            Some(Arc::new(ZoneMap {
                min: side(|bounds| &bounds.min)?,
                max: side(|bounds| &bounds.max)?,
                nulls: self.finished.iter().map(|(_, nulls)| *nulls).collect(),
            }))
        } else {
            None
        };
        Ok(ColumnStatistics {
            nulls: self.nulls,
            min: all.min,
            max: all.max,
            exact: all.exact && self.ordered,
            distinct: self.distinct.map(Arc::new),
            memory_bytes: self.memory_bytes,
            zones,
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, StringViewArray};
    use arrow::datatypes::{Field, Int64Type, Schema};

    use super::*;

    fn batch(range: std::ops::Range<i64>) -> RecordBatch {
        let ids = Int64Array::from_iter_values(range.clone());
        let names = StringViewArray::from_iter(
            range.map(|i| (i % 3 != 0).then(|| format!("name {}", i % 10))),
        );
        RecordBatch::try_from_iter_with_nullable([
            ("id", Arc::new(ids) as ArrayRef, false),
            ("name", Arc::new(names) as ArrayRef, true),
        ])
        .unwrap()
    }

    #[test]
    fn zones_cross_batch_borders() {
        let rows = ZONE_ROWS as i64 + 1_000;
        let mut builder = StatisticsBuilder::new(&batch(0..1).schema());
        for start in (0..rows).step_by(10_000) {
            builder.push(&batch(start..(start + 10_000).min(rows))).unwrap();
        }
        let statistics = builder.finish().unwrap();
        assert_eq!(statistics.rows, rows as u64);
        let zones = statistics.columns[0].zones.as_ref().unwrap();
        let max = zones.max.as_primitive::<Int64Type>();
        assert_eq!(max.values(), &[ZONE_ROWS as i64 - 1, rows - 1]);
        let names = &statistics.columns[1];
        assert_eq!(names.nulls, names.zones.as_ref().unwrap().nulls.iter().sum::<u64>());
        assert_eq!(names.nulls, (0..rows).filter(|i| i % 3 == 0).count() as u64);
        assert_eq!(names.distinct.as_ref().unwrap().estimate(), 10);
        assert_eq!(names.min.as_ref().unwrap().as_string_view().value(0), "name 0");
        assert!(names.exact);
    }

    #[test]
    fn merging_adds_up_and_drops_zones() {
        let of = |range| {
            let batch = batch(range);
            let mut builder = StatisticsBuilder::new(&batch.schema());
            builder.push(&batch).unwrap();
            builder.finish().unwrap()
        };
        let mut merged = SegmentStatistics::default();
        merged.merge(&of(0..50)).unwrap();
        merged.merge(&of(40..100)).unwrap();
        merged.merge(&SegmentStatistics::default()).unwrap();
        assert_eq!(merged.rows, 110);
        let ids = &merged.columns[0];
        assert_eq!(ids.min.as_ref().unwrap().as_primitive::<Int64Type>().value(0), 0);
        assert_eq!(ids.max.as_ref().unwrap().as_primitive::<Int64Type>().value(0), 99);
        assert!(ids.zones.is_none() && ids.exact);
        let estimate = ids.distinct.as_ref().unwrap().estimate();
        assert!((98..=102).contains(&estimate), "{estimate}");
    }

    #[test]
    fn schema_of_the_wrong_width_is_refused() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        assert!(StatisticsBuilder::new(&schema).push(&batch(0..3)).is_err());
    }
}
