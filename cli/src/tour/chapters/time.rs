//! Chapter 3: time buckets, and what was known at a moment.

use crate::message::Failure;
use crate::tour::guide::Guide;

const DAYS: &str = "\
SELECT time_bucket('1 day', time_hour) AS utc_day, round(avg(temp), 1) AS temp,
       round(max(wind_gust), 1) AS gust, round(sum(precip), 2) AS rain, min(visib) AS visibility
FROM weather
WHERE origin = 'JFK' AND time_hour >= '2013-02-05T00:00:00Z' AND time_hour < '2013-02-12T00:00:00Z'
GROUP BY utc_day
ORDER BY utc_day";

/// Each reading holds from its hour until the next one of its airport.
const LAST_READING: &str = "\
WITH readings AS (
  SELECT origin, time_hour AS since, visib,
         lead(time_hour) OVER (PARTITION BY origin ORDER BY time_hour) AS until
  FROM weather
  WHERE time_hour >= '2013-02-01T00:00:00Z' AND time_hour < '2013-03-01T00:00:00Z'
)
SELECT CASE WHEN r.visib < 1 THEN '1: under 1 mile' WHEN r.visib < 5 THEN '2: 1 to 5 miles'
            ELSE '3: 5 miles and more' END AS visibility,
       count(*) AS flights, round(avg(f.dep_delay), 1) AS mean_delay,
       count(*) FILTER (WHERE f.dep_time IS NULL) AS cancelled
FROM flights f
JOIN readings r ON r.origin = f.origin AND r.since <= f.time_hour AND f.time_hour < r.until
WHERE f.time_hour >= '2013-02-01T00:00:00Z' AND f.time_hour < '2013-03-01T00:00:00Z'
GROUP BY visibility
ORDER BY visibility";

/// Runs the chapter.
pub fn run(guide: &Guide) -> Result<(), Failure> {
    guide.chapter(
        "3 · time",
        "Hourly weather by day, around the blizzard of 8 February 2013 (days are UTC).",
    );
    let hours = guide.number("SELECT count(*) FROM weather")?.unsigned_abs();
    guide.query(DAYS, Some(hours))?;
    println!("\nEach flight of February with the last reading of its airport before departure.");
    let flights = guide.number("SELECT count(*) FROM flights WHERE month = 2")?.unsigned_abs();
    guide.query(LAST_READING, Some(flights))?;
    Ok(())
}
