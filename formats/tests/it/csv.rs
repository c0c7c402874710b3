//! CSV files: what is guessed, what is parsed, and how errors say where.

use std::io::Write;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use proptest::prelude::*;
use sheaf_formats::external::{self, CsvOptions, ReadOptions};
use sheaf_formats::{Error, Result};

fn read(content: impl AsRef<[u8]>, options: &ReadOptions) -> Result<RecordBatch> {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    file.write_all(content.as_ref()).unwrap();
    let file = external::open(file.path(), options)?;
    let schema = file.schema().clone();
    let batches = file.read(None)?.collect::<Result<Vec<_>>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

fn guessed(content: impl AsRef<[u8]>) -> RecordBatch {
    read(content, &ReadOptions::default()).unwrap()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn with_schema(fields: Vec<Field>) -> ReadOptions {
    ReadOptions { schema: Some(Arc::new(Schema::new(fields))), ..ReadOptions::default() }
}

#[test]
fn types_and_names_are_guessed() {
    let batch = guessed(
        "id,price,on,day,at,name\n1,1.5,true,2024-01-02,2024-01-02 03:04:05,x\n2,,false,,,\n",
    );
    assert_eq!(names(&batch), ["id", "price", "on", "day", "at", "name"]);
    let types: Vec<DataType> =
        batch.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    assert_eq!(
        types,
        [
            DataType::Int64,
            DataType::Float64,
            DataType::Boolean,
            DataType::Date32,
            micros,
            DataType::Utf8View
        ]
    );
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 2]);
    assert!(batch.columns()[1..].iter().all(|column| column.len() == 2));
    assert_eq!(batch.column(5).null_count(), 1);
}

#[test]
fn dialects() {
    let crlf = guessed("\u{feff}a;b\r\n1;\"x;\r\ny\"\r\n\r\n2;\"say \"\"hi\"\"\"\r\n");
    assert_eq!(names(&crlf), ["a", "b"]);
    assert_eq!(crlf.column(1).as_string_view().value(0), "x;\r\ny");
    assert_eq!(crlf.column(1).as_string_view().value(1), "say \"hi\"");
    let no_header = guessed("1,2\n3,4\n");
    assert_eq!(names(&no_header), ["column0", "column1"]);
    assert_eq!(no_header.num_rows(), 2);
    let no_last_end = guessed("a\n1\n2");
    assert_eq!(no_last_end.num_rows(), 2);
    let options = ReadOptions {
        csv: CsvOptions {
            header: Some(false),
            delimiter: Some(b'|'),
            quote: Some(b'\''),
            nulls: Some(vec!["\\N".to_owned()]),
            ..CsvOptions::default()
        },
        ..ReadOptions::default()
    };
    let batch = read("'a|b'|\\N\nc|\n", &options).unwrap();
    assert_eq!(batch.column(0).as_string_view().value(0), "a|b");
    assert!(batch.column(1).is_null(0) && batch.column(1).is_valid(1));
}

#[test]
fn a_schema_is_matched_by_header_or_place() {
    let fields =
        || vec![Field::new("b", DataType::Int32, true), Field::new("A", DataType::Utf8, true)];
    let by_name = read("a,x,b\nq,0,7\n", &with_schema(fields())).unwrap();
    assert_eq!(by_name.column(0).as_primitive::<Int32Type>().value(0), 7);
    assert_eq!(by_name.column(1).as_string::<i32>().value(0), "q");
    let by_place = read("7,q\n", &with_schema(fields())).unwrap();
    assert_eq!(by_place.num_rows(), 1);
    let missing = read("a\nq\n", &with_header(fields()));
    assert!(missing.unwrap_err().to_string().contains("column 'b'"));
}

fn with_header(fields: Vec<Field>) -> ReadOptions {
    let csv = CsvOptions { header: Some(true), ..CsvOptions::default() };
    ReadOptions { csv, ..with_schema(fields) }
}

fn failure(
    content: impl AsRef<[u8]>,
    options: &ReadOptions,
) -> (Option<u64>, Option<String>, String) {
    match read(content, options).unwrap_err() {
        Error::Malformed { line, column, what, .. } => (line, column, what),
        other => panic!("not malformed: {other}"),
    }
}

#[test]
fn errors_name_line_column_and_value() {
    let options = with_schema(vec![
        Field::new("t", DataType::Utf8View, true),
        Field::new("n", DataType::Int32, false),
    ]);
    let at = |line: u64| (Some(line), Some("n".to_owned()));
    let (line, column, what) = failure("t,n\na,1\nb,two\n", &options);
    assert_eq!((line, column), at(3));
    assert!(what.contains("'two'") && what.contains("integer"), "{what}");
    // Line ends inside quotes and empty lines are lines of the file too.
    let (line, column, _) = failure("t,n\r\n\"x\r\ny\",1\r\n\r\n\"p\nq\",x\r\n", &options);
    assert_eq!((line, column), at(6));
    let (line, column, what) = failure("t,n\na,1\nb,\n", &options);
    assert_eq!((line, column), at(3));
    assert!(what.contains("must have a value"), "{what}");
    let (line, column, what) = failure("t,n\na,1\nb\n", &options);
    assert_eq!((line, column), (Some(3), None));
    assert!(what.contains("1 fields where 2"), "{what}");
    let (line, column, _) = failure(b"t,n\na,1\n\xff\xfe,2\n", &options);
    assert_eq!((line, column), (Some(3), Some("t".to_owned())));
    let (line, _, _) = failure("\u{feff}t,n\na,99999999999\n", &options);
    assert_eq!(line, Some(2));
}

#[test]
fn a_bad_row_after_the_guess_says_so() {
    let mut content = "n\n".to_owned();
    for row in 0..30_000 {
        content += &format!("{row}\n");
    }
    content += "oops\n";
    let (line, column, what) = failure(&content, &ReadOptions::default());
    assert_eq!((line, column.as_deref()), (Some(30_002), Some("n")));
    assert!(what.contains("oops") && what.contains("another type"), "{what}");
}

#[test]
fn files_that_are_no_csv() {
    assert!(read("", &ReadOptions::default()).unwrap_err().to_string().contains("empty"));
    assert!(
        read([0xff, 0xfe, 0, 0], &ReadOptions::default())
            .unwrap_err()
            .to_string()
            .contains("UTF-16")
    );
    let missing = external::open(std::path::Path::new("no/such.csv"), &ReadOptions::default());
    assert!(missing.unwrap_err().to_string().contains("no/such.csv"));
    let list = DataType::new_list(DataType::Int32, true);
    assert!(read("1\n", &with_schema(vec![Field::new("l", list, true)])).is_err());
}

#[test]
fn batches_have_the_asked_size() {
    let content: String = (0..25).map(|row| format!("{row}\n")).collect();
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    let options = ReadOptions { batch_rows: 10, ..ReadOptions::default() };
    let sizes: Vec<usize> = external::open(file.path(), &options)
        .unwrap()
        .read(None)
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .collect();
    assert_eq!(sizes, [10, 10, 5]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(
        prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), Just(b'\r'), Just(b'1'), any::<u8>()], 0..300))
    {
        let _ = read(&bytes, &ReadOptions::default());
    }

    #[test]
    fn written_fields_read_back(rows in prop::collection::vec((".{1,12}", any::<i64>()), 1..40)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["text", "number"]).unwrap();
        for (text, number) in &rows {
            writer.write_record([text.as_str(), &number.to_string()]).unwrap();
        }
        let options = with_schema(vec![
            Field::new("text", DataType::Utf8View, true),
            Field::new("number", DataType::Int64, true),
        ]);
        let options = ReadOptions {
            // Fields may hold what would be found out to be quotes.
            csv: CsvOptions {
                delimiter: Some(b','),
                quote: Some(b'"'),
                ..CsvOptions::default()
            },
            ..options
        };
        let batch = read(writer.into_inner().unwrap(), &options).unwrap();
        let texts: Vec<_> = batch.column(0).as_string_view().iter().flatten().collect();
        let expected: Vec<_> = rows.iter().map(|(text, _)| text.as_str()).collect();
        prop_assert_eq!(texts, expected);
        let numbers: Vec<_> = rows.iter().map(|(_, number)| *number).collect();
        prop_assert_eq!(batch.column(1).as_primitive::<Int64Type>().values(), &numbers[..]);
    }
}

#[test]
fn types_of_long_records_are_guessed() {
    // Longer than what is read to find out about a file.
    let long = "x".repeat(5 << 20);
    let batch = guessed(format!("n,text\n1,{long}\n2,\"{long}\n{long}\"\n"));
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 2]);
    assert_eq!(batch.column(1).as_string_view().value(1).len(), 2 * long.len() + 1);
}
