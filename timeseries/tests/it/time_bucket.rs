//! `time_bucket` in UTC: widths, origins, types, errors, and what planning knows.

use crate::sql::{cell, context, error, run};

fn bucket(arguments: &str) -> String {
    cell(&format!("SELECT time_bucket({arguments})"))
}

#[test]
fn fixed_widths_count_from_a_monday() {
    assert_eq!(bucket("INTERVAL '1 week', TIMESTAMP '2024-02-29 13:37:00'"), "2024-02-26T00:00:00");
    assert_eq!(
        bucket("INTERVAL '15 minutes', TIMESTAMP '2024-02-29 13:37:00'"),
        "2024-02-29T13:30:00"
    );
    assert_eq!(bucket("INTERVAL '1 day', TIMESTAMP '1969-12-31 23:59:59'"), "1969-12-31T00:00:00");
    assert_eq!(bucket("'1 hour', TIMESTAMP '2024-02-29 13:37:00'"), "2024-02-29T13:00:00");
}

#[test]
fn months_count_from_the_calendar() {
    assert_eq!(
        bucket("INTERVAL '1 month', TIMESTAMP '2024-02-29 13:37:00'"),
        "2024-02-01T00:00:00"
    );
    assert_eq!(
        bucket("INTERVAL '3 months', TIMESTAMP '1999-12-31 00:00:00'"),
        "1999-10-01T00:00:00"
    );
    assert_eq!(
        bucket("INTERVAL '1 year', arrow_cast('1066-10-14 09:00:00', 'Timestamp(us)')"),
        "1066-01-01T00:00:00"
    );
}

#[test]
fn an_origin_moves_the_buckets() {
    let at = "TIMESTAMP '2024-02-29 13:37:00'";
    assert_eq!(
        bucket(&format!("INTERVAL '1 week', {at}, TIMESTAMP '2000-01-02 00:00:00'")),
        "2024-02-25T00:00:00"
    );
    assert_eq!(
        bucket(&format!("INTERVAL '1 month', {at}, TIMESTAMP '2020-01-31 06:00:00'")),
        "2024-02-29T06:00:00"
    );
    assert_eq!(
        bucket(&format!("INTERVAL '1 month', {at}, DATE '2020-01-15'")),
        "2024-02-15T00:00:00"
    );
}

#[test]
fn an_offset_moves_the_buckets() {
    let at = "TIMESTAMP '2024-02-29 13:37:00'";
    assert_eq!(
        bucket(&format!("INTERVAL '1 day', {at}, INTERVAL '6 hours'")),
        "2024-02-29T06:00:00"
    );
    assert_eq!(
        bucket(&format!("INTERVAL '1 day', {at}, INTERVAL '-6 hours'")),
        "2024-02-28T18:00:00"
    );
}

#[test]
fn the_type_of_the_time_is_kept() {
    for (time, shown) in [
        ("DATE '2024-02-29'", "Date32"),
        ("arrow_cast(TIMESTAMP '2024-02-29 01:02:03', 'Timestamp(s)')", "Timestamp(s)"),
        ("arrow_cast(TIMESTAMP '2024-02-29 01:02:03', 'Timestamp(ms)')", "Timestamp(ms)"),
        (
            "arrow_cast(TIMESTAMP '2024-02-29 01:02:03', 'Timestamp(ns, \"UTC\")')",
            "Timestamp(ns, \"UTC\")",
        ),
    ] {
        let both = run(
            &context(),
            &format!(
                "SELECT arrow_typeof(time_bucket(INTERVAL '1 month', {time})), time_bucket(INTERVAL '1 month', {time})::text"
            ),
        );
        assert_eq!(both[0][0], shown);
        assert!(both[0][1].starts_with("2024-02-01"), "{}", both[0][1]);
    }
}

#[test]
fn null_makes_null() {
    assert_eq!(bucket("INTERVAL '1 day', NULL"), "");
    assert_eq!(bucket("NULL, TIMESTAMP '2024-02-29 13:37:00'"), "");
    let rows = run(
        &context(),
        "SELECT time_bucket('1 day', t) FROM (VALUES (TIMESTAMP '2024-01-01 05:00:00'), (NULL)) v(t)",
    );
    assert_eq!(rows, [["2024-01-01T00:00:00"], [""]]);
}

#[test]
fn wrong_intervals_are_errors_that_say_why() {
    let fails = |arguments: &str| error(&format!("SELECT time_bucket({arguments})"));
    let at = "TIMESTAMP '2024-02-29 13:37:00'";
    assert!(fails(&format!("INTERVAL '0 days', {at}")).contains("greater than zero"));
    assert!(fails(&format!("INTERVAL '-1 day', {at}")).contains("greater than zero"));
    assert!(fails(&format!("INTERVAL '1 month 1 day', {at}")).contains("mixes months"));
    assert!(fails("INTERVAL '1 hour', DATE '2024-01-01'").contains("whole number"));
    assert!(fails(&format!("5, {at}")).contains("must be an interval"));
    assert!(fails("INTERVAL '1 day', 5").contains("must be a date or timestamp"));
    assert!(fails(&format!("INTERVAL '1 day', {at}, 'Europe/Berlin'")).contains("WITH TIME ZONE"));
    assert!(
        error("SELECT time_bucket(i, TIMESTAMP '2024-01-01 00:00:00') FROM (VALUES (INTERVAL '1 day'), (INTERVAL '2 days')) v(i)")
            .contains("must be a constant")
    );
}

#[test]
fn comparing_a_bucket_becomes_a_range_of_times() {
    let context = context();
    run(
        &context,
        "CREATE TABLE t AS SELECT arrow_cast(column1, 'Timestamp(us)') AS ts FROM (VALUES (TIMESTAMP '2024-01-31 23:59:59'), (TIMESTAMP '2024-02-01 00:00:00'), (TIMESTAMP '2024-02-29 12:00:00'), (TIMESTAMP '2024-03-01 00:00:00'))",
    );
    let condition = "time_bucket(INTERVAL '1 month', ts) = TIMESTAMP '2024-02-01 00:00:00'";
    let plan = run(&context, &format!("EXPLAIN SELECT * FROM t WHERE {condition}"));
    assert!(!plan[0][1].contains("time_bucket"), "{}", plan[0][1]);
    assert_eq!(run(&context, &format!("SELECT count(*) FROM t WHERE {condition}")), [["2"]]);
    let condition = "time_bucket(INTERVAL '1 month', ts) > TIMESTAMP '2024-02-01 00:00:00'";
    assert_eq!(run(&context, &format!("SELECT count(*) FROM t WHERE {condition}")), [["1"]]);
    // Not a bucket's start: nothing equals it.
    let condition = "time_bucket(INTERVAL '1 month', ts) = TIMESTAMP '2024-02-02 00:00:00'";
    assert_eq!(run(&context, &format!("SELECT count(*) FROM t WHERE {condition}")), [["0"]]);
}

#[test]
fn buckets_of_sorted_times_need_no_sort() {
    let context = context();
    run(
        &context,
        "CREATE TABLE t AS SELECT * FROM (VALUES (TIMESTAMP '2024-01-31 23:59:59')) v(ts)",
    );
    let plan = run(
        &context,
        "EXPLAIN SELECT time_bucket('1 hour', ts) b FROM (SELECT ts FROM t ORDER BY ts) ORDER BY b",
    );
    let sorts = plan[1][1].matches("SortExec").count();
    assert_eq!(sorts, 1, "{}", plan[1][1]);
}
