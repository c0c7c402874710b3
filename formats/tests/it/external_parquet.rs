//! Parquet files of users: types, columns by name, and damage.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use parquet::arrow::ArrowWriter;
use sheaf_formats::Result;
use sheaf_formats::external::{self, ReadOptions};

fn batch() -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values(0..1_000)) as ArrayRef, false),
        (
            "name",
            Arc::new(
                (0..1_000).map(|i| (i % 3 > 0).then(|| format!("n{i}"))).collect::<StringArray>(),
            ) as _,
            true,
        ),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(0..1_000).with_timezone("UTC"))
                as _,
            true,
        ),
    ])
    .unwrap()
}

fn written() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let batch = batch();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    (folder, path)
}

fn read(path: &std::path::Path, options: &ReadOptions) -> Result<RecordBatch> {
    let file = external::open(path, options)?;
    let schema = file.schema().clone();
    let batches = file.read(None)?.collect::<Result<Vec<_>>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

#[test]
fn text_comes_as_views() {
    let (_folder, path) = written();
    let found = read(&path, &ReadOptions { batch_rows: 300, ..ReadOptions::default() }).unwrap();
    assert_eq!(found.num_rows(), 1_000);
    assert_eq!(*found.column(1).data_type(), DataType::Utf8View);
    assert_eq!(found.column(1).as_string_view().value(1), "n1");
    assert_eq!(found.column(2).data_type(), batch().column(2).data_type());
}

#[test]
fn a_schema_chooses_columns_and_types() {
    let (_folder, path) = written();
    let wanted = Schema::new(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("id", DataType::Int16, true),
    ]);
    let options = ReadOptions { schema: Some(Arc::new(wanted)), ..ReadOptions::default() };
    let found = read(&path, &options).unwrap();
    assert_eq!(found.column(1).as_primitive::<Int16Type>().value(999), 999);
    let narrow = Schema::new(vec![Field::new("id", DataType::Int8, true)]);
    let options = ReadOptions { schema: Some(Arc::new(narrow)), ..ReadOptions::default() };
    let error = read(&path, &options).unwrap_err().to_string();
    assert!(error.contains("t.parquet") && error.contains("column 'id'"), "{error}");
    let missing = Schema::new(vec![Field::new("nope", DataType::Int8, true)]);
    let options = ReadOptions { schema: Some(Arc::new(missing)), ..ReadOptions::default() };
    let error = read(&path, &options).unwrap_err().to_string();
    assert!(error.contains("no such column, only id, name, at"), "{error}");
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let (folder, path) = written();
    let bytes = std::fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged.parquet");
    for at in (0..bytes.len()).step_by(37) {
        let mut copy = bytes.clone();
        copy[at] ^= 0xff;
        std::fs::write(&damaged, &copy).unwrap();
        if let Err(error) = read(&damaged, &ReadOptions::default()) {
            assert!(error.to_string().contains("damaged.parquet"), "{error}");
        }
        std::fs::write(&damaged, &bytes[..at]).unwrap();
        assert!(read(&damaged, &ReadOptions::default()).is_err());
    }
}

#[test]
fn columns_with_the_same_name_get_a_number() {
    let field = || Field::new("a", DataType::Int64, true);
    let one = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let two = Arc::new(Int64Array::from(vec![2])) as ArrayRef;
    let schema = Arc::new(Schema::new(vec![field(), field()]));
    let batch = RecordBatch::try_new(schema.clone(), vec![one, two]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let found = read(&path, &ReadOptions::default()).unwrap();
    assert_eq!(found.schema().field(1).name(), "a_1");
    assert_eq!(found.column(1).as_primitive::<Int64Type>().value(0), 2);
}

#[test]
fn a_column_without_null_in_one_file_may_have_some_in_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, fields: Vec<Field>, values: Vec<Option<i64>>| {
        let schema = Arc::new(Schema::new(fields));
        let column = Arc::new(Int64Array::from(values)) as ArrayRef;
        let columns = vec![column; schema.fields().len()];
        let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
        let path = folder.path().join(name);
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        external::Input::new(Arc::new(external::LocalFile::open(&path).unwrap()))
    };
    let field = |name: &str, nullable| Field::new(name, DataType::Int64, nullable);
    let required = vec![field("a", false), field("b", false)];
    let files = vec![
        write("1.parquet", required, vec![Some(1)]),
        write("2.parquet", vec![field("a", true)], vec![None]),
        write("3.parquet", vec![field("c", false), field("a", false)], vec![Some(3)]),
    ];
    let options = ReadOptions { union_by_name: true, ..ReadOptions::default() };
    let dataset = external::Dataset::open(files, &options).unwrap();
    let batches = dataset.read(None).unwrap().collect::<Result<Vec<_>>>().unwrap();
    let found = concat_batches(dataset.schema(), &batches).unwrap();
    let values = |column: usize| -> Vec<Option<i64>> {
        found.column(column).as_primitive::<Int64Type>().iter().collect()
    };
    assert_eq!(values(0), [Some(1), None, Some(3)]);
    assert_eq!(values(1), [Some(1), None, None]);
    assert_eq!(values(2), [None, None, Some(3)]);
}

#[test]
fn int96_is_a_time_of_any_year() {
    use parquet::data_type::{Int96, Int96Type};
    use parquet::file::writer::SerializedFileWriter;
    let schema = parquet::schema::parser::parse_message_type("message t { optional int96 at; }");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let file = File::create(&path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema.unwrap()), Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    // Midnight of 0001-01-01 and of 1970-01-01: nanoseconds of the day, Julian day.
    let times = [1_721_426, 2_440_588].map(|day| {
        let mut time = Int96::new();
        time.set_data(0, 0, day);
        time
    });
    column.typed::<Int96Type>().write_batch(&times, Some(&[1, 1]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let found = read(&path, &ReadOptions::default()).unwrap();
    let times = found.column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.values(), &[-62_135_596_800_000_000, 0]);
}

#[test]
fn intervals_have_months_days_and_milliseconds() {
    use parquet::data_type::{FixedLenByteArray, FixedLenByteArrayType};
    use parquet::file::writer::SerializedFileWriter;
    let schema = parquet::schema::parser::parse_message_type(
        "message t { optional fixed_len_byte_array(12) wait (INTERVAL); }",
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let file = File::create(&path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema.unwrap()), Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let bytes: Vec<u8> = [1i32, -2, 3_000].iter().flat_map(|part| part.to_le_bytes()).collect();
    let value = FixedLenByteArray::from(bytes);
    column.typed::<FixedLenByteArrayType>().write_batch(&[value], Some(&[1, 0]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let found = read(&path, &ReadOptions::default()).unwrap();
    let waits = found.column(0).as_primitive::<IntervalMonthDayNanoType>();
    assert_eq!(waits.value(0), IntervalMonthDayNano::new(1, -2, 3_000_000_000));
    assert!(waits.is_null(1));
}

#[test]
fn a_fraction_is_no_integer() {
    let folder = tempfile::tempdir().unwrap();
    let found = |values: Vec<f64>| {
        let column = Arc::new(Float64Array::from(values)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let path = folder.path().join("t.parquet");
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let wanted = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        read(&path, &ReadOptions { schema: Some(Arc::new(wanted)), ..ReadOptions::default() })
    };
    let whole = found(vec![-0.0, 1.0, -9e15]).unwrap();
    assert_eq!(whole.column(0).as_primitive::<Int64Type>().value(2), -9_000_000_000_000_000);
    let error = found(vec![1.0, 2.5]).unwrap_err().to_string();
    assert!(error.contains("column 'a'") && error.contains("2.5 has a fraction"), "{error}");
}
