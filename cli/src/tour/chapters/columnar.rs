//! Chapter 2: the same rows as columns, joined and aggregated.

use crate::message::Failure;
use crate::tour::guide::Guide;

const BY_CARRIER: &str = "\
SELECT a.name AS airline, f.month, count(*) AS flights,
       round(avg(f.dep_delay), 1) AS mean_delay, count(*) FILTER (WHERE f.dep_time IS NULL) AS cancelled
FROM flights f JOIN airlines a ON a.carrier = f.carrier
GROUP BY a.name, f.month
HAVING count(*) > 500
ORDER BY mean_delay DESC
LIMIT 8";

const BY_MANUFACTURER: &str = "\
SELECT p.manufacturer, count(DISTINCT f.tailnum) AS planes, count(*) AS flights,
       round(avg(f.year - p.year), 1) AS mean_age, round(avg(f.arr_delay), 1) AS mean_delay
FROM flights f JOIN planes p ON p.tailnum = f.tailnum
GROUP BY p.manufacturer
HAVING count(*) > 1000
ORDER BY mean_age DESC";

/// Runs the chapter.
pub fn run(guide: &Guide) -> Result<(), Failure> {
    guide.chapter(
        "2 · columns",
        "The flights written above, in memory and on disk alike, are columns to a query.",
    );
    let flights = guide.number("SELECT count(*) FROM flights")?.unsigned_abs();
    guide.query(BY_CARRIER, Some(flights))?;
    guide.query(BY_MANUFACTURER, Some(flights))?;
    Ok(())
}
