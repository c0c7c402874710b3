//! `time_bucket` by the wall clock of a time zone, across daylight saving.

use chrono::{DateTime, Days, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use crate::sql::{cell, context, error, run};

fn bucket(interval: &str, at: &str, zone: &str) -> String {
    cell(&format!(
        "SELECT arrow_cast(time_bucket(INTERVAL '{interval}', arrow_cast(arrow_cast('{at}', 'Timestamp(us, \"UTC\")'), 'Timestamp(us, \"UTC\")'), '{zone}'), 'Timestamp(us)')"
    ))
}

#[test]
fn days_begin_at_local_midnight() {
    assert_eq!(bucket("1 day", "2024-01-10T12:00:00Z", "Europe/Berlin"), "2024-01-09T23:00:00");
    assert_eq!(bucket("1 day", "2024-07-10T12:00:00Z", "Europe/Berlin"), "2024-07-09T22:00:00");
    assert_eq!(bucket("1 month", "2024-03-31T21:59:59Z", "Europe/Berlin"), "2024-02-29T23:00:00");
    assert_eq!(bucket("1 month", "2024-03-31T22:00:00Z", "Europe/Berlin"), "2024-03-31T22:00:00");
}

#[test]
fn the_hour_that_happens_twice_is_two_buckets() {
    // Berlin sets its clocks back at 2024-10-27T01:00Z.
    assert_eq!(bucket("1 hour", "2024-10-27T00:30:00Z", "Europe/Berlin"), "2024-10-27T00:00:00");
    assert_eq!(bucket("1 hour", "2024-10-27T01:30:00Z", "Europe/Berlin"), "2024-10-27T01:00:00");
}

#[test]
fn a_midnight_that_happens_twice_is_one_day() {
    // Havana sets its clocks back from 01:00 to 00:00, at 2024-11-03T05:00Z.
    assert_eq!(bucket("1 day", "2024-11-03T04:30:00Z", "America/Havana"), "2024-11-03T04:00:00");
    assert_eq!(bucket("1 day", "2024-11-03T05:30:00Z", "America/Havana"), "2024-11-03T04:00:00");
    assert_eq!(bucket("1 day", "2024-11-04T04:59:59Z", "America/Havana"), "2024-11-03T04:00:00");
}

#[test]
fn a_midnight_that_never_happens_begins_after_the_jump() {
    // Santiago jumped from 2024-09-08 00:00 to 01:00, at 04:00Z.
    assert_eq!(bucket("1 day", "2024-09-08T03:59:59Z", "America/Santiago"), "2024-09-07T04:00:00");
    assert_eq!(bucket("1 day", "2024-09-08T04:10:00Z", "America/Santiago"), "2024-09-08T04:00:00");
    assert_eq!(
        bucket("45 minutes", "2024-09-08T04:10:00Z", "America/Santiago"),
        "2024-09-08T04:00:00"
    );
}

#[test]
fn fixed_offsets_are_zones_and_others_are_errors() {
    assert_eq!(bucket("1 day", "2024-01-10T12:00:00Z", "+05:30"), "2024-01-09T18:30:00");
    let message = error(
        "SELECT time_bucket('1 day', arrow_cast('2024-01-10T12:00:00Z', 'Timestamp(us, \"UTC\")'), 'Mars/Olympus')",
    );
    assert!(message.contains("'Mars/Olympus' is not a time zone"), "{message}");
}

/// Local midnight at or before an instant: the slow way.
fn midnight(zone: Tz, at: DateTime<Utc>) -> DateTime<Utc> {
    let day = zone.from_utc_datetime(&at.naive_utc()).date_naive();
    let mut start = at;
    // Steps of a quarter of an hour: transitions happen at such times.
    start -= chrono::TimeDelta::seconds(start.timestamp().rem_euclid(900));
    loop {
        let before = start - chrono::TimeDelta::seconds(900);
        if zone.from_utc_datetime(&before.naive_utc()).date_naive() != day {
            return start;
        }
        start = before;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn days_agree_with_walking_back_to_midnight(
        zone in prop::sample::select(vec![
            Tz::Europe__Berlin, Tz::America__New_York, Tz::America__Havana, Tz::America__Santiago,
            Tz::Australia__Lord_Howe, Tz::Asia__Kathmandu, Tz::Africa__Cairo, Tz::UTC,
        ]),
        year in 1990i32..2030,
        seconds in prop::collection::vec(0i64..366 * 86_400, 1..60),
    ) {
        let first = Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap();
        let mut times: Vec<i64> = seconds.iter().map(|s| first.timestamp() + s).collect();
        // Hours around every change of the clocks in that year.
        for day in 0..366 {
            let (today, tomorrow) = (first + Days::new(day), first + Days::new(day + 1));
            let offset = |t: DateTime<Utc>| zone.offset_from_utc_datetime(&t.naive_utc()).fix();
            if offset(today) != offset(tomorrow) {
                times.extend((-24..48).map(|h| today.timestamp() + h * 3_600 + 17));
            }
        }
        times.sort();
        let values: Vec<String> = times.iter().map(|t| format!("({t})")).collect();
        let rows = run(&context(), &format!(
            "SELECT t, arrow_cast(time_bucket('1 day', arrow_cast(t, 'Timestamp(s, \"UTC\")'), '{zone}'), 'Int64') FROM (VALUES {}) v(t)",
            values.join(", "),
        ));
        for row in rows {
            let at = DateTime::from_timestamp(row[0].parse().unwrap(), 0).unwrap();
            let got = DateTime::from_timestamp(row[1].parse().unwrap(), 0).unwrap();
            prop_assert_eq!(got, midnight(zone, at), "{} at {}", zone, at);
        }
    }

    #[test]
    fn a_bucket_begins_at_or_before_its_times_and_holds_its_start(
        zone in prop::sample::select(vec!["Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "America/Santiago"]),
        width in prop::sample::select(vec!["7 minutes", "45 minutes", "1 hour", "6 hours", "1 day", "1 week", "1 month"]),
        from in 1_700_000_000i64..1_740_000_000,
    ) {
        let values: Vec<String> = (0..3_000).map(|i| format!("({})", from + i * 1_801)).collect();
        let rows = run(&context(), &format!(
            "WITH b AS (SELECT t, time_bucket('{width}', arrow_cast(t, 'Timestamp(s, \"UTC\")'), '{zone}') b FROM (VALUES {}) v(t))
             SELECT count(*) FROM b WHERE arrow_cast(b, 'Int64') > t OR time_bucket('{width}', b, '{zone}') <> b",
            values.join(", "),
        ));
        prop_assert_eq!(rows, [["0"]]);
    }
}
