//! Every kernel agrees with double precision, at every length and alignment.

use proptest::prelude::*;
use sheaf_vector::kernel::{self, portable};

use crate::reference::{self, METRICS, close};

fn pair() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    (0usize..200).prop_flat_map(|n| {
        let v = || prop::collection::vec(-10f32..10f32, n);
        (v(), v())
    })
}

proptest! {
    #[test]
    fn metrics_agree_with_double_precision((a, b) in pair(), skip in 0usize..4) {
        let skip = skip.min(a.len());
        let (a, b) = (&a[skip..], &b[skip..]);
        for metric in METRICS {
            let (got, want) = (metric.distance(a, b), reference::distance(metric, a, b));
            prop_assert!(close(got, want, want.abs()) || a.is_empty(), "{metric:?}: {got} {want}");
        }
    }

    #[test]
    fn portable_kernels_agree_with_the_chosen_ones((a, b) in pair()) {
        let scale = 100.0 * a.len() as f64 / 10.0;
        let same = |x: f32, y: f32| close(x.into(), y.into(), scale);
        prop_assert!(same(kernel::squared_l2(&a, &b), portable::squared_l2(&a, &b)));
        prop_assert!(same(kernel::dot(&a, &b), portable::dot(&a, &b)));
        prop_assert!(same(kernel::l1(&a, &b), portable::l1(&a, &b)));
        let ((d, s), (e, t)) = (kernel::dot_and_square(&a, &b), portable::dot_and_square(&a, &b));
        prop_assert!(same(d, e) && same(s, t));
    }

    #[test]
    fn rows_give_what_single_calls_give(dimension in 1usize..40, rows in 0usize..10, seed in any::<u32>()) {
        let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) % 1000) as f32 / 100.0;
        let query: Vec<f32> = (0..dimension).map(value).collect();
        let block: Vec<f32> = (0..dimension * rows).map(|i| value(i + 17)).collect();
        let mut seen = 0;
        kernel::squared_l2_rows(&query, &block, |row, got| {
            assert_eq!(row, seen);
            assert_eq!(got, kernel::squared_l2(&query, &block[row * dimension..(row + 1) * dimension]));
            seen += 1;
        });
        prop_assert_eq!(seen, rows);
    }
}

#[test]
fn nothing_is_infinitely_similar_to_zero() {
    let zero = [0f32; 5];
    assert!(sheaf_vector::Metric::Cosine.distance(&zero, &[1.0; 5]).is_nan());
}

#[test]
fn infinities_and_nan_come_through() {
    assert!(kernel::dot(&[f32::NAN; 9], &[1.0; 9]).is_nan());
    assert_eq!(kernel::l1(&[f32::INFINITY; 9], &[1.0; 9]), f32::INFINITY);
}
