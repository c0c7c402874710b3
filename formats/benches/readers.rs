//! Kernels of the readers and writers of text, on one thread: `cargo bench -p
//! sheaf-formats`. Beside the JSON reader stands what simd-json's tape alone takes, from
//! which columns would still have to be built.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sheaf_formats::external::write::{NewFile, WriteOptions, Writer};
use sheaf_formats::external::{self, ReadOptions};

const ROWS: u64 = 50_000;

fn schema() -> SchemaRef {
    let text = DataType::Utf8View;
    Arc::new(Schema::new(vec![
        Field::new("orderkey", DataType::Int64, false),
        Field::new("linenumber", DataType::Int32, false),
        Field::new("quantity", DataType::Decimal128(15, 2), false),
        Field::new("price", DataType::Decimal128(15, 2), false),
        Field::new("flag", text.clone(), false),
        Field::new("shipdate", DataType::Date32, false),
        Field::new("instruct", text.clone(), false),
        Field::new("comment", text, false),
    ]))
}

/// Rows as text, each made by `row` from its number.
fn lines(head: &str, row: impl Fn(&mut String, u64)) -> String {
    let mut text = head.to_owned();
    (0..ROWS).for_each(|number| row(&mut text, number));
    text
}

fn csv() -> String {
    lines("orderkey,linenumber,quantity,price,flag,shipdate,instruct,comment\n", |text, n| {
        writeln!(
            text,
            "{n},{},{}.00,{}.{:02},N,1996-{:02}-{:02},DELIVER IN PERSON,\"egular courts, above {n}\"",
            n % 7,
            n % 50,
            n * 37 % 90_000,
            n % 100,
            n % 12 + 1,
            n % 28 + 1
        )
        .unwrap();
    })
}

fn ndjson() -> String {
    lines("", |text, n| {
        writeln!(
            text,
            "{{\"orderkey\":{n},\"linenumber\":{},\"quantity\":{}.00,\"price\":{}.{:02},\"flag\":\"N\",\
             \"shipdate\":\"1996-{:02}-{:02}\",\"instruct\":\"DELIVER IN PERSON\",\
             \"comment\":\"egular courts above {n}\"}}",
            n % 7,
            n % 50,
            n * 37 % 90_000,
            n % 100,
            n % 12 + 1,
            n % 28 + 1
        )
        .unwrap();
    })
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let options = ReadOptions { schema: Some(schema()), threads: 1, ..ReadOptions::default() };
    let dataset = external::open(path, &options).unwrap();
    dataset.read(None).unwrap().map(Result::unwrap).collect()
}

fn readers(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("csv", csv()), ("ndjson", ndjson())] {
        let path = folder.path().join(format!("t.{name}"));
        std::fs::write(&path, &text).unwrap();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(20);
        group.bench_function("read", |bencher| bencher.iter(|| black_box(read(&path))));
        if name == "ndjson" {
            group.bench_function("simd-json tape", |bencher| {
                let mut buffers = simd_json::Buffers::new(1 << 10);
                bencher.iter(|| {
                    for line in text.lines() {
                        let mut line = line.as_bytes().to_vec();
                        black_box(
                            simd_json::to_tape_with_buffers(&mut line, &mut buffers).unwrap(),
                        );
                    }
                });
            });
        }
        let batches = read(&path);
        let out = folder.path().join(format!("out.{name}"));
        group.bench_function("write", |bencher| {
            bencher.iter(|| {
                let options = WriteOptions { threads: 1, ..WriteOptions::default() };
                let target = Box::new(NewFile::create(&out).unwrap());
                let mut writer = Writer::new(target, &schema(), &options).unwrap();
                batches.iter().for_each(|batch| writer.write(batch.clone()).unwrap());
                writer.finish().unwrap()
            });
        });
        group.finish();
    }
}

criterion_group!(kernels, readers);
criterion_main!(kernels);
