//! Chapter 5: all models in one statement, at one snapshot.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use crate::message::Failure;
use crate::tour::guide::Guide;

const FRESH_ROWS: i64 = 3;

/// Relief flights after the blizzard, which history does not know.
const WRITE: &str = "\
INSERT INTO flights (time_hour, carrier, flight, origin, dest, year, month, day,
                     sched_dep_time, dep_time, dep_delay, hour, minute) VALUES
  ('2013-02-08T22:00:00Z', 'B6', 9001, 'JFK', 'BOS', 2013, 2, 8, 1700, 1930, 150, 17, 0),
  ('2013-02-08T22:00:00Z', 'B6', 9002, 'JFK', 'BUF', 2013, 2, 8, 1715, 1950, 155, 17, 15),
  ('2013-02-08T23:00:00Z', 'B6', 9003, 'JFK', 'PWM', 2013, 2, 8, 1800, 2100, 180, 18, 0)";

/// Winter days in New York are UTC minus five hours.
const READ: &str = "\
WITH storm AS (
  SELECT temps FROM weather_days WHERE origin = 'JFK' AND day = DATE '2013-02-08'
), nearest AS (
  SELECT d.origin, d.day, d.temps <-> storm.temps AS l2
  FROM weather_days d CROSS JOIN storm
  WHERE d.month IN (12, 1, 2) AND d.origin = 'JFK'
  ORDER BY l2 LIMIT 5
), sky AS (
  SELECT origin, CAST(time_bucket('1 day', time_hour - INTERVAL '5 hours') AS DATE) AS day,
         round(max(wind_gust), 1) AS gust, round(sum(precip), 2) AS rain
  FROM weather GROUP BY 1, 2
)
SELECT n.day, round(n.l2, 1) AS distance, s.gust, s.rain, count(*) AS flights,
       count(*) FILTER (WHERE f.dep_time IS NULL) AS cancelled,
       round(avg(f.dep_delay), 1) AS mean_delay,
       count(*) FILTER (WHERE f.flight BETWEEN 9001 AND 9003) AS just_written
FROM nearest n
JOIN sky s ON s.origin = n.origin AND s.day = n.day
JOIN flights f ON f.origin = n.origin AND make_date(f.year, f.month, f.day) = n.day
GROUP BY n.day, n.l2, s.gust, s.rain
ORDER BY n.l2";

/// Runs the chapter.
pub fn run(guide: &Guide) -> Result<(), Failure> {
    guide.chapter(
        "5 · all at once",
        "Three flights are written. One statement then finds the days most like 8 February by their\n\
         vectors, buckets their weather, and aggregates their flights, the new rows included.",
    );
    let elapsed = guide.execute(WRITE)?;
    guide.measured("3 rows, durable", &format!("{:.1} ms", elapsed.as_secs_f64() * 1e3));
    let rows = guide.number("SELECT count(*) FROM flights")?.unsigned_abs();
    let batches = guide.query(READ, Some(rows))?;
    let found: i64 = batches
        .iter()
        .filter_map(|b| b.column_by_name("just_written")?.as_primitive_opt::<Int64Type>().cloned())
        .map(|column| column.iter().flatten().sum::<i64>())
        .sum();
    if found != FRESH_ROWS {
        return Err(Failure::Other(format!(
            "{FRESH_ROWS} rows were just written, the statement saw {found}"
        )));
    }
    let memtables = guide.store().memtables()?;
    let hot: u64 = memtables.iter().map(|m| m.rows).sum();
    guide.measured(
        "just_written = 3, from memory: never flushed",
        &format!("{hot} row versions in memtables"),
    );
    Ok(())
}
