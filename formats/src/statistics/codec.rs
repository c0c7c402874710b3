//! Statistics as bytes of a segment's footer.
//!
//! ```text
//! u32 version | u64 rows | u32 columns | u32 zones
//! per column: u8 flags | u64 nulls | u64 memory
//!             [u32 length, sketch] [u64 NULLs per zone]
//! Arrow IPC stream: one batch, row 0 the segment's bounds, then a row per zone,
//! two columns (min, max) per column that has bounds
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::buffer::Buffer;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;

use super::{Bounds, ColumnStatistics, SegmentStatistics, ZoneMap};
use crate::sketch::DistinctSketch;
use crate::{Error, Result};

const VERSION: u32 = 1;
const EXACT: u8 = 1;
const BOUNDS: u8 = 2;
const SKETCH: u8 = 4;
const ZONES: u8 = 8;

impl SegmentStatistics {
    /// The statistics of a segment with columns of `schema` as bytes.
    pub fn to_bytes(&self, schema: &SchemaRef) -> Result<Vec<u8>> {
        let zones = self.zone_count();
        let mut out = Vec::new();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.extend_from_slice(&(self.columns.len() as u32).to_le_bytes());
        out.extend_from_slice(&(zones as u32).to_le_bytes());
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        for (column, field) in self.columns.iter().zip(schema.fields()) {
            let has_bounds = Bounds::supports(field.data_type());
            let zone_map =
                column.zones.as_ref().filter(|map| has_bounds && map.nulls.len() == zones);
            let flags = [
                (column.exact, EXACT),
                (has_bounds, BOUNDS),
                (column.distinct.is_some(), SKETCH),
                (zone_map.is_some(), ZONES),
            ];
            let flags = flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag);
            out.push(flags);
            out.extend_from_slice(&column.nulls.to_le_bytes());
            out.extend_from_slice(&column.memory_bytes.to_le_bytes());
            if let Some(sketch) = &column.distinct {
                let bytes = sketch.to_bytes();
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(&bytes);
            }
            if let Some(map) = zone_map {
                map.nulls.iter().for_each(|nulls| out.extend_from_slice(&nulls.to_le_bytes()));
            }
            if has_bounds {
                let sides = [
                    (&column.min, zone_map.map(|map| &map.min)),
                    (&column.max, zone_map.map(|map| &map.max)),
                ];
                for (bound, per_zone) in sides {
                    let array = bounds_column(field.data_type(), bound, per_zone, zones)?;
                    fields.push(Field::new("", array.data_type().clone(), true));
                    arrays.push(array);
                }
            }
        }
        if !arrays.is_empty() {
            let schema = Arc::new(Schema::new(fields));
            let batch = RecordBatch::try_new(schema.clone(), arrays)?;
            let mut writer = StreamWriter::try_new(&mut out, &schema)?;
            writer.write(&batch)?;
            writer.finish()?;
        }
        Ok(out)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. `file` is for messages.
    pub fn from_bytes(file: &str, bytes: &[u8], schema: &SchemaRef) -> Result<Self> {
        let damaged = |what: &str| Error::Corrupt {
            file: file.to_owned(),
            offset: 0,
            what: format!("the statistics in the footer are damaged: {what}"),
        };
        let mut input = Input { rest: bytes };
        let parsed = parse(&mut input, schema).ok_or_else(|| damaged("they end too early"))?;
        let (mut statistics, flags) = parsed.map_err(|what| damaged(&what))?;
        let zones = statistics.zone_count();
        if flags.iter().any(|flags| flags & BOUNDS != 0) {
            // The bytes passed their checksum, but Arrow's reader panics on some
            // streams, so what a faulty writer produced must not end the process.
            let decoded = catch_unwind(AssertUnwindSafe(|| decode_batch(input.rest)))
                .map_err(|_| damaged("the bounds do not decode"))?;
            let batch = decoded.map_err(|e| damaged(&e.to_string()))?;
            let mut arrays = batch.columns().iter();
            for ((column, flags), field) in
                statistics.columns.iter_mut().zip(&flags).zip(schema.fields())
            {
                if flags & BOUNDS == 0 {
                    continue;
                }
                let (Some(min), Some(max)) = (arrays.next(), arrays.next()) else {
                    return Err(damaged("bounds are missing"));
                };
                if min.len() != zones + 1 {
                    return Err(damaged("the number of zones does not match"));
                }
                let exact_type = |array: &ArrayRef| match array.data_type() == field.data_type() {
                    true => Ok(array.clone()),
                    false => cast(array, field.data_type()),
                };
                let (min, max) = (exact_type(min)?, exact_type(max)?);
                let first = |array: &ArrayRef| (!array.is_null(0)).then(|| array.slice(0, 1));
                column.min = first(&min);
                column.max = first(&max);
                if let Some(map) = column.zones.as_mut().and_then(Arc::get_mut) {
                    map.min = min.slice(1, zones);
                    map.max = max.slice(1, zones);
                }
            }
        }
        Ok(statistics)
    }
}

/// The segment's bound followed by those of its zones. Dictionaries are stored as
/// their values.
fn bounds_column(
    data_type: &DataType,
    bound: &Option<ArrayRef>,
    per_zone: Option<&ArrayRef>,
    zones: usize,
) -> Result<ArrayRef> {
    let bound = bound.clone().unwrap_or_else(|| new_null_array(data_type, 1));
    let per_zone = per_zone.cloned().unwrap_or_else(|| new_null_array(data_type, zones));
    let column = concat(&[bound.as_ref(), per_zone.as_ref()])?;
    Ok(match data_type {
        DataType::Dictionary(_, value) => cast(&column, value)?,
        _ => column,
    })
}

fn decode_batch(bytes: &[u8]) -> Result<RecordBatch> {
    // This decoder waits for bytes that a header promises and never allocates them.
    let mut decoder = StreamDecoder::new();
    let mut buffer = Buffer::from(bytes);
    decoder
        .decode(&mut buffer)?
        .ok_or_else(|| Error::Invalid("the bounds end too early".to_owned()))
}

type Parsed = (SegmentStatistics, Vec<u8>);

/// Everything before the bounds. `None` when the bytes end, an inner error when
/// they make no sense.
fn parse(input: &mut Input<'_>, schema: &SchemaRef) -> Option<Result<Parsed, String>> {
    let version = input.u32()?;
    if version != VERSION {
        return Some(Err(format!("their version is {version}")));
    }
    let rows = input.u64()?;
    let count = input.u32()? as usize;
    let zones = input.u32()? as usize;
    let mut statistics = SegmentStatistics { rows, columns: Vec::new() };
    if count != schema.fields().len() || zones != statistics.zone_count() {
        return Some(Err("columns or zones do not match".to_owned()));
    }
    let mut all_flags = Vec::with_capacity(count);
    for field in schema.fields() {
        let flags = input.bytes(1)?[0];
        let mut column = ColumnStatistics {
            nulls: input.u64()?,
            memory_bytes: input.u64()?,
            exact: flags & EXACT != 0,
            ..ColumnStatistics::default()
        };
        if flags & SKETCH != 0 {
            let len = input.u32()? as usize;
            match DistinctSketch::from_bytes(input.bytes(len)?) {
                Ok(sketch) => column.distinct = Some(Arc::new(sketch)),
                Err(e) => return Some(Err(e.to_string())),
            }
        }
        if flags & ZONES != 0 {
            let nulls = input.bytes(zones.checked_mul(8)?)?;
            let mut nulls = Input { rest: nulls };
            column.zones = Some(Arc::new(ZoneMap {
                min: new_null_array(field.data_type(), 0),
                max: new_null_array(field.data_type(), 0),
                nulls: std::iter::from_fn(|| nulls.u64()).collect(),
            }));
        }
        if flags & ZONES != 0 && flags & BOUNDS == 0 {
            return Some(Err("zones without bounds".to_owned()));
        }
        statistics.columns.push(column);
        all_flags.push(flags);
    }
    Some(Ok((statistics, all_flags)))
}

/// Bytes that are taken from the front; `None` past the end.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes(8)?.try_into().ok().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Float64Array, Int64Array, ListArray, StringViewArray};
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::super::StatisticsBuilder;
    use super::*;

    fn batch() -> RecordBatch {
        let dictionary: DictionaryArray<Int32Type> =
            vec![Some("b"), None, Some("a"), Some("b")].into_iter().collect();
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1)]),
            None,
            Some(vec![]),
            Some(vec![None]),
        ]);
        let long = "x".repeat(200);
        RecordBatch::try_from_iter_with_nullable([
            ("i", Arc::new(Int64Array::from(vec![5, -1, 7, 7])) as ArrayRef, true),
            ("f", Arc::new(Float64Array::from(vec![None, None, None, None])) as _, true),
            ("d", Arc::new(dictionary) as _, true),
            ("l", Arc::new(lists) as _, true),
            ("t", Arc::new(StringViewArray::from(vec!["a", "b", &long, "c"])) as _, true),
        ])
        .unwrap()
    }

    fn encoded() -> (SchemaRef, SegmentStatistics, Vec<u8>) {
        let batch = batch();
        let mut builder = StatisticsBuilder::new(&batch.schema());
        builder.push(&batch).unwrap();
        let statistics = builder.finish().unwrap();
        let bytes = statistics.to_bytes(&batch.schema()).unwrap();
        (batch.schema(), statistics, bytes)
    }

    #[test]
    fn round_trip() {
        let (schema, statistics, bytes) = encoded();
        let read = SegmentStatistics::from_bytes("f", &bytes, &schema).unwrap();
        assert_eq!(format!("{statistics:?}"), format!("{read:?}"));
        assert_eq!(read.columns[3].nulls, 1);
        assert!(read.columns[3].min.is_none());
        assert!(!read.columns[4].exact);
        assert_eq!(read.columns[2].min.as_ref().unwrap().data_type(), schema.field(2).data_type());
    }

    #[test]
    fn no_rows() {
        let schema = batch().schema();
        let statistics = StatisticsBuilder::new(&schema).finish().unwrap();
        let bytes = statistics.to_bytes(&schema).unwrap();
        let read = SegmentStatistics::from_bytes("f", &bytes, &schema).unwrap();
        assert_eq!((read.rows, read.columns.len()), (0, 5));
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let (schema, _, bytes) = encoded();
        for cut in 0..bytes.len() {
            let _ = SegmentStatistics::from_bytes("f", &bytes[..cut], &schema);
        }
        let mut flipped = bytes.clone();
        for at in 0..bytes.len() {
            flipped[at] ^= 0xff;
            let _ = SegmentStatistics::from_bytes("f", &flipped, &schema);
            flipped[at] ^= 0xff;
        }
    }
}
