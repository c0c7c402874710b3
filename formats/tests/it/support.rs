//! Segments in memory, and the columns they are tested with.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::*;
use sheaf_formats::envelope::{FileIdentity, FileKind, Reader, Writer};
use sheaf_formats::io::MemoryFile;
use sheaf_formats::segment::{self, Effort, Encoding, SegmentReader};
use sheaf_formats::{Result, statistics::SegmentStatistics};

pub const IDENTITY: FileIdentity =
    FileIdentity { file_id: 0x51ea_f001, store_id: 7, writer_epoch: 3, key_id: 0, location_id: 0 };

/// Bytes that can still be read after the writer was given away.
#[derive(Clone, Debug, Default)]
pub struct SharedBytes(Arc<Mutex<Vec<u8>>>);

impl SharedBytes {
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for SharedBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A segment of `batches` as the bytes of a file.
pub fn write(
    encoding: Encoding,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<(Vec<u8>, SegmentStatistics)> {
    write_with(encoding, Effort::Thorough, schema, batches)
}

pub fn write_with(
    encoding: Encoding,
    effort: Effort,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<(Vec<u8>, SegmentStatistics)> {
    let bytes = SharedBytes::default();
    let out: Box<dyn Write + Send> = Box::new(bytes.clone());
    let out = Writer::new(out, FileKind::Segment, IDENTITY)?;
    let mut batches = batches.iter().cloned().map(Ok);
    let statistics = segment::format(encoding).write(schema, &mut batches, effort, out)?;
    Ok((bytes.bytes(), statistics))
}

pub fn open(
    encoding: Encoding,
    schema: &SchemaRef,
    bytes: Vec<u8>,
) -> Result<Arc<dyn SegmentReader>> {
    let file = Arc::new(MemoryFile::new("test.seg", bytes));
    let reader = Reader::open(file, FileKind::Segment, Some(IDENTITY.file_id))?;
    segment::format(encoding).open(schema.clone(), reader)
}

pub fn segment(
    encoding: Encoding,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Arc<dyn SegmentReader> {
    let (bytes, _) = write(encoding, schema, batches).unwrap();
    open(encoding, schema, bytes).unwrap()
}

/// NULL in every seventh row, beginning with the third.
fn null_at(row: usize) -> bool {
    row % 7 == 3
}

fn numbers<T: ArrowPrimitiveType>(
    rows: usize,
    value: impl Fn(usize) -> T::Native,
) -> PrimitiveArray<T> {
    (0..rows).map(|row| (!null_at(row)).then(|| value(row))).collect()
}

fn texts(rows: usize) -> impl Iterator<Item = Option<String>> {
    (0..rows).map(|row| {
        (!null_at(row)).then(|| match row % 5 {
            0 => String::new(),
            1 => "short".to_owned(),
            2 => format!("a longer text, number {row}, that is no inline view"),
            3 => "ä€𝄞".repeat(row % 11),
            _ => format!("{}", row % 3),
        })
    })
}

/// One column of every type that both encodings can hold.
pub fn every_type(rows: usize) -> RecordBatch {
    let text: Vec<Option<String>> = texts(rows).collect();
    let bytes: Vec<Option<&[u8]>> =
        text.iter().map(|text| text.as_ref().map(|text| text.as_bytes())).collect();
    let nulls = NullBuffer::from_iter((0..rows).map(|row| !null_at(row)));
    let offsets =
        |per_row: usize| OffsetBuffer::<i32>::from_lengths((0..rows).map(|row| row % per_row));
    let total = |per_row: usize| (0..rows).map(|row| row % per_row).sum::<usize>();
    let item = |data_type| Arc::new(Field::new("item", data_type, true));

    let structs = StructArray::new(
        Fields::from(vec![
            Field::new("a", DataType::Int32, true),
            Field::new("d", DataType::Duration(TimeUnit::Second), true),
            Field::new("t", DataType::Utf8View, true),
        ]),
        vec![
            Arc::new(numbers::<Int32Type>(rows, |row| row as i32)),
            Arc::new(numbers::<DurationSecondType>(rows, |row| row as i64)),
            Arc::new(text.iter().map(|t| t.as_deref()).collect::<StringViewArray>()),
        ],
        Some(nulls.clone()),
    );
    let list = ListArray::new(
        item(DataType::Utf8View),
        offsets(4),
        Arc::new(texts(total(4)).collect::<StringViewArray>()),
        Some(nulls.clone()),
    );
    let large_list = LargeListArray::new(
        item(DataType::Int64),
        OffsetBuffer::from_lengths((0..rows).map(|row| row % 3)),
        Arc::new(numbers::<Int64Type>(total(3), |row| row as i64)),
        None,
    );
    let nested = ListArray::new(
        item(DataType::FixedSizeBinary(2)),
        offsets(3),
        Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                (0..total(3)).map(|row| (!null_at(row)).then_some([row as u8, 1])),
                2,
            )
            .unwrap(),
        ),
        None,
    );
    let vectors = FixedSizeListArray::new(
        Arc::new(Field::new("item", DataType::Float32, false)),
        3,
        Arc::new(Float32Array::from_iter_values((0..rows * 3).map(|i| i as f32 * 0.5))),
        Some(nulls.clone()),
    );
    let entries = StructArray::from(vec![
        (
            Arc::new(Field::new("key", DataType::Utf8, false)),
            Arc::new((0..total(3)).map(|i| Some(format!("k{i}"))).collect::<StringArray>())
                as ArrayRef,
        ),
        (
            Arc::new(Field::new("value", DataType::Int64, true)),
            Arc::new(numbers::<Int64Type>(total(3), |row| row as i64)) as ArrayRef,
        ),
    ]);
    let map = MapArray::new(
        Arc::new(Field::new("entries", entries.data_type().clone(), false)),
        offsets(3),
        entries,
        Some(nulls.clone()),
        false,
    );
    let dictionary: DictionaryArray<Int32Type> = text.iter().map(|text| text.as_deref()).collect();
    let interval =
        |row: usize| IntervalMonthDayNano::new(row as i32, -(row as i32), row as i64 * 1000);
    let zone = |array: TimestampMicrosecondArray| array.with_timezone("Europe/Berlin");

    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "bool",
            Arc::new(
                (0..rows).map(|r| (!null_at(r)).then_some(r % 3 == 0)).collect::<BooleanArray>(),
            ),
        ),
        ("i8", Arc::new(numbers::<Int8Type>(rows, |r| r as i8))),
        ("i16", Arc::new(numbers::<Int16Type>(rows, |r| r as i16))),
        ("i32", Arc::new(numbers::<Int32Type>(rows, |r| r as i32 - 50))),
        ("i64", Arc::new(numbers::<Int64Type>(rows, |r| (r as i64 - 50).pow(3)))),
        ("u8", Arc::new(numbers::<UInt8Type>(rows, |r| r as u8))),
        ("u16", Arc::new(numbers::<UInt16Type>(rows, |r| r as u16))),
        ("u32", Arc::new(numbers::<UInt32Type>(rows, |r| r as u32))),
        ("u64", Arc::new(numbers::<UInt64Type>(rows, |r| u64::MAX - r as u64))),
        ("f16", Arc::new(numbers::<Float16Type>(rows, |r| (r as f32).into_f16()))),
        ("f32", Arc::new(numbers::<Float32Type>(rows, |r| [1.5, -0.0, f32::NAN, 7e20][r % 4]))),
        (
            "f64",
            Arc::new(numbers::<Float64Type>(rows, |r| {
                [1.1 * r as f64, -0.0, f64::NAN, 0.0][r % 4]
            })),
        ),
        (
            "d32",
            Arc::new(
                numbers::<Decimal32Type>(rows, |r| r as i32)
                    .with_precision_and_scale(9, 2)
                    .unwrap(),
            ),
        ),
        (
            "d64",
            Arc::new(
                numbers::<Decimal64Type>(rows, |r| -(r as i64))
                    .with_precision_and_scale(15, 2)
                    .unwrap(),
            ),
        ),
        (
            "d128",
            Arc::new(
                numbers::<Decimal128Type>(rows, |r| r as i128 * 10_i128.pow(20))
                    .with_precision_and_scale(38, 4)
                    .unwrap(),
            ),
        ),
        (
            "d256",
            Arc::new(
                numbers::<Decimal256Type>(rows, |r| i256::from_i128(r as i128))
                    .with_precision_and_scale(60, 6)
                    .unwrap(),
            ),
        ),
        ("date32", Arc::new(numbers::<Date32Type>(rows, |r| r as i32))),
        ("date64", Arc::new(numbers::<Date64Type>(rows, |r| r as i64 * 86_400_000))),
        ("time32s", Arc::new(numbers::<Time32SecondType>(rows, |r| r as i32))),
        ("time32ms", Arc::new(numbers::<Time32MillisecondType>(rows, |r| r as i32))),
        ("time64us", Arc::new(numbers::<Time64MicrosecondType>(rows, |r| r as i64))),
        ("time64ns", Arc::new(numbers::<Time64NanosecondType>(rows, |r| r as i64))),
        ("ts_s", Arc::new(numbers::<TimestampSecondType>(rows, |r| r as i64))),
        ("ts_ms", Arc::new(numbers::<TimestampMillisecondType>(rows, |r| -(r as i64)))),
        ("ts_us", Arc::new(numbers::<TimestampMicrosecondType>(rows, |r| r as i64 * 1_000_003))),
        ("ts_ns", Arc::new(numbers::<TimestampNanosecondType>(rows, |r| r as i64))),
        ("tstz", Arc::new(zone(numbers::<TimestampMicrosecondType>(rows, |r| r as i64)))),
        ("dur_ms", Arc::new(numbers::<DurationMillisecondType>(rows, |r| r as i64))),
        ("dur_ns", Arc::new(numbers::<DurationNanosecondType>(rows, |r| -(r as i64)))),
        ("iv_ym", Arc::new(numbers::<IntervalYearMonthType>(rows, |r| r as i32))),
        (
            "iv_dt",
            Arc::new(numbers::<IntervalDayTimeType>(rows, |r| {
                IntervalDayTime::new(-(r as i32), r as i32 - 9)
            })),
        ),
        ("iv_mdn", Arc::new(numbers::<IntervalMonthDayNanoType>(rows, interval))),
        ("utf8", Arc::new(text.iter().map(|t| t.as_deref()).collect::<StringArray>())),
        ("large_utf8", Arc::new(text.iter().map(|t| t.as_deref()).collect::<LargeStringArray>())),
        ("utf8_view", Arc::new(text.iter().map(|t| t.as_deref()).collect::<StringViewArray>())),
        ("binary", Arc::new(BinaryArray::from(bytes.clone()))),
        ("large_binary", Arc::new(LargeBinaryArray::from(bytes.clone()))),
        ("binary_view", Arc::new(bytes.iter().copied().collect::<BinaryViewArray>())),
        (
            "fixed_binary",
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    (0..rows).map(|r| (!null_at(r)).then_some([r as u8; 16])),
                    16,
                )
                .unwrap(),
            ),
        ),
        ("dictionary", Arc::new(dictionary)),
        ("list", Arc::new(list)),
        ("large_list", Arc::new(large_list)),
        ("nested", Arc::new(nested)),
        ("vectors", Arc::new(vectors)),
        ("struct", Arc::new(structs)),
        ("map", Arc::new(map)),
        ("null", Arc::new(NullArray::new(rows))),
        ("required", Arc::new(Int64Array::from_iter_values(0..rows as i64))),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), *name != "required"))
        .collect();
    let columns = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

trait IntoF16 {
    fn into_f16(self) -> <Float16Type as ArrowPrimitiveType>::Native;
}

impl IntoF16 for f32 {
    fn into_f16(self) -> <Float16Type as ArrowPrimitiveType>::Native {
        <Float16Type as ArrowPrimitiveType>::Native::from_f32(self)
    }
}
