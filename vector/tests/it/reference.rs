//! Distances by the book, in `f64`, and ways to make columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float16Array, Float32Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use half::f16;
use sheaf_vector::Metric;

pub const METRICS: [Metric; 4] =
    [Metric::L2, Metric::NegativeInnerProduct, Metric::Cosine, Metric::L1];

pub fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    let dot = |f: fn((f64, f64)) -> f64| pairs().map(f).sum::<f64>();
    match metric {
        Metric::L2 => dot(|(x, y)| (x - y) * (x - y)).sqrt(),
        Metric::NegativeInnerProduct => -dot(|(x, y)| x * y),
        Metric::L1 => dot(|(x, y)| (x - y).abs()),
        Metric::Cosine => {
            let lengths = (dot(|(x, _)| x * x) * dot(|(_, y)| y * y)).sqrt();
            1.0 - dot(|(x, y)| x * y) / lengths
        }
    }
}

/// Equal up to the rounding of single-precision sums of `scale`.
pub fn close(got: f64, want: f64, scale: f64) -> bool {
    (got.is_nan() && want.is_nan()) || (got - want).abs() <= 1e-4 * (1.0 + scale)
}

pub fn column(rows: &[Option<Vec<f32>>], dimension: usize) -> FixedSizeListArray {
    list(Arc::new(Float32Array::from(flat(rows, dimension))), DataType::Float32, rows, dimension)
}

pub fn half_column(rows: &[Option<Vec<f32>>], dimension: usize) -> FixedSizeListArray {
    let values: Vec<f16> = flat(rows, dimension).into_iter().map(f16::from_f32).collect();
    list(Arc::new(Float16Array::from(values)), DataType::Float16, rows, dimension)
}

fn flat(rows: &[Option<Vec<f32>>], dimension: usize) -> Vec<f32> {
    rows.iter().flat_map(|r| r.clone().unwrap_or_else(|| vec![7.0; dimension])).collect()
}

fn list(
    values: ArrayRef,
    item: DataType,
    rows: &[Option<Vec<f32>>],
    dimension: usize,
) -> FixedSizeListArray {
    let nulls: NullBuffer = rows.iter().map(Option::is_some).collect();
    FixedSizeListArray::new(
        Arc::new(Field::new("item", item, true)),
        dimension as i32,
        values,
        Some(nulls),
    )
}
