//! Distances per second: one query against a block of vectors, per metric and
//! dimension, and an exact search with and without a filter.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{FixedSizeListArray, Float32Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Field};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sheaf_vector::{Metric, distances_to, kernel, nearest};

const ROWS: usize = 2_000;

/// Reproducible values in [-1, 1).
fn values(n: usize) -> Vec<f32> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    (0..n)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn column(dimension: usize) -> FixedSizeListArray {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let elements = Float32Array::from(values(ROWS * dimension));
    FixedSizeListArray::new(item, dimension as i32, Arc::new(elements), None)
}

fn distances(c: &mut Criterion) {
    let mut group = c.benchmark_group("distances");
    group.throughput(Throughput::Elements(ROWS as u64));
    for dimension in [100, 128, 384, 768] {
        let (column, query) = (column(dimension), values(dimension));
        for metric in [Metric::L2, Metric::NegativeInnerProduct, Metric::Cosine, Metric::L1] {
            group.bench_function(BenchmarkId::new(format!("{metric:?}"), dimension), |b| {
                b.iter(|| distances_to(metric, black_box(&column), black_box(&query)));
            });
        }
        let block = values(ROWS * dimension);
        group.bench_function(BenchmarkId::new("portable L2", dimension), |b| {
            b.iter(|| {
                block
                    .chunks_exact(dimension)
                    .map(|row| kernel::portable::squared_l2(black_box(&query), row))
                    .fold(0.0, f32::max)
            });
        });
    }
    group.finish();
}

fn search(c: &mut Criterion) {
    let (column, query) = (column(128), values(128));
    let tenth: BooleanBuffer = (0..ROWS).map(|row| row % 10 == 0).collect();
    let mut group = c.benchmark_group("nearest");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("all", |b| b.iter(|| nearest(Metric::L2, &column, &query, 10, None)));
    group.bench_function("a tenth", |b| {
        b.iter(|| nearest(Metric::L2, &column, &query, 10, Some(&tenth)));
    });
    group.finish();
}

criterion_group!(benches, distances, search);
criterion_main!(benches);
