//! What EXPLAIN and statistics say.

use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::common::stats::Precision;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use sheaf_formats::segment::Encoding;

use super::fixture::{Fixture, block_on, plan, run};

fn three_parts() -> Fixture {
    let fixture = Fixture::new(true, Encoding::Vortex);
    fixture.insert(0..100_000);
    fixture.flush();
    fixture.insert(100_000..150_000);
    fixture.flush();
    fixture.insert(150_000..150_100);
    fixture
}

fn scan_line(plan: &str) -> &str {
    plan.lines().map(str::trim).find(|line| line.contains("SheafScan")).unwrap_or(plan)
}

#[test]
fn the_scan_line_says_what_is_read() {
    let context = three_parts().context(2, &[]);
    insta::assert_snapshot!(scan_line(&plan(&context, "SELECT k, s FROM t")), @"DataSourceExec: SheafScan: table=public.t, segments=2, memtables=1, projection=[k, s], partitions=2");
    insta::assert_snapshot!(scan_line(&plan(&context, "SELECT s FROM t WHERE k > 120000 AND g IN (1, 2, 3, 4) LIMIT 5")), @"DataSourceExec: SheafScan: table=public.t, segments=1 of 2, memtables=1, projection=[s], filters=[k > 120000, g IN (1, 2, 3, 4)], limit=5, partitions=2");
}

#[test]
fn what_the_scan_evaluates_is_not_evaluated_again() {
    let context = three_parts().context(2, &[]);
    let whole = plan(
        &context,
        "SELECT s FROM t WHERE k > 120000 AND s LIKE 'name 1%' AND (g = 1 OR x IS NULL)",
    );
    assert!(!whole.contains("FilterExec"), "{whole}");
    let partly = plan(&context, "SELECT s FROM t WHERE k > 120000 AND k % 7 = 1");
    assert!(
        partly.contains("FilterExec: k@0 % 7 = 1") && partly.contains("filters=[k > 120000]"),
        "{partly}"
    );
}

#[test]
fn joins_and_topk_push_what_they_learn() {
    let context = three_parts().context(2, &[]);
    let join =
        plan(&context, "SELECT count(*) FROM t a JOIN t b ON a.k = b.k WHERE b.g = 3 AND b.k < 10");
    assert!(join.contains("DynamicFilter"), "{join}");
    let top = plan(&context, "SELECT k, s FROM t ORDER BY k LIMIT 3");
    assert!(scan_line(&top).contains("DynamicFilter"), "{top}");
}

#[test]
fn a_topk_spares_segments_that_cannot_matter() {
    let fixture = three_parts();
    let context = fixture.context(1, &[]);
    let rows = run(&context, "EXPLAIN ANALYZE SELECT k, s FROM t ORDER BY k LIMIT 3");
    let text = rows.concat().concat();
    let line = text.lines().find(|l| l.contains("SheafScan")).unwrap();
    assert!(line.contains("rows_pruned=50.00 K"), "{line}");
    // The memtable, which has no statistics, is read but lets nothing pass.
    assert!(line.contains("pieces_pruned=1"), "{line}");
}

#[test]
fn a_join_skips_what_its_build_side_rules_out() {
    let context = three_parts().context(2, &[]);
    let sql = "SELECT count(*) FROM (SELECT DISTINCT k FROM t WHERE k IN (120001, 120002)) b JOIN t a ON a.k = b.k";
    assert_eq!(run(&context, sql), [["2"]]);
    let text = run(&context, &format!("EXPLAIN ANALYZE {sql}")).concat().concat();
    assert!(
        text.lines().filter(|l| l.contains("SheafScan")).any(|l| l.contains("DynamicFilter")),
        "{text}"
    );
}

#[test]
fn counts_and_bounds_come_from_statistics() {
    let fixture = Fixture::new(true, Encoding::Vortex);
    fixture.insert(0..50_000);
    fixture.flush();
    let context = fixture.context(2, &[]);
    let plan = plan(&context, "SELECT count(*), min(k), max(k) FROM t");
    assert!(plan.contains("PlaceholderRowExec"), "{plan}");
    let statistics = fixture.provider().statistics().unwrap();
    assert_eq!(statistics.num_rows, Precision::Exact(50_000));
    let k = &statistics.column_statistics[0];
    assert_eq!(k.max_value, Precision::Exact(ScalarValue::Int64(Some(49_999))));
    assert_eq!(k.null_count, Precision::Exact(0));
    let distinct = *k.distinct_count.get_value().unwrap();
    assert!((45_000..=50_000).contains(&distinct), "{distinct}");
}

#[test]
fn with_deletes_or_hot_rows_statistics_are_estimates() {
    let fixture = Fixture::new(true, Encoding::Vortex);
    fixture.insert(0..50_000);
    fixture.flush();
    fixture.delete(49_000..50_000);
    let statistics = fixture.provider().statistics().unwrap();
    assert_eq!(statistics.num_rows, Precision::Exact(49_000));
    assert_eq!(
        statistics.column_statistics[0].max_value,
        Precision::Inexact(ScalarValue::Int64(Some(49_999)))
    );
    fixture.insert(60_000..60_010);
    let statistics = fixture.provider().statistics().unwrap();
    assert!(matches!(statistics.num_rows, Precision::Inexact(_)));
    let context = fixture.context(2, &[]);
    assert_eq!(run(&context, "SELECT max(k), count(*) FROM t"), [["60009", "49010"]]);
}

#[test]
fn filters_shrink_the_estimate() {
    let fixture = Fixture::new(true, Encoding::Vortex);
    fixture.insert(0..50_000);
    fixture.flush();
    let context = fixture.context(2, &[]);
    let rows = |condition: &str| {
        let sql = format!("SELECT s FROM t WHERE {condition}");
        let plan = block_on(async {
            context.sql(&sql).await.unwrap().create_physical_plan().await.unwrap()
        });
        let statistics =
            StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).unwrap();
        *statistics.num_rows.get_value().unwrap()
    };
    let near = |got: usize, want: usize| got >= want / 2 && got <= want * 2;
    assert!(near(rows("k < 5000"), 5_000));
    assert!(near(rows("g = 3"), 6_500));
    assert!(near(rows("k >= 10000 AND k < 20000"), 10_000));
    assert!(near(rows("g IN (1, 2)"), 13_000));
    assert!(rows("k = 17") <= 2);
    assert!(near(rows("g IS NULL"), 4_545));
}
