//! Files that are written: what went in comes out, whatever the format.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::*;
use sheaf_formats::Result;
use sheaf_formats::external::write::{Codec, NewFile, WriteOptions, Writer, Written};
use sheaf_formats::external::{self, ReadOptions};

fn write(path: &Path, batches: &[RecordBatch], options: &WriteOptions) -> Result<Written> {
    let target = Box::new(NewFile::create(path)?);
    let mut writer = Writer::new(target, &batches[0].schema(), options)?;
    for batch in batches {
        writer.write(batch.clone())?;
    }
    writer.finish()
}

fn read(path: &Path, options: &ReadOptions) -> Result<RecordBatch> {
    let file = external::open(path, options)?;
    let schema = file.schema().clone();
    let batches = file.read(None)?.collect::<Result<Vec<_>>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

fn column(name: &str, array: impl Array + 'static) -> (String, ArrayRef) {
    (name.to_owned(), Arc::new(array))
}

/// Every third value is NULL.
fn holes<T>(count: usize, value: impl Fn(usize) -> T) -> impl Iterator<Item = Option<T>> {
    (0..count).map(move |row| (row % 3 > 0).then(|| value(row)))
}

/// Columns of the types that tables hold, which all formats can write.
fn table(rows: usize) -> RecordBatch {
    // Numbers of all sizes (Knuth's MMIX generator).
    let of = |row: usize| {
        let mixed = (row as i64).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        mixed.wrapping_mul(6_364_136_223_846_793_005) >> (row % 60)
    };
    let float = |row| f64::from_bits(of(row) as u64);
    let text = |row| ["", "plain", "a,b", "\"q\"", "l1\nl2", "é😀", "null", " x "][row % 8];
    let tags = Int32Array::from_iter(holes(2 * rows, |row| row as i32));
    let lists = ListArray::new(
        Arc::new(Field::new("item", DataType::Int32, true)),
        arrow::buffer::OffsetBuffer::from_lengths((0..rows).map(|row| row % 3)),
        Arc::new(tags.slice(0, (0..rows).map(|row| row % 3).sum())),
        None,
    );
    let vectors = FixedSizeListArray::new(
        Arc::new(Field::new("item", DataType::Float32, true)),
        2,
        Arc::new(Float32Array::from_iter_values((0..2 * rows).map(|n| n as f32 / 3.0))),
        None,
    );
    let pairs = StructArray::from(vec![
        (
            Arc::new(Field::new("x", DataType::Int64, true)),
            Arc::new(Int64Array::from_iter(holes(rows, of))) as ArrayRef,
        ),
        (
            Arc::new(Field::new("y z", DataType::Utf8View, true)),
            Arc::new(StringViewArray::from_iter(holes(rows, text))) as ArrayRef,
        ),
    ]);
    let decimals = Decimal128Array::from_iter(holes(rows, |row| i128::from(of(row))));
    let wide = Decimal256Array::from_iter(holes(rows, |row| {
        i256::from_i128(i128::from(of(row)) * i128::from(of(row)))
    }));
    let micros = |row| of(row) % 4_000_000_000_000_000;
    RecordBatch::try_from_iter_with_nullable(
        [
            column("boolean", BooleanArray::from_iter(holes(rows, |row| of(row) % 2 == 0))),
            column("tiny", Int8Array::from_iter(holes(rows, |row| of(row) as i8))),
            column("small", Int16Array::from_iter(holes(rows, |row| of(row) as i16))),
            column("int", Int32Array::from_iter(holes(rows, |row| of(row) as i32))),
            column("big", Int64Array::from_iter(holes(rows, of))),
            column("unsigned", UInt64Array::from_iter(holes(rows, |row| of(row) as u64))),
            column(
                "real",
                Float32Array::from_iter(holes(rows, |row| f32::from_bits(of(row) as u32))),
            ),
            column("double", Float64Array::from_iter(holes(rows, float))),
            column("decimal", decimals.with_precision_and_scale(38, 10).unwrap()),
            column("wide", wide.with_precision_and_scale(76, 3).unwrap()),
            column("text", StringViewArray::from_iter(holes(rows, text))),
            column(
                "binary",
                BinaryViewArray::from_iter(holes(rows, |row| of(row).to_le_bytes().to_vec())),
            ),
            column("date", Date32Array::from_iter(holes(rows, |row| (of(row) % 1_000_000) as i32))),
            column(
                "time",
                Time64MicrosecondArray::from_iter(holes(rows, |row| {
                    of(row).rem_euclid(86_400_000_000)
                })),
            ),
            column("at", TimestampMicrosecondArray::from_iter(holes(rows, micros))),
            column(
                "zoned",
                TimestampMicrosecondArray::from_iter(holes(rows, micros)).with_timezone("UTC"),
            ),
            column("nanos", TimestampNanosecondArray::from_iter(holes(rows, of))),
            column("list", lists),
            column("vector", vectors),
            column("pair", pairs),
        ]
        .map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

/// NaN is NaN, and text is text.
fn comparable(batch: &RecordBatch) -> RecordBatch {
    let quiet = |array: &ArrayRef| -> ArrayRef {
        match array.data_type() {
            DataType::Float32 => Arc::new(
                array
                    .as_primitive::<Float32Type>()
                    .unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v }),
            ),
            DataType::Float64 => Arc::new(
                array
                    .as_primitive::<Float64Type>()
                    .unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v }),
            ),
            _ => Arc::clone(array),
        }
    };
    let arrays = batch.columns().iter().map(quiet).collect();
    RecordBatch::try_new(batch.schema(), arrays).unwrap()
}

fn there_and_back(
    name: &str,
    batches: &[RecordBatch],
    options: &WriteOptions,
    read_as: &ReadOptions,
) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    let schema = batches[0].schema();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let written = write(&path, batches, options).unwrap();
    assert_eq!(written.rows, rows as u64, "{name}");
    assert_eq!(written.bytes, std::fs::metadata(&path).unwrap().len(), "{name}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{name}");
    let found = read(&path, read_as).unwrap();
    let expected = concat_batches(&schema, batches).unwrap();
    for (index, field) in schema.fields().iter().enumerate() {
        let (found, expected) =
            (comparable(&found).column(index).clone(), comparable(&expected).column(index).clone());
        let found = cast(&found, field.data_type()).unwrap();
        assert_eq!(&found, &expected, "{name}: {}", field.name());
    }
}

#[test]
fn every_format_keeps_every_value() {
    let table = table(500);
    // Batches of many sizes, one of them empty.
    let batches = [0, 1, 0, 7, 492]
        .iter()
        .scan(0, |at, &rows| {
            *at += rows;
            Some(table.slice(*at - rows, rows))
        })
        .collect::<Vec<_>>();
    for threads in [1, 3] {
        let options = WriteOptions { threads, row_group_rows: 100, ..WriteOptions::default() };
        let typed = ReadOptions { schema: Some(table.schema()), ..ReadOptions::default() };
        for name in ["t.parquet", "t.arrow", "t.arrows", "t.arrow.gz", "t.arrow.zst"] {
            there_and_back(name, &batches, &options, &ReadOptions::default());
        }
        for name in ["t.json", "t.ndjson.gz", "t.jsonl.zst"] {
            there_and_back(name, &batches, &options, &typed);
        }
        let array = WriteOptions { array: true, ..options.clone() };
        there_and_back("t.json", &batches, &array, &typed);
        // CSV has no lists: they come back as the JSON that they are written as.
        let flat: Vec<usize> = (0..17).collect();
        let flat: Vec<RecordBatch> =
            batches.iter().map(|batch| batch.project(&flat).unwrap()).collect();
        let typed = ReadOptions { schema: Some(flat[0].schema()), ..ReadOptions::default() };
        for name in ["t.csv", "t.tsv", "t.csv.gz", "t.csv.zst"] {
            there_and_back(name, &flat, &options, &typed);
        }
    }
}

#[test]
fn parquet_has_all_compressions() {
    let batches = [table(100)];
    for codec in [Codec::None, Codec::Gzip, Codec::Zstd, Codec::Snappy, Codec::Lz4] {
        let options = WriteOptions { codec: Some(codec), ..WriteOptions::default() };
        there_and_back("t.parquet", &batches, &options, &ReadOptions::default());
    }
}

#[test]
fn files_without_rows_have_columns() {
    let empty = table(3).slice(0, 0);
    for name in ["t.parquet", "t.arrow", "t.arrows"] {
        let options = WriteOptions::default();
        there_and_back(name, std::slice::from_ref(&empty), &options, &ReadOptions::default());
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("t.csv", "a,b\n"), ("t.ndjson", "")] {
        let path = folder.path().join(name);
        let columns: [(&str, ArrayRef); 2] = [
            ("a", Arc::new(Int64Array::from(vec![0; 0]))),
            ("b", Arc::new(Int64Array::from(vec![0; 0]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        write(&path, &[batch], &WriteOptions::default()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn text_looks_as_people_expect() {
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new(Int64Array::from(vec![Some(1), None]))),
        ("a \"b\"", Arc::new(StringArray::from(vec!["x,y", ""]))),
        ("d", Arc::new(Date32Array::from(vec![0, 19_782]))),
        ("f", Arc::new(Float64Array::from(vec![0.1, 1e300]))),
        (
            "l",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
                Some(vec![Some(1), None]),
                None,
            ])),
        ),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
            .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str, options: &WriteOptions| {
        let path = folder.path().join(name);
        write(&path, std::slice::from_ref(&batch), options).unwrap();
        std::fs::read_to_string(&path).unwrap()
    };
    assert_eq!(
        text("t.csv", &WriteOptions::default()),
        "id,\"a \"\"b\"\"\",d,f,l\n1,\"x,y\",1970-01-01,0.1,\"[1,null]\"\n,\"\",2024-02-29,1e300,\n"
    );
    assert_eq!(
        text("t.ndjson", &WriteOptions::default()),
        "{\"id\":1,\"a \\\"b\\\"\":\"x,y\",\"d\":\"1970-01-01\",\"f\":0.1,\"l\":[1,null]}\n\
         {\"id\":null,\"a \\\"b\\\"\":\"\",\"d\":\"2024-02-29\",\"f\":1e300,\"l\":null}\n"
    );
    let options = WriteOptions { array: true, ..WriteOptions::default() };
    assert!(text("t.json", &options).starts_with("[\n\t{\"id\":1,"));
    let options = WriteOptions {
        delimiter: Some(b';'),
        quote: b'\'',
        null: "NULL".to_owned(),
        header: false,
        ..WriteOptions::default()
    };
    assert_eq!(
        text("t.csv", &options),
        "1;x,y;1970-01-01;0.1;[1,null]\nNULL;'';2024-02-29;1e300;NULL\n"
    );
}

#[test]
fn what_cannot_be_written_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let intervals: ArrayRef =
        Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 3)]));
    let batch = RecordBatch::try_from_iter([("i", intervals)]).unwrap();
    let failure = |name: &str, options: &WriteOptions| {
        write(&folder.path().join(name), std::slice::from_ref(&batch), options)
            .unwrap_err()
            .to_string()
    };
    let plain = WriteOptions::default();
    assert!(failure("t.parquet", &plain).contains("intervals"));
    assert!(failure("t.parquet.gz", &plain).contains("compressed inside"));
    assert!(failure("t.xlsx", &plain).contains(".xlsx"));
    let snappy = WriteOptions { codec: Some(Codec::Snappy), ..WriteOptions::default() };
    assert!(failure("t.csv", &snappy).contains("Parquet only"));
    let same = WriteOptions { quote: b',', ..WriteOptions::default() };
    assert!(failure("t.csv", &same).contains("must differ"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
