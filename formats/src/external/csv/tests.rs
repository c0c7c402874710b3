//! What is read does not depend on where blocks end, nor on the threads.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use bytes::Bytes;
use proptest::prelude::*;

use super::Reader;
use crate::external::reader::FileReader;
use crate::external::{CsvOptions, ReadOptions, Rejects, Source, ordered};
use crate::{Error, Result};

#[derive(Debug)]
struct Memory(Bytes);

impl Source for Memory {
    fn name(&self) -> &str {
        "memory.csv"
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn stream(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0.clone())))
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        Ok(self.0.slice(offset as usize..offset as usize + len))
    }
}

fn read(text: &[u8], options: &ReadOptions, block_len: usize) -> Result<Vec<RecordBatch>> {
    let source = Arc::new(Memory(Bytes::copy_from_slice(text)));
    let reader = Reader::open(source, options, block_len)?;
    let columns: Vec<usize> = (0..reader.schema().fields().len()).collect();
    ordered::read(Box::new(reader).pieces(&columns)?, options.threads).collect()
}

/// All values of all rows as text.
fn texts(batches: &[RecordBatch]) -> Vec<Vec<Option<String>>> {
    let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    rows.map(|(batch, row)| {
        let value = |column: &Arc<dyn Array>| {
            let column = column.as_string_view();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        batch.columns().iter().map(value).collect()
    })
    .collect()
}

fn text_columns(width: usize) -> ReadOptions {
    let field = |index| Field::new(format!("c{index}"), DataType::Utf8View, true);
    let schema = Schema::new((0..width).map(field).collect::<Vec<_>>());
    ReadOptions {
        schema: Some(Arc::new(schema)),
        csv: CsvOptions {
            header: Some(false),
            delimiter: Some(b','),
            quote: Some(b'"'),
            escape: Some(b'"'),
            ..CsvOptions::default()
        },
        ..ReadOptions::default()
    }
}

fn field() -> impl Strategy<Value = Option<String>> {
    let piece = prop_oneof![
        Just("\""),
        Just("\"\""),
        Just(","),
        Just("\n"),
        Just("\r\n"),
        Just("\r"),
        Just(" "),
        Just("x"),
        Just("ä€𝄞"),
        Just("\0"),
        Just("#"),
        Just("\\"),
        Just("seventeen letters"),
    ];
    prop_oneof![
        1 => Just(None),
        8 => prop::collection::vec(piece, 0..6).prop_map(|pieces| Some(pieces.concat())),
    ]
}

fn table() -> impl Strategy<Value = Vec<Vec<Option<String>>>> {
    (1..5usize)
        .prop_flat_map(|width| prop::collection::vec(prop::collection::vec(field(), width), 0..20))
}

/// As other programs write it: what needs quotes has them.
fn written(table: &[Vec<Option<String>>], line_end: &str, last: bool) -> String {
    let mut text = String::new();
    for (number, row) in table.iter().enumerate() {
        let fields = row.iter().map(|field| match field {
            None => String::new(),
            Some(field) => {
                let plain = !field.is_empty()
                    && !field.starts_with('"')
                    && !field.contains([',', '\n', '\r']);
                if plain { field.clone() } else { format!("\"{}\"", field.replace('"', "\"\"")) }
            }
        });
        text += &fields.collect::<Vec<_>>().join(",");
        if last || number + 1 < table.len() {
            text += line_end;
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn tables_read_back(
        table in table(),
        line_end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        block_len in prop_oneof![1..40usize, Just(1 << 20)],
        threads in 1..4usize,
        batch_rows in prop_oneof![1..4usize, Just(1000)],
    ) {
        let Some(width) = table.first().map(Vec::len) else { return Ok(()) };
        // The last line of a file of one column may not be empty and without an end.
        let text = written(&table, line_end, true);
        let options = ReadOptions { threads, batch_rows, ..text_columns(width) };
        let batches = read(text.as_bytes(), &options, block_len).unwrap();
        prop_assert!(batches.iter().all(|batch| batch.num_rows() <= batch_rows));
        prop_assert_eq!(texts(&batches), table);
    }

    #[test]
    fn the_csv_crate_is_understood(table in table(), block_len in 1..60usize, threads in 1..4usize) {
        let Some(width) = table.first().map(Vec::len) else { return Ok(()) };
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &table {
            writer.write_record(row.iter().map(|field| field.as_deref().unwrap_or(""))).unwrap();
        }
        let options = ReadOptions { threads, ..text_columns(width) };
        let batches = read(&writer.into_inner().unwrap(), &options, block_len).unwrap();
        // It has no NULLs.
        let plain = |rows: Vec<Vec<Option<String>>>| -> Vec<Vec<String>> {
            rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
        };
        prop_assert_eq!(plain(texts(&batches)), plain(table));
    }

    #[test]
    fn hostile_bytes_are_the_same_in_all_blocks(
        bytes in prop::collection::vec(
            prop_oneof![
                3 => Just(b','), 3 => Just(b'"'), 2 => Just(b'\n'), 2 => Just(b'\r'), 1 => Just(b'\\'),
                1 => Just(b'#'), 1 => Just(b' '), 4 => Just(b'1'), 1 => any::<u8>()
            ], 0..120),
        block_len in 1..40usize,
        width in 1..4usize,
        comment in prop::option::of(Just(b'#')),
        escape in prop_oneof![Just(b'"'), Just(b'\\')],
    ) {
        let mut options = text_columns(width);
        options.csv.comment = comment;
        options.csv.escape = Some(escape);
        options.csv.null_padding = true;
        let outcome = |block_len: usize| {
            let rejects = Arc::new(Rejects::new(1000));
            let options = ReadOptions { rejects: Some(rejects.clone()), ..options.clone() };
            let rows = read(&bytes, &options, block_len).map(|batches| texts(&batches));
            (rows.map_err(|error| error.to_string()), rejects.kept())
        };
        prop_assert_eq!(outcome(block_len), outcome(1 << 20));
    }
}

/// What follows the first quoted field is wrong, and the second one has no end.
#[test]
fn a_record_without_an_end_is_not_cut_whatever_else_is_wrong() {
    let mut options = text_columns(2);
    options.csv.comment = Some(b'#');
    let outcome = |block_len: usize| {
        let rejects = Arc::new(Rejects::new(10));
        let options = ReadOptions { rejects: Some(rejects.clone()), ..options.clone() };
        let rows =
            read(b"\"a\"b,\"\n\n\nc,d\n", &options, block_len).map(|batches| texts(&batches));
        (rows.unwrap(), rejects.kept())
    };
    let (rows, rejects) = outcome(1 << 20);
    assert!(rows.is_empty() && rejects.len() == 1);
    assert_eq!(outcome(1), (rows, rejects));
}

#[test]
fn lines_of_errors_do_not_depend_on_blocks() {
    let mut options = text_columns(2);
    options.schema = Some(Arc::new(Schema::new(vec![
        Field::new("t", DataType::Utf8View, true),
        Field::new("n", DataType::Int64, true),
    ])));
    let text = "a,1\r\n\"b\r\nb\",2\r\n\r\n\"c\nc\",x\r\nd,4\r\n";
    for block_len in 1..50 {
        match read(text.as_bytes(), &options, block_len).unwrap_err() {
            Error::Malformed { line: Some(6), column: Some(column), what, .. } => {
                assert_eq!(column, "n");
                assert!(what.contains("'x'"), "{what}");
            }
            other => panic!("{other}"),
        }
        let rejects = Arc::new(Rejects::new(10));
        let options = ReadOptions { rejects: Some(rejects.clone()), ..options.clone() };
        let batches = read(text.as_bytes(), &options, block_len).unwrap();
        let numbers: Vec<i64> = batches
            .iter()
            .flat_map(|batch| batch.column(1).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        assert_eq!(numbers, [1, 2, 4]);
        let kept = rejects.kept();
        assert_eq!((kept.len(), kept[0].line, kept[0].value.as_deref()), (1, Some(6), Some("x")));
    }
}

#[test]
fn a_record_may_be_much_longer_than_a_block() {
    let long = "x\n".repeat(100_000);
    let text = format!("1,\"{long}\"\n2,y\n");
    let batches = read(text.as_bytes(), &text_columns(2), 64).unwrap();
    assert_eq!(texts(&batches)[0][1].as_deref(), Some(long.as_str()));
    assert_eq!(texts(&batches)[1][1].as_deref(), Some("y"));
}
