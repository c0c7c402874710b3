//! Columns whose values have a fixed width.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, NullBufferBuilder, PrimitiveArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::{Column, Rows, Slot, push_values};
use crate::Result;
use crate::external::parse::{self, DateOrder, Zone};

/// Parses fields into native values.
pub(super) struct Primitive<T: ArrowPrimitiveType, P> {
    data_type: DataType,
    parse: P,
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T, P> Primitive<T, P>
where
    T: ArrowPrimitiveType,
    P: Fn(&[u8]) -> Option<T::Native> + Send + 'static,
{
    pub(super) fn boxed(field: &Field, parse: P) -> Box<dyn Column> {
        let data_type = field.data_type().clone();
        let (values, nulls) = (Vec::new(), NullBufferBuilder::new(0));
        Box::new(Self { data_type, parse, values, nulls })
    }
}

impl<T, P> Column for Primitive<T, P>
where
    T: ArrowPrimitiveType,
    P: Fn(&[u8]) -> Option<T::Native> + Send + 'static,
{
    fn append(&mut self, rows: &Rows<'_>, slot: &mut Slot<'_>) -> Result<()> {
        let Self { parse, values, nulls, .. } = self;
        values.reserve(rows.records.len());
        push_values(rows, slot, |text| match text.map(&*parse) {
            Some(Some(value)) => {
                values.push(value);
                nulls.append_non_null();
                true
            }
            other => {
                values.push(T::Native::default());
                nulls.append_null();
                other.is_none()
            }
        });
        Ok(())
    }

    fn finish(&mut self, _: &Buffer) -> Result<ArrayRef> {
        let values = std::mem::take(&mut self.values);
        self.values.reserve(values.len());
        let array = PrimitiveArray::<T>::new(values.into(), self.nulls.finish());
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }
}

/// Reads a `Decimal128` column.
pub(super) fn decimals(field: &Field) -> Box<dyn Column> {
    let (precision, scale) = match field.data_type() {
        DataType::Decimal128(precision, scale) => (*precision, *scale),
        _ => (38, 0),
    };
    Primitive::<Decimal128Type, _>::boxed(field, move |text| parse::decimal(text, precision, scale))
}

/// Reads a column of dates, times, or points in time.
pub(super) fn temporal(field: &Field, order: DateOrder) -> Box<dyn Column> {
    let at =
        |unit: TimeUnit, zone: Zone| move |text: &[u8]| parse::timestamp(text, unit, zone, order);
    let time =
        |unit_ns: i64| move |text: &[u8]| Some((parse::time_of_day(text)? + unit_ns / 2) / unit_ns);
    let short_time = |unit_ns: i64| move |text: &[u8]| i32::try_from(time(unit_ns)(text)?).ok();
    match field.data_type() {
        DataType::Timestamp(unit, zone) => {
            let zone = if zone.is_some() { Zone::With } else { Zone::Without };
            match unit {
                TimeUnit::Second => {
                    Primitive::<TimestampSecondType, _>::boxed(field, at(*unit, zone))
                }
                TimeUnit::Millisecond => {
                    Primitive::<TimestampMillisecondType, _>::boxed(field, at(*unit, zone))
                }
                TimeUnit::Microsecond => {
                    Primitive::<TimestampMicrosecondType, _>::boxed(field, at(*unit, zone))
                }
                TimeUnit::Nanosecond => {
                    Primitive::<TimestampNanosecondType, _>::boxed(field, at(*unit, zone))
                }
            }
        }
        DataType::Time32(TimeUnit::Second) => {
            Primitive::<Time32SecondType, _>::boxed(field, short_time(1_000_000_000))
        }
        DataType::Time32(_) => {
            Primitive::<Time32MillisecondType, _>::boxed(field, short_time(1_000_000))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            Primitive::<Time64MicrosecondType, _>::boxed(field, time(1_000))
        }
        DataType::Time64(_) => Primitive::<Time64NanosecondType, _>::boxed(field, time(1)),
        _ => Primitive::<Date32Type, _>::boxed(field, move |text| parse::date(text, order)),
    }
}
