//! The k nearest rows are the k nearest rows.

use arrow::buffer::BooleanBuffer;
use proptest::prelude::*;
use sheaf_vector::{Metric, Nearest, distances_to, nearest};

use crate::reference::{METRICS, column};

proptest! {
    #[test]
    fn finds_what_a_full_sort_finds(
        data in prop::collection::vec(prop::option::weighted(0.9, prop::collection::vec((-3i32..3).prop_map(|v| v as f32), 3)), 0..60),
        wanted in prop::collection::vec(any::<bool>(), 60),
        filtered: bool,
        k in 0usize..12,
        cut in 0usize..60,
    ) {
        let query = [1.0, -1.0, 2.0];
        let array = column(&data, 3);
        let wanted: BooleanBuffer = wanted[..data.len()].iter().copied().collect();
        let filter = filtered.then_some(&wanted);
        for metric in METRICS {
            let all = distances_to(metric, &array, &query).unwrap();
            let mut want: Vec<(f64, u64)> = (0..data.len())
                .filter(|&row| data[row].is_some() && filter.is_none_or(|f| f.value(row)))
                .map(|row| (all.value(row), row as u64))
                .collect();
            want.sort_by(|a, b| a.0.is_nan().cmp(&b.0.is_nan()).then(a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal)).then(a.1.cmp(&b.1)));
            want.truncate(k);
            let want: Vec<u64> = want.into_iter().map(|w| w.1).collect();
            let got: Vec<u64> = nearest(metric, &array, &query, k, filter).unwrap().iter().map(|n| n.ordinal).collect();
            prop_assert_eq!(&got, &want, "{:?}", metric);

            // In two pieces, the later one first.
            let cut = cut.min(data.len());
            let mut search = Nearest::new(metric, query.to_vec(), k);
            let piece = |from: usize, len: usize| filter.map(|f| f.slice(from, len));
            let rest = data.len() - cut;
            search.search(&array.slice(cut, rest), cut as u64, piece(cut, rest).as_ref()).unwrap();
            search.search(&array.slice(0, cut), 0, piece(0, cut).as_ref()).unwrap();
            let got: Vec<u64> = search.finish().iter().map(|n| n.ordinal).collect();
            prop_assert_eq!(&got, &want, "{:?} in two pieces", metric);
        }
    }
}

#[test]
fn the_bound_is_the_kth_distance() {
    let array = column(&[Some(vec![3.0]), Some(vec![1.0]), Some(vec![2.0])], 1);
    let mut search = Nearest::new(Metric::L2, vec![0.0], 2);
    assert_eq!(search.bound(), None);
    search.search(&array, 0, None).unwrap();
    assert_eq!(search.bound(), Some(2.0));
}
