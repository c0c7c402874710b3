//! Dividing rows by time bucket.

use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::catalog::TableDef;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The part of a table that a row belongs to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// The one bucket of a table that is not partitioned.
    #[default]
    All,
    /// Rows whose partition column is NULL.
    Null,
    /// The bucket with this number, see [`super::BucketWidth::bucket_of`].
    At(i64),
}

/// The folder name of the bucket.
impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Null => f.write_str("null"),
            Self::At(number) => number.fmt(f),
        }
    }
}

/// Divides `rows` (schema of `def`) into one batch per bucket, each in the order of
/// `rows`; a batch that lies in one bucket is not copied.
pub(crate) fn split(def: &TableDef, rows: RecordBatch) -> Result<Vec<(Bucket, RecordBatch)>> {
    split_indices(def, &rows)
        .into_iter()
        .map(|(bucket, indices)| match indices {
            Some(indices) => Ok((bucket, take_record_batch(&rows, &UInt32Array::from(indices))?)),
            None => Ok((bucket, rows.clone())),
        })
        .collect()
}

/// The rows of each bucket; `None` stands for all of them, in order. No rows make no
/// bucket.
pub(crate) fn split_indices(def: &TableDef, rows: &RecordBatch) -> Vec<(Bucket, Option<Vec<u32>>)> {
    if rows.num_rows() == 0 {
        return Vec::new();
    }
    let Some(buckets) = buckets_of(def, rows) else {
        return vec![(Bucket::All, None)];
    };
    let first = buckets[0];
    if buckets.iter().all(|b| *b == first) {
        return vec![(first, None)];
    }
    let mut order: Vec<u32> = (0..buckets.len() as u32).collect();
    order.sort_by_key(|i| buckets[*i as usize]);
    order
        .chunk_by(|a, b| buckets[*a as usize] == buckets[*b as usize])
        .map(|run| (buckets[run[0] as usize], Some(run.to_vec())))
        .collect()
}

/// The bucket of each row; `None` when the table is not partitioned.
fn buckets_of(def: &TableDef, rows: &RecordBatch) -> Option<Vec<Bucket>> {
    let spec = def.partition.as_ref()?;
    let column = rows.column(def.live_index(spec.column)?);
    let micros: Vec<Option<i64>> = match column.data_type() {
        DataType::Date32 => column
            .as_primitive::<Date32Type>()
            .iter()
            .map(|d| d.map(|d| i64::from(d) * MICROS_PER_DAY))
            .collect(),
        _ => column.as_primitive::<TimestampMicrosecondType>().iter().collect(),
    };
    // Rows mostly come in time order, so the last answer is usually the next one.
    let mut last: Option<(i64, i64, Bucket)> = None;
    let mut bucket_of = |m: i64| match last {
        Some((from, to, bucket)) if (from..to).contains(&m) => bucket,
        _ => {
            let number = spec.width.bucket_of(m);
            let bucket = Bucket::At(number);
            last = Some((spec.width.start_of(number), spec.width.start_of(number + 1), bucket));
            bucket
        }
    };
    Some(micros.into_iter().map(|m| m.map_or(Bucket::Null, &mut bucket_of)).collect())
}
