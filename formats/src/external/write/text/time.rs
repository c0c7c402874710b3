//! Dates, times, timestamps and intervals as text: ISO 8601 with a blank between date
//! and time, as SQL has it.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, IntervalMonthDayNanoType, IntervalUnit,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};

use super::Cell;

const DAY_SECONDS: i64 = 86_400;

/// The cell of what has to do with time; `None` for other types.
pub(super) fn cell(array: &ArrayRef) -> Option<Cell<'_>> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    Some(match array.data_type() {
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>();
            Cell::Word(Box::new(|row, out| date(values.value(row).into(), out)))
        }
        DataType::Date64 => timestamps::<Date64Type>(array, 1_000, b""),
        DataType::Timestamp(unit, zone) => {
            // Values with a zone are instants: they are written at UTC.
            let zone: &[u8] = if zone.is_some() { b"+00" } else { b"" };
            match unit {
                Second => timestamps::<TimestampSecondType>(array, 1, zone),
                Millisecond => timestamps::<TimestampMillisecondType>(array, 1_000, zone),
                Microsecond => timestamps::<TimestampMicrosecondType>(array, 1_000_000, zone),
                Nanosecond => timestamps::<TimestampNanosecondType>(array, 1_000_000_000, zone),
            }
        }
        DataType::Time32(Second) => times::<Time32SecondType>(array, 1),
        DataType::Time32(Millisecond) => times::<Time32MillisecondType>(array, 1_000),
        DataType::Time64(Microsecond) => times::<Time64MicrosecondType>(array, 1_000_000),
        DataType::Time64(Nanosecond) => times::<Time64NanosecondType>(array, 1_000_000_000),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>();
            Cell::Word(Box::new(|row, out| {
                let value = values.value(row);
                interval(value.months, value.days, value.nanoseconds, out);
            }))
        }
        _ => return None,
    })
}

fn times<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef, second: i64) -> Cell<'_> {
    let values: &PrimitiveArray<T> = array.as_primitive();
    Cell::Word(Box::new(move |row, out| time(values.value(row).into(), second, out)))
}

fn timestamps<'a, T: ArrowPrimitiveType<Native = i64>>(
    array: &'a ArrayRef,
    second: i64,
    zone: &'static [u8],
) -> Cell<'a> {
    let values: &PrimitiveArray<T> = array.as_primitive();
    Cell::Word(Box::new(move |row, out| {
        let value = values.value(row);
        date(value.div_euclid(DAY_SECONDS * second), out);
        out.push(b' ');
        time(value.rem_euclid(DAY_SECONDS * second), second, out);
        out.extend_from_slice(zone);
    }))
}

/// `2024-02-29`; years beyond four digits have as many as they need, and a sign when
/// they are before the year 0. Days are counted from March, so that the leap day is the
/// last of its year (Hinnant, "chrono-compatible low-level date algorithms").
fn date(days: i64, out: &mut Vec<u8>) {
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097) as u64;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era as i64 + era * 400 + i64::from(month <= 2);
    let ([e, f], [g, h]) = (two(month), two(day));
    let year_abs = year.unsigned_abs();
    if year < 0 {
        out.push(b'-');
    }
    if year_abs < 10_000 {
        let ([a, b], [c, d]) = (two(year_abs / 100), two(year_abs % 100));
        out.extend_from_slice(&[a, b, c, d]);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(year_abs).as_bytes());
    }
    out.extend_from_slice(&[b'-', e, f, b'-', g, h]);
}

/// `23:59:59`, and as much of the fraction as is not zero.
fn time(value: i64, second: i64, out: &mut Vec<u8>) {
    let (seconds, fraction) = ((value / second) as u64, value % second);
    clock(seconds, out);
    if fraction != 0 {
        put_fraction(fraction, second, out);
    }
}

fn clock(seconds: u64, out: &mut Vec<u8>) {
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3_600);
    if hours < 100 {
        out.extend_from_slice(&two(hours));
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(hours).as_bytes());
    }
    let ([a, b], [c, d]) = (two(minutes), two(seconds % 60));
    out.extend_from_slice(&[b':', a, b, b':', c, d]);
}

fn put_fraction(fraction: i64, second: i64, out: &mut Vec<u8>) {
    let point = out.len();
    out.extend_from_slice(itoa::Buffer::new().format(fraction + second).as_bytes());
    out[point] = b'.';
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

fn two(number: u64) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

/// `14 months -3 days 04:05:06.5`: what PostgreSQL, DuckDB and our reader read.
fn interval(months: i32, days: i32, nanoseconds: i64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut number = itoa::Buffer::new();
    for (count, unit) in [(months, " months"), (days, " days")] {
        if count != 0 {
            if out.len() > start {
                out.push(b' ');
            }
            out.extend_from_slice(number.format(count).as_bytes());
            out.extend_from_slice(unit.as_bytes());
        }
    }
    if nanoseconds != 0 || out.len() == start {
        if out.len() > start {
            out.push(b' ');
        }
        if nanoseconds < 0 {
            out.push(b'-');
        }
        let nanoseconds = nanoseconds.unsigned_abs();
        clock(nanoseconds / 1_000_000_000, out);
        let fraction = (nanoseconds % 1_000_000_000) as i64;
        if fraction != 0 {
            put_fraction(fraction, 1_000_000_000, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, IntervalMonthDayNanoArray, Time64MicrosecondArray, TimestampMicrosecondArray,
        TimestampNanosecondArray,
    };
    use arrow::compute::cast;
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    fn texts(array: ArrayRef) -> Vec<String> {
        let Some(Cell::Word(put)) = cell(&array) else { panic!("not a time") };
        (0..array.len())
            .map(|row| {
                let mut out = Vec::new();
                put(row, &mut out);
                String::from_utf8(out).unwrap()
            })
            .collect()
    }

    #[test]
    fn dates_are_arrows() {
        // The years that have four digits.
        let days = (-719_528..=2_932_896).step_by(17).chain([2_932_896, -1, 0, 11_016]);
        let array: ArrayRef = Arc::new(Date32Array::from_iter_values(days));
        let expected = cast(&array, &DataType::Utf8).unwrap();
        let expected = expected.as_string::<i32>();
        for (ours, arrows) in texts(array).iter().zip(expected) {
            assert_eq!(ours, arrows.unwrap());
        }
        let others = Date32Array::from(vec![2_932_897, -719_529, i32::MAX, i32::MIN]);
        assert_eq!(
            texts(Arc::new(others)),
            ["10000-01-01", "-0001-12-31", "5881580-07-11", "-5877641-06-23"]
        );
    }

    #[test]
    fn times_keep_the_fraction_that_they_have() {
        let micros = vec![0, 1, -1, 1_500_000, 951_782_400_000_000, i64::MAX];
        let array = TimestampMicrosecondArray::from(micros.clone());
        assert_eq!(
            texts(Arc::new(array)),
            [
                "1970-01-01 00:00:00",
                "1970-01-01 00:00:00.000001",
                "1969-12-31 23:59:59.999999",
                "1970-01-01 00:00:01.5",
                "2000-02-29 00:00:00",
                "294247-01-10 04:00:54.775807",
            ]
        );
        let zoned = TimestampMicrosecondArray::from(micros[..1].to_vec()).with_timezone("UTC");
        assert_eq!(texts(Arc::new(zoned)), ["1970-01-01 00:00:00+00"]);
        let nanos = TimestampNanosecondArray::from(vec![-1, 10]);
        assert_eq!(
            texts(Arc::new(nanos)),
            ["1969-12-31 23:59:59.999999999", "1970-01-01 00:00:00.00000001"]
        );
        let times = Time64MicrosecondArray::from(vec![0, 86_399_999_999]);
        assert_eq!(texts(Arc::new(times)), ["00:00:00", "23:59:59.999999"]);
    }

    #[test]
    fn intervals_say_months_days_and_time() {
        let array = IntervalMonthDayNanoArray::from(vec![
            IntervalMonthDayNano::new(14, -3, 14_706_500_000_000),
            IntervalMonthDayNano::new(0, 0, 0),
            IntervalMonthDayNano::new(0, 1, 0),
            IntervalMonthDayNano::new(-1, 0, -360_000_000_000_001),
        ]);
        assert_eq!(
            texts(Arc::new(array)),
            [
                "14 months -3 days 04:05:06.5",
                "00:00:00",
                "1 days",
                "-1 months -100:00:00.000000001",
            ]
        );
    }
}
