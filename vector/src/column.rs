//! A distance per row of a vector column.

use arrow::array::{Array, AsArray, FixedSizeListArray, Float64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Float16Type, Float32Type};
use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::kernel;
use crate::metric::Metric;
use crate::{Error, Result};

/// Elements that are widened from `f16` at a time: half of a first-level cache.
const WIDEN_ELEMENTS: usize = 4096;

/// The dimension of a vector type, or `None` when `data_type` is not one.
pub fn dimension(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeList(item, n)
            if matches!(item.data_type(), DataType::Float32 | DataType::Float16) =>
        {
            usize::try_from(*n).ok()
        }
        _ => None,
    }
}

#[derive(Clone, Copy, Debug)]
enum Elements<'a> {
    Single(&'a [f32]),
    Half(&'a [f16]),
}

/// A vector column, opened: its elements as one slice.
#[derive(Clone, Debug)]
pub struct VectorColumn<'a> {
    elements: Elements<'a>,
    dimension: usize,
    rows: usize,
    nulls: Option<NullBuffer>,
}

impl<'a> VectorColumn<'a> {
    /// Opens `array`. A row with a NULL element counts as NULL.
    pub fn new(array: &'a FixedSizeListArray) -> Result<Self> {
        let dimension = dimension(array.data_type())
            .ok_or_else(|| Error::NotAVector(array.data_type().clone()))?;
        let rows = array.len();
        let start = array.value_offset(0) as usize;
        let range = start..start + rows * dimension;
        let values = array.values();
        let elements = match values.data_type() {
            DataType::Float16 => {
                Elements::Half(&values.as_primitive::<Float16Type>().values()[range.clone()])
            }
            _ => Elements::Single(&values.as_primitive::<Float32Type>().values()[range.clone()]),
        };
        let broken = values.nulls().filter(|n| n.null_count() > 0).map(|nulls| {
            let valid = nulls.slice(range.start, range.len());
            NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| {
                valid.slice(row * dimension, dimension).null_count() == 0
            }))
        });
        let nulls =
            NullBuffer::union(array.nulls(), broken.as_ref()).filter(|n| n.null_count() > 0);
        Ok(Self { elements, dimension, rows, nulls })
    }

    /// Elements of each vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Number of rows, NULLs included.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows that are not NULL, or `None` when none is.
    pub fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// One row, widened into `scratch` where it is not `f32` already. What a NULL
    /// row holds is not specified.
    pub fn row<'s>(&self, row: usize, scratch: &'s mut Vec<f32>) -> &'s [f32]
    where
        'a: 's,
    {
        let range = row * self.dimension..(row + 1) * self.dimension;
        match self.elements {
            Elements::Single(elements) => &elements[range],
            Elements::Half(elements) => {
                scratch.resize(self.dimension, 0.0);
                elements[range].convert_to_f32_slice(scratch);
                scratch
            }
        }
    }

    /// Calls `each` with the row's number and its rank against `query` for every
    /// row, NULL rows too.
    pub(crate) fn ranks(
        &self,
        metric: Metric,
        query: &[f32],
        mut each: impl FnMut(usize, f64),
    ) -> Result<()> {
        if query.len() != self.dimension {
            return Err(Error::DimensionMismatch { left: self.dimension, right: query.len() });
        }
        match self.elements {
            _ if self.dimension == 0 => {
                (0..self.rows).for_each(|row| each(row, metric.distance(&[], &[])))
            }
            Elements::Single(elements) => metric.ranks(query, elements, each),
            Elements::Half(elements) => {
                let rows_at_once = (WIDEN_ELEMENTS / self.dimension).max(1);
                let mut wide = vec![0f32; rows_at_once * self.dimension];
                for (block, narrow) in elements.chunks(rows_at_once * self.dimension).enumerate() {
                    let wide = &mut wide[..narrow.len()];
                    narrow.convert_to_f32_slice(wide);
                    metric.ranks(query, wide, |row, rank| each(block * rows_at_once + row, rank));
                }
            }
        }
        Ok(())
    }
}

/// The distance of each row of `column` to `query`; NULL where the row is NULL.
pub fn distances_to(
    metric: Metric,
    column: &FixedSizeListArray,
    query: &[f32],
) -> Result<Float64Array> {
    let column = VectorColumn::new(column)?;
    let mut out = vec![0f64; column.rows()];
    column.ranks(metric, query, |row, rank| out[row] = metric.distance_of_rank(rank))?;
    Ok(Float64Array::new(out.into(), column.nulls))
}

/// The distance of each row of `left` to the same row of `right`; NULL where
/// either is NULL.
pub fn distances(
    metric: Metric,
    left: &FixedSizeListArray,
    right: &FixedSizeListArray,
) -> Result<Float64Array> {
    let (left, right) = (VectorColumn::new(left)?, VectorColumn::new(right)?);
    if left.dimension() != right.dimension() {
        return Err(Error::DimensionMismatch { left: left.dimension(), right: right.dimension() });
    }
    if left.rows() != right.rows() {
        return Err(Error::RowMismatch { left: left.rows(), right: right.rows() });
    }
    let (mut left_scratch, mut right_scratch) = (Vec::new(), Vec::new());
    let out: Vec<f64> = (0..left.rows())
        .map(|row| {
            metric.distance(left.row(row, &mut left_scratch), right.row(row, &mut right_scratch))
        })
        .collect();
    Ok(Float64Array::new(out.into(), NullBuffer::union(left.nulls(), right.nulls())))
}

/// The Euclidean length of each row.
pub fn norms(column: &FixedSizeListArray) -> Result<Float64Array> {
    let column = VectorColumn::new(column)?;
    let mut scratch = Vec::new();
    let out: Vec<f64> = (0..column.rows())
        .map(|row| {
            let vector = column.row(row, &mut scratch);
            f64::from(kernel::dot(vector, vector)).sqrt()
        })
        .collect();
    Ok(Float64Array::new(out.into(), column.nulls))
}
