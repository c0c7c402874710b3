//! Plans as text.

use crate::support::{rows, run, session};

async fn plan(sql: &str) -> String {
    let session = session();
    run(
        &session,
        "CREATE TABLE stations (id INT PRIMARY KEY, name TEXT NOT NULL); \
         CREATE TABLE readings (station INT, at TIMESTAMPTZ, value DOUBLE); \
         INSERT INTO stations VALUES (1, 'north'), (2, 'south'); \
         INSERT INTO readings VALUES (1, '2024-01-01 00:00:00Z', 20.5), (2, '2024-01-02 00:00:00Z', 21); \
         SET datafusion.execution.target_partitions = 2",
    )
    .await;
    rows(&session, sql).await.unwrap().join("\n")
}

#[tokio::test]
async fn a_filter_is_pushed_into_the_scan() {
    insta::assert_snapshot!(
        plan("EXPLAIN SELECT value FROM readings WHERE station = 1 AND value > 20").await
    );
}

#[tokio::test]
async fn an_update_is_a_query_for_old_rows_and_new_values() {
    insta::assert_snapshot!(
        plan("EXPLAIN UPDATE stations SET name = upper(name) WHERE id = 2").await
    );
}

#[tokio::test]
async fn a_delete_from_an_append_table_asks_for_row_ids() {
    insta::assert_snapshot!(plan("EXPLAIN DELETE FROM readings USING stations s WHERE s.id = station AND s.name = 'south'").await);
}

#[tokio::test]
async fn a_delete_of_a_range_of_keys_reads_nothing_but_keys() {
    let plan = plan("EXPLAIN DELETE FROM stations WHERE id >= 2 AND id < 10").await;
    assert!(plan.contains("table=public.stations"), "{plan}");
    assert!(plan.contains("projection=[id], "), "{plan}");
}
