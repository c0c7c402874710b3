//! `time_bucket(interval, time [, origin | offset | timezone])`.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Date32Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalUnit,
};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::bucket::{Buckets, Width, fixed_nanos, nanos_per_tick};

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The start of the bucket that a time falls in, with the time's own type.
///
/// Buckets of days and time count from Monday 2000-01-03, buckets of months from
/// 2000-01-01, both in UTC. The third argument changes that: a time is another
/// origin, an interval moves the origin, a text is the time zone whose wall clock
/// buckets are cut from.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct TimeBucket {
    signature: Signature,
}

impl Default for TimeBucket {
    fn default() -> Self {
        Self::new()
    }
}

impl TimeBucket {
    /// The function.
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The rule that constant arguments ask for; `None` when one of them is NULL.
fn buckets(
    time: &DataType,
    interval: &ScalarValue,
    third: Option<&ScalarValue>,
) -> Result<Option<Buckets>> {
    let Some(nanos_per_tick) = nanos_per_tick(time) else {
        return plan_err!("time_bucket: {time} is not a date or timestamp");
    };
    let Some(interval) = interval_of(interval)? else { return Ok(None) };
    let width = Width::from_interval(interval)?;
    let (mut origin, mut offset, mut zone) = (None, 0, None);
    match third {
        None => {}
        Some(value) if value.is_null() => return Ok(None),
        Some(value) if let Some(name) = value.try_as_str().flatten() => {
            zone = Some(parse_zone(name)?)
        }
        Some(value) if matches!(value.data_type(), DataType::Interval(_)) => {
            let Some(interval) = interval_of(value)? else { return Ok(None) };
            if interval.months != 0 {
                return plan_err!(
                    "time_bucket: an offset cannot have months; give an origin instead"
                );
            }
            offset = fixed_nanos(interval)?;
        }
        Some(value) => origin = ticks_of(&value.cast_to(time)?),
    }
    Buckets::new(width, nanos_per_tick, origin, offset, zone).map(Some)
}

fn interval_of(value: &ScalarValue) -> Result<Option<IntervalMonthDayNano>> {
    match value.cast_to(&INTERVAL)? {
        ScalarValue::IntervalMonthDayNano(interval) => Ok(interval),
        _ => plan_err!("time_bucket: the first argument must be an interval"),
    }
}

fn parse_zone(name: &str) -> Result<Tz> {
    match name.parse() {
        Ok(zone) => Ok(zone),
        Err(_) => plan_err!(
            "time_bucket: '{name}' is not a time zone such as 'Europe/Berlin'; write an origin as TIMESTAMP '…' and an offset as INTERVAL '…'"
        ),
    }
}

/// A time in ticks of its type.
fn ticks_of(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampSecond(ticks, _)
        | ScalarValue::TimestampMillisecond(ticks, _)
        | ScalarValue::TimestampMicrosecond(ticks, _)
        | ScalarValue::TimestampNanosecond(ticks, _) => *ticks,
        ScalarValue::Date32(days) => days.map(i64::from),
        _ => None,
    }
}

/// The time of type `time` at `ticks`.
fn time_at(time: &DataType, ticks: i64) -> Result<ScalarValue> {
    match time {
        DataType::Date32 => match i32::try_from(ticks) {
            Ok(days) => Ok(ScalarValue::Date32(Some(days))),
            Err(_) => exec_err!("time_bucket: the bucket of a date is out of range"),
        },
        _ => ScalarValue::Int64(Some(ticks)).cast_to(time),
    }
}

fn bucket_column(buckets: &Buckets, times: &ArrayRef) -> Result<ArrayRef> {
    let nulls = times.nulls().cloned();
    if *times.data_type() == DataType::Date32 {
        let days: Vec<i64> =
            times.as_primitive::<Date32Type>().values().iter().map(|d| i64::from(*d)).collect();
        let starts = buckets.starts(&days, nulls.as_ref())?.into_iter().map(i32::try_from);
        let Ok(starts) = starts.collect::<Result<Vec<i32>, _>>() else {
            return exec_err!("time_bucket: the bucket of a date is out of range");
        };
        return Ok(Arc::new(Date32Array::new(starts.into(), nulls)));
    }
    // Both casts only change the type: every timestamp is a 64-bit number.
    let ticks = cast(times, &DataType::Int64)?;
    let starts = buckets.starts(ticks.as_primitive::<Int64Type>().values(), nulls.as_ref())?;
    let starts = PrimitiveArray::<Int64Type>::new(starts.into(), nulls);
    Ok(cast(&starts, times.data_type())?)
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (interval, time, third) = match types {
            [interval, time] => (interval, time, None),
            [interval, time, third] => (interval, time, Some(third)),
            _ => {
                return plan_err!(
                    "time_bucket takes an interval, a time, and optionally an origin, an offset or a time zone"
                );
            }
        };
        if !matches!(interval, DataType::Interval(_) | DataType::Null) && !interval.is_string() {
            return plan_err!(
                "time_bucket: the first argument must be an interval, not {interval}"
            );
        }
        let time = match time {
            DataType::Null => DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None),
            other if nanos_per_tick(other).is_some() => other.clone(),
            other => {
                return plan_err!(
                    "time_bucket: the second argument must be a date or timestamp, not {other}"
                );
            }
        };
        let zoned = matches!(time, DataType::Timestamp(_, Some(_)));
        let third = match third {
            None => None,
            Some(DataType::Interval(_)) => Some(INTERVAL),
            Some(text) if text.is_string() && zoned => Some(DataType::Utf8),
            Some(text) if text.is_string() => {
                return plan_err!(
                    "time_bucket: a time zone needs a TIMESTAMP WITH TIME ZONE; write an origin as TIMESTAMP '…' and an offset as INTERVAL '…'"
                );
            }
            Some(DataType::Timestamp(..) | DataType::Date32 | DataType::Null) => Some(time.clone()),
            Some(other) => {
                return plan_err!(
                    "time_bucket: the third argument must be an origin, an offset or a time zone, not {other}"
                );
            }
        };
        Ok([INTERVAL, time].into_iter().chain(third).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.get(1) {
            Some(time) => Ok(time.clone()),
            None => plan_err!("time_bucket takes an interval and a time"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let time = self.return_type(&types)?;
        // A wrong constant is reported when the query is planned, not when it runs.
        if let Some(Some(interval)) = args.scalar_arguments.first()
            && matches!(interval.data_type(), DataType::Interval(_))
        {
            let third = args.scalar_arguments.get(2).copied().flatten();
            buckets(&time, interval, third)?;
        }
        let nullable = args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), time, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let time = args.return_field.data_type().clone();
        let constant = |value: &ColumnarValue, what: &str| match value {
            ColumnarValue::Scalar(value) => Ok(value.clone()),
            ColumnarValue::Array(_) => exec_err!("time_bucket: the {what} must be a constant"),
        };
        let [interval, times, third @ ..] = args.args.as_slice() else {
            return exec_err!("time_bucket takes an interval and a time");
        };
        let interval = constant(interval, "interval")?;
        let third =
            third.first().map(|v| constant(v, "origin, offset or time zone")).transpose()?;
        let Some(buckets) = buckets(&time, &interval, third.as_ref())? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_new_null(&time)?));
        };
        match times {
            ColumnarValue::Array(times) => {
                Ok(ColumnarValue::Array(bucket_column(&buckets, times)?))
            }
            ColumnarValue::Scalar(at) => {
                let start = bucket_column(&buckets, &at.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&start, 0)?))
            }
        }
    }

    /// `time_bucket(…) = x` is a range of times, which a scan can prune by.
    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        let (interval, time, third) = match args {
            [Expr::Literal(interval, _), time] => (interval, time, None),
            [Expr::Literal(interval, _), time, Expr::Literal(third, _)] => {
                (interval, time, Some(third))
            }
            _ => return Ok(PreimageResult::None),
        };
        let Expr::Literal(start, _) = literal else { return Ok(PreimageResult::None) };
        let data_type = info.get_data_type(time)?;
        let (Some(at), Some(buckets)) = (ticks_of(start), buckets(&data_type, interval, third)?)
        else {
            return Ok(PreimageResult::None);
        };
        if start.data_type() != data_type
            || !buckets.monotonic()
            || buckets.start_of(at) != Some(at)
        {
            return Ok(PreimageResult::None);
        }
        let Some(end) = buckets.end_of(at) else { return Ok(PreimageResult::None) };
        let Ok(end) = time_at(&data_type, end) else { return Ok(PreimageResult::None) };
        let interval = Box::new(Interval::try_new(start.clone(), end)?);
        Ok(PreimageResult::Range { expr: time.clone(), interval })
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        let [interval, times] = input else { return Interval::make_unbounded(&DataType::Null) };
        let time = times.data_type();
        if interval.lower() != interval.upper() || interval.lower().is_null() {
            return Interval::make_unbounded(&time);
        }
        let Some(buckets) = buckets(&time, interval.lower(), None)? else {
            return Interval::make_unbounded(&time);
        };
        let bound = |value: &ScalarValue| match ticks_of(value).and_then(|at| buckets.start_of(at))
        {
            Some(start) => time_at(&time, start),
            None => ScalarValue::try_new_null(&time),
        };
        Interval::try_new(bound(times.lower())?, bound(times.upper())?)
    }

    /// Buckets come in the order of times, unless a wall clock is set back.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        match inputs {
            [interval, time, third @ ..]
                if interval.sort_properties == SortProperties::Singleton
                    && third.iter().all(|third| {
                        third.sort_properties == SortProperties::Singleton
                            && !third.range.data_type().is_string()
                    }) =>
            {
                Ok(time.sort_properties)
            }
            _ => Ok(SortProperties::Unordered),
        }
    }
}
