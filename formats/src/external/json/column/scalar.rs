//! Booleans, dates, times of day and points in time.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, PrimitiveBuilder};
use arrow::datatypes::*;

use super::super::super::parse::{self, DateOrder, Zone};
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Parsed};
use super::{Column, not_this, plain_string};
use crate::Result;

#[derive(Default)]
pub(super) struct Booleans(BooleanBuilder);

impl Column for Booleans {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let value = match cursor.peek() {
            Some(b't') => cursor.literal("true").map(|()| true),
            Some(b'f') => cursor.literal("false").map(|()| false),
            Some(b'"') => {
                let start = cursor.at;
                plain_string(cursor, &DataType::Boolean).and_then(|text| {
                    parse::boolean(text.as_bytes())
                        .ok_or_else(|| Fault::misfit(start, &DataType::Boolean))
                })
            }
            _ => not_this(cursor, &DataType::Boolean),
        };
        self.0.append_option(value.as_ref().ok().copied());
        value.map(|_| ())
    }

    fn append_null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.0.finish()))
    }
}

/// Values that stand in strings, in the forms of ISO 8601.
struct Temporal<T: ArrowPrimitiveType, P> {
    data_type: DataType,
    parse: P,
    builder: PrimitiveBuilder<T>,
}

impl<T, P> Column for Temporal<T, P>
where
    T: ArrowPrimitiveType,
    P: Fn(&[u8]) -> Option<T::Native> + Send,
{
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let start = cursor.at;
        let value = plain_string(cursor, &self.data_type).and_then(|text| {
            (self.parse)(text.as_bytes()).ok_or_else(|| Fault::misfit(start, &self.data_type))
        });
        self.builder.append_option(value.as_ref().ok().copied());
        value.map(|_| ())
    }

    fn append_null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.builder.finish()))
    }
}

fn column<T: ArrowPrimitiveType>(
    data_type: &DataType,
    parse: impl Fn(&[u8]) -> Option<T::Native> + Send + 'static,
) -> Option<Box<dyn Column>> {
    let builder = PrimitiveBuilder::<T>::new().with_data_type(data_type.clone());
    Some(Box::new(Temporal { data_type: data_type.clone(), parse, builder }))
}

pub(super) fn temporal(data_type: &DataType) -> Option<Box<dyn Column>> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    match data_type {
        DataType::Date32 => {
            column::<Date32Type>(data_type, |text| parse::date(text, DateOrder::Ymd))
        }
        DataType::Time64(Microsecond) => column::<Time64MicrosecondType>(data_type, |text| {
            parse::time_of_day(text).map(|time_ns| (time_ns + 500) / 1000)
        }),
        DataType::Time64(Nanosecond) => {
            column::<Time64NanosecondType>(data_type, parse::time_of_day)
        }
        DataType::Timestamp(unit, zone) => {
            let (unit, zone) = (*unit, if zone.is_some() { Zone::With } else { Zone::Without });
            let instant = move |text: &[u8]| parse::timestamp(text, unit, zone, DateOrder::Ymd);
            match unit {
                Second => column::<TimestampSecondType>(data_type, instant),
                Millisecond => column::<TimestampMillisecondType>(data_type, instant),
                Microsecond => column::<TimestampMicrosecondType>(data_type, instant),
                Nanosecond => column::<TimestampNanosecondType>(data_type, instant),
            }
        }
        _ => None,
    }
}
