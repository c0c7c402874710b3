//! Distances per row: NULLs, slices, half precision, mismatches.

use std::sync::Arc;

use arrow::array::{Array, FixedSizeListArray, Float32Array};
use arrow::datatypes::{DataType, Field};
use proptest::prelude::*;
use sheaf_vector::{Error, Metric, distances, distances_to, norms};

use crate::reference::{self, METRICS, close, column, half_column};

fn rows(dimension: usize) -> impl Strategy<Value = Vec<Option<Vec<f32>>>> {
    let vector = prop::collection::vec((-64i32..64).prop_map(|v| v as f32 / 4.0), dimension);
    prop::collection::vec(prop::option::weighted(0.8, vector), 0..40)
}

proptest! {
    #[test]
    fn each_row_is_measured_and_nulls_stay_null(
        (data, query) in (1usize..33).prop_flat_map(|d| (rows(d), prop::collection::vec(-8f32..8f32, d))),
        skip in 0usize..10,
    ) {
        let dimension = query.len();
        let skip = skip.min(data.len());
        // The values are multiples of a quarter, which half precision holds exactly.
        for array in [column(&data, dimension), half_column(&data, dimension)] {
            let array = array.slice(skip, data.len() - skip);
            for metric in METRICS {
                let got = distances_to(metric, &array, &query).unwrap();
                prop_assert_eq!(got.len(), data.len() - skip);
                for (row, vector) in data[skip..].iter().enumerate() {
                    let Some(vector) = vector else {
                        prop_assert!(got.is_null(row));
                        continue;
                    };
                    let want = reference::distance(metric, vector, &query);
                    prop_assert!(got.is_valid(row));
                    prop_assert!(close(got.value(row), want, want.abs() + 100.0), "{metric:?} {} {want}", got.value(row));
                }
            }
        }
    }

    #[test]
    fn columns_are_paired_row_by_row(
        (left, right) in (1usize..9).prop_flat_map(|d| (rows(d), rows(d))),
    ) {
        let n = left.len().min(right.len());
        let (left, right) = (&left[..n], &right[..n]);
        let dimension = left.iter().chain(right).flatten().map(Vec::len).next().unwrap_or(1);
        let got = distances(Metric::L2, &column(left, dimension), &half_column(right, dimension)).unwrap();
        for row in 0..n {
            match (&left[row], &right[row]) {
                (Some(a), Some(b)) => {
                    prop_assert!(close(got.value(row), reference::distance(Metric::L2, a, b), 100.0));
                }
                _ => prop_assert!(got.is_null(row)),
            }
        }
    }
}

#[test]
fn a_null_element_makes_the_row_null() {
    let values =
        Float32Array::from(vec![Some(1.0), Some(2.0), None, Some(4.0), Some(3.0), Some(4.0)]);
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let array = FixedSizeListArray::new(item, 2, Arc::new(values), None);
    let got = norms(&array).unwrap();
    assert!(got.is_valid(0) && got.is_null(1));
    assert_eq!(got.value(2), 5.0);
}

#[test]
fn a_mismatch_names_both_dimensions() {
    let array = column(&[Some(vec![1.0, 2.0])], 2);
    let error = distances_to(Metric::L2, &array, &[1.0, 2.0, 3.0]).unwrap_err();
    assert_eq!(error, Error::DimensionMismatch { left: 2, right: 3 });
    assert_eq!(error.to_string(), "different vector dimensions 2 and 3");
}

#[test]
fn other_lists_are_not_vectors() {
    let values = arrow::array::Int32Array::from(vec![1, 2]);
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let array = FixedSizeListArray::new(item, 2, Arc::new(values), None);
    assert!(matches!(norms(&array), Err(Error::NotAVector(_))));
}
