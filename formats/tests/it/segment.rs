//! Segments give back exactly the types and values that were written.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use proptest::prelude::*;
use sheaf_formats::Error;
use sheaf_formats::segment::{self, Effort, Encoding, ScanRequest, SegmentReader, collect};

use crate::support::{every_type, open, segment, write, write_with};

const ENCODINGS: [Encoding; 2] = [Encoding::Vortex, Encoding::Parquet];

fn scan_all(reader: &dyn SegmentReader) -> RecordBatch {
    let projection = (0..reader.schema().fields().len()).collect();
    let request = ScanRequest { projection, ordered: true, ..ScanRequest::default() };
    let batches = collect(reader.scan(request).unwrap()).unwrap();
    arrow::compute::concat_batches(reader.schema(), &batches).unwrap()
}

/// Equal in type and value; NULL slots and dictionary order may differ.
fn assert_same(found: &RecordBatch, expected: &RecordBatch) {
    assert_eq!(found.num_rows(), expected.num_rows());
    for (index, field) in expected.schema().fields().iter().enumerate() {
        let (a, b) = (found.column(index), expected.column(index));
        assert_eq!(a.data_type(), b.data_type(), "type of {}", field.name());
        let flat = |array: &ArrayRef| match array.data_type() {
            DataType::Dictionary(_, value) => arrow::compute::cast(array, value).unwrap(),
            _ => array.clone(),
        };
        assert_eq!(
            format!("{:?}", bits(&flat(a))),
            format!("{:?}", bits(&flat(b))),
            "{}",
            field.name()
        );
        assert_eq!(&flat(a).to_data(), &flat(b).to_data(), "values of {}", field.name());
    }
}

/// Floats as bits, as NaN differs from itself.
fn bits(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float32 => {
            Arc::new(array.as_primitive::<Float32Type>().unary::<_, UInt32Type>(f32::to_bits))
        }
        DataType::Float64 => {
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, UInt64Type>(f64::to_bits))
        }
        _ => array.clone(),
    }
}

fn same_columns(batch: &RecordBatch) -> RecordBatch {
    // NaNs cannot be compared as data, so they go in as bits.
    let columns: Vec<(String, ArrayRef, bool)> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| (field.name().clone(), bits(array), true))
        .collect();
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

#[test]
fn every_type_round_trips() {
    for (encoding, effort) in
        ENCODINGS.into_iter().flat_map(|e| [(e, Effort::Quick), (e, Effort::Thorough)])
    {
        for rows in [0, 1, 8, 3_000] {
            let batch = every_type(rows);
            let batches = std::slice::from_ref(&batch);
            let (bytes, _) = write_with(encoding, effort, &batch.schema(), batches).unwrap();
            let reader = open(encoding, &batch.schema(), bytes).unwrap();
            assert_eq!(reader.rows(), rows as u64);
            let found = scan_all(reader.as_ref());
            assert_eq!(found.schema(), batch.schema());
            assert_same(&same_columns(&found), &same_columns(&batch));
            assert!(reader.verify().unwrap() > 4096);
        }
    }
}

#[test]
fn sliced_batches_round_trip() {
    for encoding in ENCODINGS {
        let batch = every_type(1_000);
        let parts = [batch.slice(0, 100), batch.slice(100, 0), batch.slice(100, 900)];
        let reader = segment(encoding, &batch.schema(), &parts);
        assert_same(&same_columns(&scan_all(reader.as_ref())), &same_columns(&batch));
    }
}

#[test]
fn taken_rows_are_the_rows() {
    let batch = every_type(20_000);
    for encoding in ENCODINGS {
        let reader = segment(encoding, &batch.schema(), std::slice::from_ref(&batch));
        let all: Vec<usize> = (0..batch.num_columns()).rev().collect();
        let ordinals: Vec<Vec<u64>> = vec![
            vec![],
            vec![0],
            vec![19_999],
            vec![5, 6, 7, 9_000, 19_998],
            (8_190..8_200).collect(),
            (100..17_000).collect(),
            (0..20_000).step_by(3).collect(),
        ];
        for ordinals in ordinals {
            let found = reader.take(&ordinals, &all).unwrap();
            let indices = UInt64Array::from(ordinals.clone());
            let expected =
                arrow::compute::take_record_batch(&batch.project(&all).unwrap(), &indices).unwrap();
            assert_same(&same_columns(&found), &same_columns(&expected));
            assert_eq!(reader.take(&ordinals, &[]).unwrap().num_rows(), ordinals.len());
        }
        assert!(reader.take(&[20_000], &all).is_err());
        assert!(reader.take(&[3, 2], &all).is_err());
        assert!(reader.take(&[0], &[999]).is_err());
    }
}

#[test]
fn what_cannot_be_stored_is_refused_by_name() {
    let fields = UnionFields::try_new([0], [Field::new("x", DataType::Int32, true)]).unwrap();
    let union = DataType::Union(fields, UnionMode::Dense);
    let schema = Arc::new(Schema::new(vec![Field::new("u", union, true)]));
    for encoding in ENCODINGS {
        let error = segment::format(encoding).check_schema(&schema).unwrap_err();
        assert!(
            matches!(&error, Error::UnsupportedType { column, .. } if column == "u"),
            "{error}"
        );
    }
}

#[test]
fn renamed_columns_read_under_their_new_name() {
    let batch = every_type(10);
    let fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_name(format!("new {}", field.name())))
        .collect();
    let renamed = Arc::new(Schema::new(fields));
    for encoding in ENCODINGS {
        let (bytes, _) = write(encoding, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
        let reader = open(encoding, &renamed, bytes).unwrap();
        assert_eq!(scan_all(reader.as_ref()).schema(), renamed);
    }
}

#[test]
fn an_error_of_the_input_ends_the_writing() {
    let batch = every_type(10);
    for encoding in ENCODINGS {
        let out: Box<dyn std::io::Write + Send> = Box::new(Vec::new());
        let out = sheaf_formats::envelope::Writer::new(
            out,
            sheaf_formats::envelope::FileKind::Segment,
            crate::support::IDENTITY,
        )
        .unwrap();
        let mut batches = [Ok(batch.clone()), Err(Error::Invalid("stop".to_owned()))].into_iter();
        let error = segment::format(encoding)
            .write(&batch.schema(), &mut batches, Effort::Thorough, out)
            .unwrap_err();
        assert_eq!(error.to_string(), "stop");
    }
}

#[test]
fn corrupt_bytes_are_found() {
    let batch = every_type(200);
    for encoding in ENCODINGS {
        let (bytes, _) = write(encoding, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
        let step = bytes.len() / 60;
        for at in (0..bytes.len()).step_by(step) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            let found = open(encoding, &batch.schema(), damaged).and_then(|reader| reader.verify());
            assert!(matches!(found, Err(Error::Corrupt { .. })), "byte {at}: {found:?}");
        }
        for len in (0..bytes.len()).step_by(step) {
            assert!(open(encoding, &batch.schema(), bytes[..len].to_vec()).is_err());
        }
    }
}

#[test]
fn statistics_are_stored() {
    let batch = every_type(1_000);
    for encoding in ENCODINGS {
        let (bytes, written) =
            write(encoding, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
        let reader = open(encoding, &batch.schema(), bytes).unwrap();
        assert_eq!(format!("{:?}", reader.statistics()), format!("{written:?}"));
        let required = &reader.statistics().columns[batch.num_columns() - 1];
        assert_eq!((required.nulls, required.exact), (0, true));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_columns_round_trip(
        ints in prop::collection::vec(prop::option::of(any::<i64>()), 0..400),
        floats in prop::collection::vec(prop::option::of(any::<f64>()), 400),
        texts in prop::collection::vec(prop::option::of(".{0,40}"), 400),
        repeat in 1_usize..20,
    ) {
        let rows = ints.len() * repeat;
        let cycle = |i: usize| i % ints.len().max(1);
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("i", Arc::new((0..rows).map(|r| ints[cycle(r)]).collect::<Int64Array>()) as ArrayRef, true),
            ("f", Arc::new((0..rows).map(|r| floats[cycle(r)]).collect::<Float64Array>()) as _, true),
            ("t", Arc::new((0..rows).map(|r| texts[cycle(r)].clone()).collect::<StringViewArray>()) as _, true),
        ]).unwrap();
        for encoding in ENCODINGS {
            let reader = segment(encoding, &batch.schema(), std::slice::from_ref(&batch));
            assert_same(&same_columns(&scan_all(reader.as_ref())), &same_columns(&batch));
        }
    }
}

/// Row decoding leaves odd values under NULLs: the smallest decimal, NULL children.
#[test]
fn what_lies_under_a_null_does_not_matter() {
    use arrow::buffer::NullBuffer;

    let nulls = || Some(NullBuffer::from(vec![true, false]));
    let decimals = Decimal128Array::new(vec![125, i128::MIN].into(), nulls())
        .with_precision_and_scale(10, 2)
        .unwrap();
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let children = Float32Array::from(vec![Some(1.0), Some(2.0), None, None]);
    // Such a child is only made by unchecked code, as row decoding is.
    let list = ArrayData::builder(DataType::FixedSizeList(item, 2))
        .len(2)
        .nulls(nulls())
        .add_child_data(Array::to_data(&children));
    // SAFETY: lengths fit; only the nullability of the child is unusual.
    let list = FixedSizeListArray::from(unsafe { list.build_unchecked() });
    let columns: Vec<ArrayRef> = vec![Arc::new(decimals), Arc::new(list)];
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, c)| Field::new(format!("c{i}"), c.data_type().clone(), true))
        .collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    for encoding in [Encoding::Vortex, Encoding::Parquet] {
        let reader = segment(encoding, &batch.schema(), std::slice::from_ref(&batch));
        let request =
            ScanRequest { projection: vec![0, 1], ordered: true, ..ScanRequest::default() };
        let read = collect(reader.scan(request).unwrap()).unwrap();
        assert_eq!(read[0].column(0), batch.column(0), "{encoding:?}");
        assert!(read[0].column(1).is_null(1) && read[0].column(1).is_valid(0), "{encoding:?}");
    }
}
