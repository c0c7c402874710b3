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
