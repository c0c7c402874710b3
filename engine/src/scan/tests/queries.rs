//! A table in segments and memtables answers as the same rows in memory do.

use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, collect};
use futures::StreamExt;
use sheaf_formats::segment::Encoding;
use std::sync::Arc;

use super::fixture::{Fixture, block_on, run};

const QUERIES: &[&str] = &[
    "SELECT * FROM {}",
    "SELECT count(*) FROM {}",
    "SELECT count(*), count(g), min(k), max(k), min(s), max(ts), sum(x) FROM {}",
    "SELECT s, x FROM {} WHERE k BETWEEN 900 AND 1100",
    "SELECT k FROM {} WHERE g IN (1, 3) AND x > 50.5",
    "SELECT k FROM {} WHERE g NOT IN (0, 1, 2, 3, 4) OR s IS NULL",
    "SELECT count(*) FROM {} WHERE s LIKE 'name 1%'",
    "SELECT count(*) FROM {} WHERE s ILIKE '%ME 9%' AND NOT (g = 2)",
    "SELECT count(*) FROM {} WHERE g IS NULL AND ts IS NOT NULL",
    "SELECT count(*) FROM {} WHERE x = 0",
    "SELECT count(*) FROM {} WHERE k = g",
    "SELECT count(*) FROM {} WHERE k % 5 = 1 AND k > 2000",
    "SELECT count(*) FROM {} WHERE g IS DISTINCT FROM 3",
    "SELECT count(*) FROM {} WHERE k > 1000000",
    "SELECT count(*) FROM {} WHERE ts >= TIMESTAMP '1970-01-01 00:20:00' AND ts < TIMESTAMP '1970-01-01 00:30:00'",
    "SELECT g, count(*), sum(x) FROM {} WHERE k < 5000 GROUP BY g",
    "SELECT k, s FROM {} ORDER BY k DESC LIMIT 7",
    "SELECT k FROM {} ORDER BY x, k LIMIT 20",
    "SELECT count(*) FROM (SELECT k FROM {} LIMIT 123)",
    "SELECT count(*) FROM {} a JOIN {} b ON a.k = b.k WHERE b.g = 4",
    "SELECT a.k, b.s FROM {} a JOIN {} b ON a.g = b.k WHERE a.k < 50",
    "SELECT count(*) FROM {} WHERE k IN (SELECT k * 10 FROM {} WHERE g = 1)",
    "SELECT count(*) FROM {} a LEFT JOIN {} b ON a.k = b.k + 100 AND b.g = 2 WHERE b.k IS NULL",
];

fn agree(fixture: &Fixture, oracle: &[std::ops::Range<i64>]) {
    for partitions in [1, 3] {
        let context = fixture.context(partitions, oracle);
        for query in QUERIES {
            let (got, want) = (
                run(&context, &query.replace("{}", "t")),
                run(&context, &query.replace("{}", "o")),
            );
            assert_eq!(got, want, "{query} with {partitions} partitions");
        }
    }
}

#[test]
fn segments_and_a_memtable() {
    for (keyed, encoding) in [(true, Encoding::Vortex), (false, Encoding::Parquet)] {
        let fixture = Fixture::new(keyed, encoding);
        fixture.insert(0..3_000);
        fixture.flush();
        fixture.insert(3_000..20_000);
        fixture.flush();
        fixture.insert(20_000..20_500);
        agree(&fixture, std::slice::from_ref(&(0..20_500)));
    }
}

#[test]
fn deleted_rows_are_gone() {
    let fixture = Fixture::new(true, Encoding::Vortex);
    fixture.insert(0..8_000);
    fixture.flush();
    fixture.insert(8_000..8_400);
    fixture.delete(500..1_500);
    fixture.delete(8_100..8_200);
    agree(&fixture, &[0..500, 1_500..8_100, 8_200..8_400]);
}

#[test]
fn an_empty_table() {
    agree(&Fixture::new(true, Encoding::Vortex), &[]);
}

#[test]
fn a_snapshot_does_not_see_what_comes_later() {
    let fixture = Fixture::new(true, Encoding::Vortex);
    fixture.insert(0..100);
    let context = fixture.context(2, &[]);
    fixture.insert(100..200);
    fixture.flush();
    assert_eq!(run(&context, "SELECT count(*) FROM t"), [["100"]]);
    assert_eq!(run(&context, "SELECT max(k) FROM t"), [["99"]]);
}

#[test]
fn row_ids_are_there_on_demand() {
    let fixture = Fixture::new(false, Encoding::Vortex);
    fixture.insert(0..100);
    fixture.flush();
    fixture.insert(100..150);
    let snapshot = fixture.snapshot().with_columns(sheaf_core::Columns::WithRowId);
    let context = fixture.context(2, &[]);
    context
        .register_table("r", Arc::new(crate::scan::SnapshotTable::new("r", &snapshot).unwrap()))
        .unwrap();
    assert_eq!(run(&context, "SELECT count(DISTINCT _rowid) FROM r WHERE k >= 0"), [["150"]]);
}

fn partitions_of(fixture: &Fixture, sql: &str) -> (Arc<dyn ExecutionPlan>, Arc<TaskContext>) {
    let context = fixture.context(2, &[]);
    let plan =
        block_on(async { context.sql(sql).await.unwrap().create_physical_plan().await.unwrap() });
    (plan, context.task_ctx())
}

#[test]
fn batches_are_about_the_sessions_size() {
    let fixture = Fixture::new(true, Encoding::Vortex);
    fixture.insert(0..60_000);
    fixture.flush();
    let (plan, task) = partitions_of(&fixture, "SELECT k, s FROM t WHERE g = 3");
    let mut sizes = vec![];
    for partition in 0..plan.properties().partitioning.partition_count() {
        let mut stream = plan.execute(partition, Arc::clone(&task)).unwrap();
        let batches = block_on(async { (&mut stream).collect::<Vec<_>>().await });
        sizes.extend(batches.into_iter().map(|b| b.unwrap().num_rows()));
    }
    assert!(sizes.iter().all(|rows| *rows <= 1_000), "{sizes:?}");
    let small = sizes.iter().filter(|rows| **rows < 500).count();
    assert!(small <= 2, "{sizes:?}");
}

#[test]
fn a_dropped_stream_reads_no_further() {
    let fixture = Fixture::new(true, Encoding::Vortex);
    fixture.insert(0..100_000);
    fixture.flush();
    let (plan, task) = partitions_of(&fixture, "SELECT k FROM t");
    let mut stream = plan.execute(0, task).unwrap();
    block_on(async { stream.next().await }).unwrap().unwrap();
    drop(stream);
    let rows = plan.metrics().and_then(|m| m.output_rows()).unwrap();
    assert!(rows < 100_000, "{rows}");
}

/// Rows that scans of the plan returned.
fn scanned(plan: &Arc<dyn ExecutionPlan>) -> usize {
    match plan.children().as_slice() {
        [] => plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap(),
        children => children.iter().map(|child| scanned(child)).sum(),
    }
}

#[test]
fn a_scan_returns_only_keys_that_a_join_looks_for() {
    let fixture = Fixture::new(true, Encoding::Vortex);
    fixture.insert(0..200_000);
    fixture.flush();
    // More keys than a list would have, spread over all zones.
    let sql = "SELECT count(*), count(b.s) FROM t a JOIN t b ON b.k = a.k * 31 WHERE a.k < 5000";
    for partitions in [1, 2] {
        let context = fixture.context(partitions, &[]);
        let plan = block_on(async {
            context.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
        });
        let rows = collect(Arc::clone(&plan), context.task_ctx());
        assert_eq!(block_on(rows).unwrap()[0].num_rows(), 1);
        assert!(scanned(&plan) < 12_000, "{}", scanned(&plan));
        assert_eq!(run(&context, sql), [["5000", "4705"]]);
    }
}

#[test]
fn a_check_that_lets_most_rows_pass_is_given_up() {
    let fixture = Fixture::new(true, Encoding::Vortex);
    fixture.insert(0..700_000);
    fixture.flush();
    let context = fixture.context(2, &[]);
    let sql = "SELECT count(*) FROM t a JOIN t b ON b.k = a.k AND a.g <> 3";
    assert_eq!(run(&context, sql), [["545454"]]);
}

#[test]
fn windows_of_a_changing_filter_miss_nothing() {
    let fixture = Fixture::new(false, Encoding::Vortex);
    fixture.insert(0..700_000);
    fixture.flush();
    let context = fixture.context(2, &[]);
    let sql = "SELECT x, k FROM t WHERE x IS NOT NULL ORDER BY x DESC, k DESC LIMIT 5";
    let got = run(&context, sql);
    run(&context, "SET datafusion.optimizer.enable_topk_dynamic_filter_pushdown = false");
    assert_eq!(got, run(&context, sql));
}
