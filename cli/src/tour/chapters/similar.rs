//! Chapter 4: days as vectors of their hourly temperatures.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, FixedSizeListBuilder, Float32Builder, Int32Array,
    RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type};

use crate::message::Failure;
use crate::tour::data::Data;
use crate::tour::guide::Guide;

const HOURS: usize = 24;

const TABLE: &str = "\
CREATE TABLE weather_days (
  origin TEXT, day DATE, month INTEGER, temps VECTOR(24),
  PRIMARY KEY (origin, day)
)";

const NEAREST: &str = "\
WITH storm AS (SELECT temps FROM weather_days WHERE origin = 'JFK' AND day = DATE '2013-02-08')
SELECT d.origin, d.day, round(d.temps <-> storm.temps, 2) AS distance, d.temps
FROM weather_days d CROSS JOIN storm
WHERE d.month IN (1, 3, 12)
ORDER BY d.temps <-> storm.temps
LIMIT 5";

/// A day at an airport.
type Key = (String, i32);
/// Its temperatures, where they were read.
type Readings = [Option<f32>; HOURS];

/// Runs the chapter.
pub fn run(guide: &Guide, data: &Data) -> Result<(), Failure> {
    guide.chapter(
        "4 · vectors",
        "Each day at an airport as 24 hourly temperatures. Hours without a reading have the last one\n\
         before them, or the first one of the day. Which winter days were like 8 February?",
    );
    guide.execute(TABLE)?;
    let days = days(&data.weather)?;
    guide.load("weather_days", &days)?;
    guide.query(NEAREST, Some(days.num_rows() as u64))?;
    Ok(())
}

/// Hourly readings as one row per day and airport; days without any are left out.
fn days(weather: &RecordBatch) -> Result<RecordBatch, Failure> {
    let column = |name: &str| -> Result<ArrayRef, Failure> {
        weather
            .column_by_name(name)
            .cloned()
            .ok_or_else(|| Failure::Other(format!("the weather has no column {name}")))
    };
    let origin = cast(&column("origin")?, &DataType::Utf8)?;
    let origin = origin.as_string::<i32>();
    let number =
        |name: &str| -> Result<ArrayRef, Failure> { Ok(cast(&column(name)?, &DataType::Int64)?) };
    let (year, month, day, hour) =
        (number("year")?, number("month")?, number("day")?, number("hour")?);
    let of = |array: &ArrayRef, row: usize| array.as_primitive::<Int64Type>().value(row);
    let temp = column("temp")?;
    let temp = temp.as_primitive::<Float64Type>();
    let mut days: BTreeMap<Key, Readings> = BTreeMap::new();
    for row in 0..weather.num_rows() {
        let date = date32(of(&year, row), of(&month, row), of(&day, row))?;
        let readings = days.entry((origin.value(row).to_owned(), date)).or_default();
        let hour = usize::try_from(of(&hour, row)).unwrap_or(HOURS);
        if let (true, Some(slot)) = (temp.is_valid(row), readings.get_mut(hour)) {
            *slot = Some(temp.value(row) as f32);
        }
    }
    batch(days)
}

fn batch(days: BTreeMap<Key, Readings>) -> Result<RecordBatch, Failure> {
    let mut keys = Vec::new();
    let mut temps = FixedSizeListBuilder::new(Float32Builder::new(), HOURS as i32);
    for (key, readings) in days {
        let Some(filled) = fill(&readings) else { continue };
        temps.values().append_slice(&filled);
        temps.append(true);
        keys.push(key);
    }
    let date = Date32Array::from_iter_values(keys.iter().map(|(_, day)| *day));
    let months: Int32Array =
        arrow::compute::date_part(&date, arrow::compute::DatePart::Month)?.as_primitive().clone();
    let columns: [(&str, ArrayRef); 4] = [
        ("origin", Arc::new(StringArray::from_iter_values(keys.iter().map(|(origin, _)| origin)))),
        ("day", Arc::new(date)),
        ("month", Arc::new(months)),
        ("temps", Arc::new(temps.finish())),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// The last reading carried forward; before the first, the first.
fn fill(readings: &Readings) -> Option<[f32; HOURS]> {
    let mut last = readings.iter().flatten().next().copied()?;
    Some(readings.map(|reading| {
        last = reading.unwrap_or(last);
        last
    }))
}

fn date32(year: i64, month: i64, day: i64) -> Result<i32, Failure> {
    let text = StringArray::from(vec![format!("{year:04}-{month:02}-{day:02}")]);
    let date = cast(&text, &DataType::Date32)?;
    Ok(date.as_primitive::<Date32Type>().value(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_hours_have_the_last_reading() {
        let mut readings: Readings = [None; HOURS];
        readings[2] = Some(10.0);
        readings[5] = Some(20.0);
        let filled = fill(&readings).unwrap();
        assert_eq!(filled[..7], [10.0, 10.0, 10.0, 10.0, 10.0, 20.0, 20.0]);
        assert_eq!(filled[23], 20.0);
        assert_eq!(fill(&[None; HOURS]), None);
    }

    #[test]
    fn every_day_with_readings_is_a_row() {
        let days = days(&Data::read().unwrap().weather).unwrap();
        assert_eq!(days.num_rows(), 3 * 364);
    }
}
