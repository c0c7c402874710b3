//! Arrow files and streams of users: encodings, columns by name, damage.

use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use sheaf_formats::Result;
use sheaf_formats::external::{self, ReadOptions};

fn batch() -> RecordBatch {
    let words: DictionaryArray<Int8Type> =
        [Some("a"), None, Some("b"), Some("a")].into_iter().collect();
    let runs = RunArray::try_new(
        &Int32Array::from(vec![3, 4]),
        &StringArray::from(vec![Some("long run"), None]),
    );
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef, false),
        ("word", Arc::new(words) as _, true),
        ("run", Arc::new(runs.unwrap()) as _, true),
        ("text", Arc::new(LargeStringArray::from(vec!["x", "y", "", "z"])) as _, true),
    ])
    .unwrap()
}

fn file(compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut bytes = Vec::new();
    let mut writer =
        FileWriter::try_new_with_options(&mut bytes, &batch().schema(), options).unwrap();
    writer.write(&batch()).unwrap();
    writer.write(&batch().slice(1, 2)).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn stream() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch().schema()).unwrap();
    writer.write(&batch()).unwrap();
    writer.write(&batch().slice(1, 2)).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn read(path: &Path, options: &ReadOptions) -> Result<RecordBatch> {
    let file = external::open(path, options)?;
    let schema = file.schema().clone();
    let batches = file.read(None)?.collect::<Result<Vec<_>>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

fn read_bytes(bytes: &[u8], options: &ReadOptions) -> Result<RecordBatch> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.arrow");
    std::fs::write(&path, bytes).unwrap();
    read(&path, options)
}

#[test]
fn files_and_streams_become_plain_columns() {
    let compressed = [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)];
    for bytes in compressed.map(file).into_iter().chain([stream()]) {
        let found =
            read_bytes(&bytes, &ReadOptions { batch_rows: 3, ..ReadOptions::default() }).unwrap();
        assert_eq!(found.column(0).as_primitive::<Int64Type>().values(), &[1, 2, 3, 4, 2, 3]);
        let text = |column: usize| -> Vec<Option<&str>> {
            found.column(column).as_string_view().iter().collect()
        };
        assert_eq!(text(1), [Some("a"), None, Some("b"), Some("a"), None, Some("b")]);
        let run = Some("long run");
        assert_eq!(text(2), [run, run, run, None, run, run]);
        assert_eq!(text(3)[..2], [Some("x"), Some("y")]);
    }
}

#[test]
fn columns_are_found_by_name_and_cast() {
    let schema = Schema::new(vec![
        Field::new("WORD", DataType::Utf8View, true),
        Field::new("id", DataType::Int32, false),
    ]);
    let options = ReadOptions { schema: Some(Arc::new(schema)), ..ReadOptions::default() };
    let found = read_bytes(&file(None), &options).unwrap();
    assert_eq!(found.column(1).as_primitive::<Int32Type>().value(3), 4);
    let schema = Schema::new(vec![Field::new("word", DataType::Utf8View, false)]);
    let options = ReadOptions { schema: Some(Arc::new(schema)), ..ReadOptions::default() };
    let error = read_bytes(&file(None), &options).unwrap_err().to_string();
    assert!(error.contains("word") && error.contains("NULL"), "{error}");
}

/// No byte that is wrong or missing ends in a panic or in rows out of nowhere.
#[test]
fn damage_is_an_error_or_changes_values_alone() {
    for bytes in [file(None), file(Some(CompressionType::ZSTD)), stream()] {
        for at in (0..bytes.len()).step_by(3) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            if let Ok(found) = read_bytes(&damaged, &ReadOptions::default()) {
                assert!(found.num_rows() <= 6, "byte {at}");
            }
            // The stream's end may be missing.
            let _ = read_bytes(&bytes[..at], &ReadOptions::default());
        }
    }
    assert!(read_bytes(b"", &ReadOptions::default()).is_err());
    assert!(read_bytes(b"ARROW1\0\0", &ReadOptions::default()).is_err());
}

#[test]
fn a_dictionary_may_have_null_among_its_values() {
    let values = StringArray::from(vec![Some("a"), None]);
    let words = DictionaryArray::<Int8Type>::new(
        Int8Array::from(vec![Some(0), None, Some(1)]),
        Arc::new(values),
    );
    let batch = RecordBatch::try_from_iter([("word", Arc::new(words) as ArrayRef)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let found = read_bytes(&bytes, &ReadOptions::default()).unwrap();
    let words: Vec<_> = found.column(0).as_string_view().iter().collect();
    assert_eq!(words, [Some("a"), None, None]);
}
