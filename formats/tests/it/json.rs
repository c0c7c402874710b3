//! JSON files: layouts, types, what is guessed, and how errors say where.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use sheaf_formats::external::{self, JsonLayout, JsonOptions, ReadOptions, Rejects};
use sheaf_formats::{Error, Result};

fn read_file(path: &Path, options: &ReadOptions) -> Result<RecordBatch> {
    let file = external::open(path, options)?;
    let schema = file.schema().clone();
    let batches = file.read(None)?.collect::<Result<Vec<_>>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

fn read(content: impl AsRef<[u8]>, options: &ReadOptions) -> Result<RecordBatch> {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    file.write_all(content.as_ref()).unwrap();
    read_file(file.path(), options)
}

fn guessed(content: impl AsRef<[u8]>) -> RecordBatch {
    read(content, &ReadOptions::default()).unwrap()
}

fn with_schema(fields: Vec<Field>) -> ReadOptions {
    ReadOptions { schema: Some(Arc::new(Schema::new(fields))), ..ReadOptions::default() }
}

fn one(data_type: DataType) -> ReadOptions {
    with_schema(vec![Field::new("a", data_type, true)])
}

fn types(batch: &RecordBatch) -> Vec<(String, DataType)> {
    let schema = batch.schema();
    schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
}

fn text(batch: &RecordBatch, column: usize) -> Vec<Option<&str>> {
    batch.column(column).as_string_view().iter().collect()
}

fn integers(batch: &RecordBatch, column: usize) -> Vec<Option<i64>> {
    batch.column(column).as_primitive::<Int64Type>().iter().collect()
}

/// The values of column `a` as text, of a file with these values of it.
fn shown(data_type: DataType, values: &[&str]) -> Vec<String> {
    let lines: String = values.iter().map(|value| format!("{{\"a\":{value}}}\n")).collect();
    let batch = read(lines, &one(data_type)).unwrap();
    let options = arrow::util::display::FormatOptions::new().with_null("NULL");
    let column = batch.column(0);
    let shown = arrow::util::display::ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
    (0..column.len()).map(|row| shown.value(row).to_string()).collect()
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
fn layouts_are_found() {
    for content in [
        "{\"a\":1,\"b\":\"x\"}\n{\"b\":\"y\",\"a\":2}\n",
        "{\"a\":1,\"b\":\"x\"}\r\n\r\n  {\"b\":\"y\",\"a\":2}",
        "{\"a\":1,\"b\":\"x\"}{\"b\":\"y\",\"a\":2}",
        "{\n  \"a\" : 1,\n  \"b\" : \"x\"\n}\n{\n  \"b\": \"y\",\n  \"a\": 2\n}\n",
        "[{\"a\":1,\"b\":\"x\"},{\"b\":\"y\",\"a\":2}]",
        " \n[\n{\"a\":1,\n\"b\":\"x\"} ,\n{\"b\":\"y\",\"a\":2}\n]\n \n",
        "\u{feff}[{\"a\":1,\"b\":\"x\"},{\"b\":\"y\",\"a\":2}]",
        "\u{feff}{\"a\":1,\"b\":\"x\"}\n{\"b\":\"y\",\"a\":2}",
    ] {
        let batch = guessed(content);
        let expected = [("a".to_owned(), DataType::Int64), ("b".to_owned(), DataType::Utf8View)];
        assert_eq!(types(&batch), expected, "{content}");
        assert_eq!(integers(&batch, 0), [Some(1), Some(2)], "{content}");
        assert_eq!(text(&batch, 1), [Some("x"), Some("y")], "{content}");
    }
}

#[test]
fn lines_may_be_arrays() {
    let batch = guessed("[1, 2]\n[3]\n");
    assert_eq!(types(&batch)[0].1, DataType::new_list(DataType::Int64, true));
    assert_eq!(batch.num_rows(), 2);
}

#[test]
fn columns_can_be_told() {
    let told = ReadOptions {
        types: vec![("n".to_owned(), DataType::Int64)],
        json: JsonOptions {
            columns: Some(vec!["t".to_owned(), "n".to_owned()]),
            ..JsonOptions::default()
        },
        ..ReadOptions::default()
    };
    let batch = read("{\"n\":1,\"x\":2}\n{\"t\":\"a\"}\n", &told).unwrap();
    assert_eq!(text(&batch, 0), [None, Some("a")]);
    assert_eq!(integers(&batch, 1), [Some(1), None]);
    assert_eq!(read("", &told).unwrap().num_rows(), 0);
}

#[test]
fn the_layout_can_be_forced() {
    let layout = |layout| {
        let json = JsonOptions { layout: Some(layout), ..JsonOptions::default() };
        ReadOptions { json, ..ReadOptions::default() }
    };
    let lists = read("[1,2]\n[3]\n", &layout(JsonLayout::Lines)).unwrap();
    assert_eq!(types(&lists), [("json".into(), DataType::new_list(DataType::Int64, true))]);
    assert_eq!(lists.num_rows(), 2);
    let (line, _, what) = failure("\n{\"a\":1}\n", &layout(JsonLayout::Array));
    assert_eq!(line, Some(2));
    assert!(what.contains("not an array"), "{what}");
}

#[test]
fn nothing_to_read() {
    assert!(failure("", &ReadOptions::default()).2.contains("the file is empty"));
    assert_eq!(read("", &one(DataType::Int64)).unwrap().num_rows(), 0);
    assert_eq!(read(" \n\n ", &one(DataType::Int64)).unwrap().num_rows(), 0);
    assert_eq!(guessed("[]").num_rows(), 0);
    assert_eq!(guessed(" [ \n ] \n").num_rows(), 0);
    assert_eq!(guessed("{}\n{}\n").num_rows(), 2);
}

#[test]
fn types_are_guessed() {
    let micros = TimeUnit::Microsecond;
    let batch = guessed(
        r#"{"i":1,"f":1,"t":"x","b":true,"d":"2024-02-29","ts":"2024-01-02 03:04:05","tz":"2024-01-02T03:04:05Z","h":"12:30:00","n":null,"l":[1,null],"s":{"x":1},"m":1,"big":1}
{"i":2,"f":2.5,"t":"y","b":null,"d":"2024-03-01","ts":"2024-01-02T03:04:05.5","tz":"2024-01-02 03:04:05+01:00","h":"23:59","l":[],"s":{"y":[{"z":"q"}]},"m":{"k":[1.10,"é\n"]},"big":18446744073709551616}
"#,
    );
    let nested = Fields::from(vec![Field::new("z", DataType::Utf8View, true)]);
    let inner = Fields::from(vec![
        Field::new("x", DataType::Int64, true),
        Field::new("y", DataType::new_list(DataType::Struct(nested), true), true),
    ]);
    let expected = [
        ("i", DataType::Int64),
        ("f", DataType::Float64),
        ("t", DataType::Utf8View),
        ("b", DataType::Boolean),
        ("d", DataType::Date32),
        ("ts", DataType::Timestamp(micros, None)),
        ("tz", DataType::Timestamp(micros, Some("UTC".into()))),
        ("h", DataType::Time64(micros)),
        ("n", DataType::Utf8View),
        ("l", DataType::new_list(DataType::Int64, true)),
        ("s", DataType::Struct(inner)),
        ("m", DataType::Utf8View),
        ("big", DataType::Decimal128(38, 0)),
    ];
    assert_eq!(types(&batch), expected.map(|(name, data_type)| (name.to_owned(), data_type)));
    // JSON of several kinds stays as it is written.
    assert_eq!(text(&batch, 11), [Some("1"), Some("{\"k\":[1.10,\"é\\n\"]}")]);
    let big = batch.column(12).as_primitive::<Decimal128Type>();
    assert_eq!(big.value(1), 18_446_744_073_709_551_616);
}

#[test]
fn values_that_are_not_objects_are_one_column() {
    assert_eq!(integers(&guessed("1\n2\nnull\n"), 0), [Some(1), Some(2), None]);
    let mixed = guessed("1\n\"a\"\n{\"x\":1}\n[true]\n");
    assert_eq!(types(&mixed), [("json".to_owned(), DataType::Utf8View)]);
    assert_eq!(text(&mixed, 0), [Some("1"), Some("a"), Some("{\"x\":1}"), Some("[true]")]);
    // A member of that name is a column like any other.
    assert_eq!(integers(&guessed("{\"json\":1}\n{\"json\":2}\n"), 0), [Some(1), Some(2)]);
}

#[test]
fn numbers_keep_their_digits() {
    let decimal = DataType::Decimal128(38, 10);
    assert_eq!(
        shown(decimal, &["1234567890123456789012345678.0123456789", "\"0.1\"", "1e3", "-5"]),
        [
            "1234567890123456789012345678.0123456789",
            "0.1000000000",
            "1000.0000000000",
            "-5.0000000000"
        ]
    );
    let wide = DataType::Decimal256(76, 1);
    let digits = "9".repeat(75);
    assert_eq!(shown(wide, &[&format!("-{digits}.5")]), [format!("-{digits}.5")]);
    assert_eq!(shown(DataType::UInt64, &["18446744073709551615"]), ["18446744073709551615"]);
    assert_eq!(shown(DataType::Int8, &["-128", "1.0", "12e1"]), ["-128", "1", "120"]);
    let floats = ["0.1", "1e-320", "-0.0", "123456789012345678901234567890", "\"Infinity\""];
    let found =
        read(floats.map(|value| format!("{{\"a\":{value}}}\n")).concat(), &one(DataType::Float64));
    let found = found.unwrap();
    let found = found.column(0).as_primitive::<Float64Type>();
    for (value, found) in floats.iter().zip(found.values()) {
        let expected: f64 = value.trim_matches('"').parse().unwrap();
        assert_eq!(found.to_bits(), expected.to_bits(), "{value}");
    }
    assert_eq!(guessed(format!("{{\"a\":{}}}", "9".repeat(400))).num_columns(), 1);
}

#[test]
fn every_type_is_read() {
    let micros = TimeUnit::Microsecond;
    assert_eq!(shown(DataType::Boolean, &["true", "false", "null"]), ["true", "false", "NULL"]);
    assert_eq!(shown(DataType::Date32, &["\"2024-02-29\""]), ["2024-02-29"]);
    assert_eq!(shown(DataType::Time64(micros), &["\"01:02:03.5\""]), ["01:02:03.500"]);
    assert_eq!(
        shown(DataType::Timestamp(micros, None), &["\"2024-01-02T03:04:05.25\""]),
        ["2024-01-02T03:04:05.250"]
    );
    assert_eq!(
        shown(DataType::Timestamp(micros, Some("+00:00".into())), &["\"2024-01-02 03:04:05+02\""]),
        ["2024-01-02T01:04:05Z"]
    );
    assert_eq!(shown(DataType::BinaryView, &["\"\\\\x00fF\""]), ["00ff"]);
    assert_eq!(
        shown(DataType::FixedSizeBinary(16), &["\"01234567-89ab-cdef-0123-456789abcdef\""]),
        ["0123456789abcdef0123456789abcdef"]
    );
    let vector = DataType::FixedSizeList(Field::new_list_field(DataType::Float32, false).into(), 3);
    assert_eq!(shown(vector, &["[1,2.5,-3]", "null"]), ["[1.0, 2.5, -3.0]", "NULL"]);
    let lists = DataType::new_list(DataType::new_list(DataType::Int32, true), true);
    assert_eq!(shown(lists, &["[[1],[],null,[2,null]]"]), ["[[1], [], NULL, [2, NULL]]"]);
    let entry = Fields::from(vec![
        Field::new("key", DataType::Utf8View, false),
        Field::new("value", DataType::Int64, true),
    ]);
    let entry = Field::new("entries", DataType::Struct(entry), false);
    let map = DataType::Map(entry.into(), false);
    assert_eq!(shown(map, &["{\"x\":1,\"y\":null,\"x\":2}", "{}"]), ["{y: NULL, x: 2}", "{}"]);
    assert_eq!(shown(DataType::LargeUtf8, &["\"x\"", "[1, 2]"]), ["x", "[1, 2]"]);
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    assert_eq!(shown(interval, &["\"1 month 2 days\""]), ["1 mons 2 days"]);
    let unreadable = DataType::new_large_list(DataType::Null, true);
    assert!(failure("{}", &one(unreadable)).2.contains("cannot become"));
}

#[test]
fn keys_are_columns() {
    let fields =
        || vec![Field::new("a", DataType::Int64, true), Field::new("B", DataType::Int64, true)];
    // Others are ignored, missing ones are NULL, another case counts when nothing else.
    let batch = read(
        "{\"x\":{\"a\":9},\"b\":2,\"\\u0061\":1}\n{}\n{\"a\":3,\"A\":4}\n{\"A\":4,\"a\":3}\n{\"a\":1,\"a\":{},\"a\":5}\n",
        &with_schema(fields()),
    );
    let batch = batch.unwrap();
    assert_eq!(integers(&batch, 0), [Some(1), None, Some(3), Some(3), Some(5)]);
    assert_eq!(integers(&batch, 1), [Some(2), None, None, None, None]);
}

#[test]
fn only_some_columns_are_read() {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    file.write_all(b"{\"a\":1,\"A\":2,\"b\":3}\n{\"A\":5,\"b\":6}\n").unwrap();
    let file = external::open(file.path(), &ReadOptions::default()).unwrap();
    let columns = |columns: &[usize]| {
        let batches = file.read(Some(columns)).unwrap();
        batches.collect::<Result<Vec<_>>>().unwrap().remove(0)
    };
    assert_eq!(integers(&columns(&[2, 0, 2]), 2), [Some(3), Some(6)]);
    // What a key means does not depend on the columns that are read.
    assert_eq!(integers(&columns(&[0]), 0), [Some(1), None]);
    assert_eq!(columns(&[]).num_rows(), 2);
}

#[test]
fn strings_of_all_kinds() {
    let long = "x".repeat(3 << 20);
    let content = format!(
        "{}\n{}\n{}\n{{\"a\":\"{long}\"}}\n{}",
        r#"{"a":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t\u0000"}"#,
        r#"{"a":""}"#,
        "{\"a\":\"日本語 😀 \u{7f}\"}",
        r#"{"a":"{\"x\":[1,\n"}"#,
    );
    let expected = ["é😀\"\\/\u{8}\u{c}\n\r\t\0", "", "日本語 😀 \u{7f}", &long, "{\"x\":[1,\n"];
    assert_eq!(text(&guessed(content), 0), expected.map(Some));
    for bad in [r#"{"a":"\ud800"}"#, r#"{"a":"\x"}"#, "{\"a\":\"\t\"}", "{\"a\":\"", "{\"a\":\"\\"]
    {
        let (line, column, what) = failure(bad, &one(DataType::Utf8View));
        assert_eq!((line, column.as_deref()), (Some(1), Some("a")), "{bad}: {what}");
    }
}

#[test]
fn errors_name_line_path_value_and_type() {
    let inner =
        Fields::from(vec![Field::new("b", DataType::new_list(DataType::Int32, true), true)]);
    let options = one(DataType::Struct(inner));
    let at = |path: &str| (Some(2), Some(path.to_owned()));
    let (line, column, what) = failure("{}\n{\"a\":{\"b\":[1,2,\"x\"]}}\n", &options);
    assert_eq!((line, column), at("a.b[2]"));
    assert!(what.contains("'\"x\"'") && what.contains("integer"), "{what}");
    let (line, column, what) = failure("{}\n{\"a\":{\"b\":[1,2x]}}\n{}", &options);
    assert_eq!((line, column), at("a.b[1]"));
    assert!(what.contains("not JSON at 'x]}}'"), "{what}");
    let (line, _, what) = failure("{}\n{\"a\":{\n{}\n", &options);
    assert_eq!(line, Some(2));
    assert!(what.contains("the text ends"), "{what}");
    let (line, column, what) = failure("[{},\n{\"a\":7}]", &options);
    assert_eq!((line, column), at("a"));
    assert!(what.contains("'7'"), "{what}");
    let number = one(DataType::Timestamp(TimeUnit::Microsecond, None));
    assert!(failure("{\"a\":1}", &number).2.contains("'1' is not a value of type timestamp"));
    assert!(failure("{\"a\":1e400}", &one(DataType::Float64)).2.contains("'1e400'"));
    assert!(failure("{\"a\":300}", &one(DataType::Int8)).2.contains("'300'"));
    assert!(failure("{\"a\":1.5}", &one(DataType::Int64)).2.contains("'1.5'"));
    assert!(failure("{\"a\":1}\n7\n", &one(DataType::Int64)).2.contains("is not an object"));
    let required = with_schema(vec![Field::new("a", DataType::Int64, false)]);
    assert!(failure("{\"a\":null}", &required).2.contains("must be"));
    assert!(failure("{\"b\":1}", &required).2.contains("no value for 'a'"));
    let vector = DataType::FixedSizeList(Field::new_list_field(DataType::Float32, false).into(), 2);
    for bad in ["[1]", "[1,2,3]", "[1,null]", "1"] {
        failure(format!("{{\"a\":{bad}}}"), &one(vector.clone()));
    }
    let (line, _, what) = failure(b"{\"a\":1}\n{\"b\":\"\xff\"}\n", &one(DataType::Int64));
    assert_eq!(line, Some(2));
    assert!(what.contains("not UTF-8"), "{what}");
    assert!(failure([0xff, 0xfe, b'1', 0], &one(DataType::Int64)).2.contains("UTF-16"));
}

#[test]
fn arrays_end() {
    let options = one(DataType::Int64);
    for (content, expected) in [
        ("[{\"a\":1}", "ends inside the array"),
        ("[{\"a\":1}]x", "more text follows"),
        ("[{\"a\":1},]", "a value is expected"),
        ("[{\"a\":1},,{}]", "a value is expected"),
        ("[{\"a\":1} {}]", "a comma or ] is expected"),
        ("[,{}]", "a value is expected"),
        ("[", "ends inside the array"),
    ] {
        let (_, _, what) = failure(content, &options);
        assert!(what.contains(expected), "{content}: {what}");
    }
}

#[test]
fn rejected_rows_are_skipped() {
    let content = b"{\"a\":1}\n{\"a\":\"x\"}\nnonsense\n{\"a\":{\n\xff\n{\"a\":2,\"a\":3}\n{\"a\":4} {\"a\":[]}\n[1]\n{\"a\":5}";
    let rejects = Arc::new(Rejects::new(100));
    let options = ReadOptions { rejects: Some(rejects.clone()), ..one(DataType::Int64) };
    let batch = read(content, &options).unwrap();
    assert_eq!(integers(&batch, 0), [Some(1), Some(3), Some(4), Some(5)]);
    let kept = rejects.kept();
    let lines: Vec<u64> = kept.iter().filter_map(|reject| reject.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 7, 8]);
    assert_eq!(kept[0].column.as_deref(), Some("a"));
    assert_eq!(kept[0].value.as_deref(), Some("\"x\""));
    let rejects = Arc::new(Rejects::new(100));
    let item = Field::new_list_field(DataType::Int64, false);
    let strict = one(DataType::List(item.into()));
    let options = ReadOptions { rejects: Some(rejects.clone()), ..strict };
    let batch = read("[{\"a\":[1]},{\"a\":[2,null,3]},\n{\"a\":[4,5]}]", &options).unwrap();
    assert_eq!(batch.num_rows(), 2);
    assert_eq!(rejects.count(), 1);
}

#[test]
fn deep_values_are_errors_and_not_crashes() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(guessed(nested(500)).num_rows(), 1);
    assert!(failure(nested(600), &one(DataType::Utf8View)).2.contains("512 deep"));
    let endless = format!("{{\"a\":{}", "{\"a\":".repeat(2_000_000));
    failure(&endless, &one(DataType::Utf8View));
    assert!(read(&endless, &ReadOptions::default()).is_err());
}

#[test]
fn many_columns() {
    let member = |row: usize| move |i: usize| format!("\"column {i}\":{}", i + row);
    let row = |row: usize| {
        format!("{{{}}}\n", (0..10_000).map(member(row)).collect::<Vec<_>>().join(","))
    };
    let batch = guessed(row(0) + &row(1));
    assert_eq!(batch.num_columns(), 10_000);
    assert_eq!(integers(&batch, 9_999), [Some(9_999), Some(10_000)]);
}

#[test]
fn types_of_single_columns_can_be_given() {
    let options = ReadOptions {
        types: vec![("B".to_owned(), DataType::Decimal128(10, 2))],
        ..ReadOptions::default()
    };
    let batch = read("{\"a\":1,\"b\":1.5}", &options).unwrap();
    assert_eq!(*batch.column(1).data_type(), DataType::Decimal128(10, 2));
    assert!(read("{\"a\":1}", &options).is_err());
}

#[test]
fn compressed_files() {
    let content: String = (0..100_000).map(|i| format!("{{\"a\":{i}}}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let zst = folder.path().join("t.ndjson.zst");
    std::fs::write(&zst, zstd::encode_all(content.as_bytes(), 1).unwrap()).unwrap();
    let gz = folder.path().join("t.jsonl.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    std::fs::write(&gz, encoder.finish().unwrap()).unwrap();
    for path in [zst, gz] {
        let batch = read_file(&path, &ReadOptions::default()).unwrap();
        assert_eq!(batch.num_rows(), 100_000);
        let file = external::open(&path, &ReadOptions::default()).unwrap();
        assert!(file.findings().iter().any(|(name, _)| *name == "compression"));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(read_file(&path, &ReadOptions::default()).is_err());
    }
}

#[test]
fn rows_keep_their_order_on_several_threads() {
    let row = |i: usize| format!("{{\"id\":{i},\"pad\":\"{}\"}}", "é".repeat(i % 500));
    for (open, between, close) in [("", "\n", ""), ("[", ",\n", "]")] {
        let rows: Vec<String> = (0..60_000).map(row).collect();
        let content = format!("{open}{}{close}", rows.join(between));
        for threads in [1, 3] {
            let options = ReadOptions { threads, ..ReadOptions::default() };
            let batch = read(&content, &options).unwrap();
            assert!((0..60_000).map(Some).eq(integers(&batch, 0)));
        }
    }
}
