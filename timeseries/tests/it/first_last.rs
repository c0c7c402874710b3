//! `first` and `last` by time: NULLs, groups, types, partial states.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::datasource::MemTable;
use proptest::prelude::*;

use crate::sql::{context, error, run};

const ROWS: &str = "(VALUES
    ('a', 1, TIMESTAMP '2024-01-02 00:00:00'),
    ('a', 2, TIMESTAMP '2024-01-01 00:00:00'),
    ('a', 3, TIMESTAMP '2024-01-03 00:00:00'),
    ('a', 9, NULL),
    ('b', NULL, TIMESTAMP '2024-01-01 00:00:00'),
    ('b', 5, TIMESTAMP '2024-01-02 00:00:00'),
    ('c', 7, NULL)) v(k, x, t)";

#[test]
fn the_value_at_the_end_of_time_wins() {
    let rows = run(
        &context(),
        &format!("SELECT k, first(x, t), last(x, t) FROM {ROWS} GROUP BY k ORDER BY k"),
    );
    assert_eq!(rows, [["a", "2", "3"], ["b", "", "5"], ["c", "", ""]]);
}

#[test]
fn without_groups_and_without_rows() {
    assert_eq!(
        run(&context(), &format!("SELECT first(k, t), last(x, t) FROM {ROWS}")),
        [["a", "3"]]
    );
    assert_eq!(run(&context(), &format!("SELECT first(k, t) FROM {ROWS} WHERE x > 100")), [[""]]);
}

#[test]
fn a_filter_counts_before_time() {
    let rows = run(
        &context(),
        &format!("SELECT k, last(x, t) FILTER (WHERE x < 3) FROM {ROWS} GROUP BY k ORDER BY k"),
    );
    assert_eq!(rows, [["a", "1"], ["b", ""], ["c", ""]]);
}

#[test]
fn what_is_not_a_time_is_an_error() {
    assert!(error("SELECT first(1, 'x')").contains("must be a time or an integer"));
    assert!(error("SELECT first(1)").contains("takes a value and a time"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_batches_and_partitions_agree_with_a_loop(
        rows in prop::collection::vec((0u32..40, prop::option::of(any::<u16>()), prop::option::weighted(0.9, 0i64..100_000)), 0..2_000),
        partitions in 1usize..4,
    ) {
        // Times are made distinct, so that there is one answer.
        let time = |i: usize, t: i64| t * 10_000 + i as i64;
        let (mut first, mut last) = (BTreeMap::new(), BTreeMap::new());
        for (i, (k, _, t)) in rows.iter().enumerate() {
            let Some(t) = t else { continue };
            let at = time(i, *t);
            let f = first.entry(*k).or_insert((at, i));
            *f = (*f).min((at, i));
            let l = last.entry(*k).or_insert((at, i));
            *l = (*l).max((at, i));
        }
        let batches: Vec<RecordBatch> = rows.chunks(97).enumerate().map(|(chunk, rows)| {
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("k", Arc::new(rows.iter().map(|r| Some(i64::from(r.0))).collect::<Int64Array>())),
                ("x", Arc::new(rows.iter().map(|r| r.1.map(|x| x.to_string())).collect::<StringArray>())),
                ("t", Arc::new(rows.iter().enumerate().map(|(i, r)| r.2.map(|t| time(chunk * 97 + i, t))).collect::<TimestampMicrosecondArray>())),
            ];
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
        }).collect();
        let Some(schema) = batches.first().map(RecordBatch::schema) else { return Ok(()) };
        let mut parts = vec![Vec::new(); partitions];
        for (i, batch) in batches.into_iter().enumerate() {
            parts[i % partitions].push(batch);
        }
        let context = context();
        context.register_table("t", Arc::new(MemTable::try_new(schema, parts).unwrap())).unwrap();
        let got = run(&context, "SELECT k, first(x, t), last(x, t) FROM t GROUP BY k HAVING count(t) > 0 ORDER BY k");
        let text = |i: usize| rows[i].1.map(|x| x.to_string()).unwrap_or_default();
        let want: Vec<Vec<String>> = first.iter().map(|(k, f)| vec![k.to_string(), text(f.1), text(last[k].1)]).collect();
        prop_assert_eq!(got, want);
    }
}
