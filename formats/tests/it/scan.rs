//! A scan returns what a loop over all rows would.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::*;
use futures::TryStreamExt;
use proptest::prelude::*;
use roaring::RoaringBitmap;
use sheaf_formats::predicate::{CompareOp, Predicate, RowCheck};
use sheaf_formats::segment::{Encoding, ScanRequest, SegmentReader, collect};
use sheaf_formats::statistics::ZONE_ROWS;

use crate::support::segment;

const ENCODINGS: [Encoding; 2] = [Encoding::Vortex, Encoding::Parquet];

/// Two zones and a bit: rising ids, few texts, floats with their odd ones, rare
/// NULLs, durations and fixed binaries that are stored as something else.
fn table(rows: usize) -> RecordBatch {
    let null = |row: usize| row % 11 == 5;
    let text = ["apple", "apricot", "banana", "Berry", "cherry"];
    let floats = [0.0, -0.0, f64::NAN, 1.5, -7.25, f64::INFINITY];
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values(0..rows as i64)) as ArrayRef, false),
        (
            "text",
            Arc::new(
                (0..rows)
                    .map(|r| (!null(r)).then(|| text[(r / 100) % 5]))
                    .collect::<StringViewArray>(),
            ) as _,
            true,
        ),
        (
            "float",
            Arc::new(
                (0..rows)
                    .map(|r| (!null(r)).then(|| floats[(r / 7) % 6]))
                    .collect::<Float64Array>(),
            ) as _,
            true,
        ),
        (
            "small",
            Arc::new(
                (0..rows)
                    .map(|r| (r % 13 != 2).then_some((r % 100) as i32))
                    .collect::<Int32Array>(),
            ) as _,
            true,
        ),
        (
            "flag",
            Arc::new((0..rows).map(|r| (!null(r)).then_some(r % 3 == 0)).collect::<BooleanArray>())
                as _,
            true,
        ),
        (
            "took",
            Arc::new(DurationMicrosecondArray::from_iter_values(
                (0..rows).map(|r| (r % 500) as i64 - 50),
            )) as _,
            true,
        ),
        (
            "key",
            Arc::new(
                FixedSizeBinaryArray::try_from_iter((0..rows).map(|r| [(r % 256) as u8, 9]))
                    .unwrap(),
            ) as _,
            true,
        ),
        (
            "price",
            Arc::new(
                Decimal64Array::from_iter_values((0..rows).map(|r| (r % 1000) as i64))
                    .with_precision_and_scale(15, 2)
                    .unwrap(),
            ) as _,
            true,
        ),
        (
            "day",
            Arc::new(Date32Array::from_iter_values((0..rows).map(|r| (r / 1000) as i32))) as _,
            true,
        ),
    ])
    .unwrap()
}

fn expected(batch: &RecordBatch, request: &ScanRequest) -> RecordBatch {
    let keep: BooleanArray = (0..batch.num_rows())
        .map(|row| {
            let gone = request.excluded.as_ref().is_some_and(|bits| bits.contains(row as u32));
            let inside = request.rows.as_ref().is_none_or(|rows| rows.contains(&(row as u64)));
            Some(inside && !gone)
        })
        .collect();
    let mut kept = batch.clone();
    let mut mask = keep;
    if let Some(predicate) = &request.predicate {
        mask = arrow::compute::and_kleene(&mask, &predicate.evaluate(batch).unwrap()).unwrap();
    }
    kept = filter_record_batch(&kept, &mask).unwrap();
    let limit = request.limit.unwrap_or(u64::MAX).min(kept.num_rows() as u64) as usize;
    kept.slice(0, limit).project(&request.projection).unwrap()
}

fn check(reader: &dyn SegmentReader, batch: &RecordBatch, request: ScanRequest) {
    let expected = expected(batch, &request);
    let found = collect(reader.scan(request.clone()).unwrap()).unwrap();
    let found = concat_batches(&expected.schema(), &found).unwrap();
    let what = request.predicate.as_ref().map(ToString::to_string);
    assert_eq!(found.num_rows(), expected.num_rows(), "{what:?} {request:?}");
    let text = |batch: &RecordBatch| format!("{:?}", batch.columns());
    if request.ordered {
        assert_eq!(text(&found), text(&expected), "{what:?}");
        for (a, b) in found.columns().iter().zip(expected.columns()) {
            if *a.data_type() != DataType::Float64 {
                assert_eq!(a, b, "{what:?}");
            }
        }
    }
}

fn value(array: impl Array + 'static) -> Scalar<ArrayRef> {
    Scalar::new(Arc::new(array))
}

fn compare(column: usize, op: CompareOp, value: Scalar<ArrayRef>) -> Predicate {
    Predicate::Compare { column, op, value }
}

fn like(pattern: &str, negated: bool, case_insensitive: bool) -> Predicate {
    Predicate::Like { column: 1, pattern: pattern.to_owned(), negated, case_insensitive }
}

/// Lets rows pass whose ids leave a small remainder, or NULLs in a second column.
#[derive(Debug)]
struct Remainder {
    of: i64,
    below: i64,
}

impl std::fmt::Display for Remainder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#0 % {} < {}", self.of, self.below)
    }
}

impl RowCheck for Remainder {
    fn check(&self, columns: &[ArrayRef]) -> sheaf_formats::Result<BooleanArray> {
        let ids = columns[0].as_primitive::<Int64Type>();
        Ok((0..ids.len())
            .map(|row| {
                let other = columns.get(1).is_none_or(|column| column.is_valid(row));
                other.then(|| ids.value(row) % self.of < self.below)
            })
            .collect())
    }
}

fn remainder(columns: &[usize], of: i64, below: i64, implied: Option<Predicate>) -> Predicate {
    Predicate::Check {
        columns: columns.to_vec(),
        check: Arc::new(Remainder { of, below }),
        implied: implied.map(Box::new),
    }
}

fn predicates() -> Vec<Predicate> {
    use CompareOp::*;
    let int = |v: i64| value(Int64Array::from(vec![v]));
    let float = |v: f64| value(Float64Array::from(vec![v]));
    let z = ZONE_ROWS as i64;
    let mut all = vec![
        Predicate::Literal(true),
        Predicate::Literal(false),
        compare(0, Eq, int(70_000)),
        compare(0, Lt, int(10)),
        compare(0, GtEq, int(z)),
        compare(0, Gt, int(10_000_000)),
        compare(0, Eq, value(Int64Array::from(vec![None]))),
        compare(1, Eq, value(StringViewArray::from(vec!["banana"]))),
        compare(1, Gt, value(StringViewArray::from(vec!["banana"]))),
        compare(
            7,
            Lt,
            value(Decimal64Array::from(vec![250]).with_precision_and_scale(15, 2).unwrap()),
        ),
        compare(8, Eq, value(Date32Array::from(vec![66]))),
        compare(5, LtEq, value(DurationMicrosecondArray::from(vec![-49]))),
        compare(
            6,
            Gt,
            value(FixedSizeBinaryArray::try_from_iter([[250_u8, 9]].into_iter()).unwrap()),
        ),
        Predicate::IsNull(1),
        Predicate::IsNotNull(3),
        Predicate::IsTrue(4),
        Predicate::Not(Box::new(Predicate::IsTrue(4))),
        like("ap%", false, false),
        like("%rry", true, false),
        like("b%", false, true),
        like("ban\\ana", false, false),
        Predicate::In {
            column: 1,
            values: Arc::new(StringViewArray::from(vec!["apple", "cherry"])),
            negated: false,
        },
        Predicate::In {
            column: 3,
            values: Arc::new(Int32Array::from(vec![1, 2, 3, 50])),
            negated: true,
        },
        Predicate::In {
            column: 0,
            values: Arc::new(Int64Array::from_iter_values((0..300).map(|v| v * 7))),
            negated: false,
        },
        Predicate::CompareColumns { left: 0, op: NotEq, right: 0 },
    ];
    for op in [Eq, NotEq, Lt, LtEq, Gt, GtEq] {
        for v in [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, -100.0] {
            all.push(compare(2, op, float(v)));
        }
    }
    all.push(remainder(&[0], 1_000, 3, None));
    all.push(remainder(&[0], 1_000, 950, None));
    all.push(remainder(&[0], 1_000, 0, None));
    all.push(remainder(&[0], 1, 1, None));
    // Most zones cannot have the only id that passes.
    all.push(remainder(&[0], i64::MAX, 1, Some(compare(0, LtEq, int(0)))));
    all.push(Predicate::Not(Box::new(remainder(&[0, 3], 100, 60, None))));
    all.push(Predicate::And(vec![all[4].clone(), all[7].clone(), like("b\\an%", false, false)]));
    all.push(Predicate::Or(vec![all[3].clone(), all[8].clone(), Predicate::IsNull(2)]));
    all.push(Predicate::Or(vec![all[3].clone(), compare(0, Gt, int(2 * z))]));
    all.push(Predicate::Not(Box::new(Predicate::And(vec![all[4].clone(), Predicate::IsTrue(4)]))));
    all
}

fn every_seventh(rows: usize) -> Arc<RoaringBitmap> {
    Arc::new((0..rows as u32).filter(|row| row % 7 == 0).collect())
}

#[test]
fn predicates_alone_and_with_everything_else() {
    let rows = 2 * ZONE_ROWS + 777;
    let batch = table(rows);
    for encoding in ENCODINGS {
        let reader = segment(encoding, &batch.schema(), std::slice::from_ref(&batch));
        for predicate in predicates() {
            let plain = ScanRequest {
                projection: vec![1, 0, 2],
                predicate: Some(predicate.clone()),
                ordered: true,
                ..ScanRequest::default()
            };
            check(reader.as_ref(), &batch, plain.clone());
            let full = ScanRequest {
                projection: vec![5, 6],
                excluded: Some(every_seventh(rows)),
                rows: Some(900..2 * ZONE_ROWS as u64 + 5),
                limit: Some(1_234),
                ..plain.clone()
            };
            check(reader.as_ref(), &batch, full);
            check(
                reader.as_ref(),
                &batch,
                ScanRequest { projection: vec![], ordered: false, ..plain },
            );
        }
    }
}

#[test]
fn counting_reads_nothing() {
    let batch = table(5_000);
    for encoding in ENCODINGS {
        let reader = segment(encoding, &batch.schema(), std::slice::from_ref(&batch));
        let request = ScanRequest {
            excluded: Some(every_seventh(5_000)),
            rows: Some(10..4_000),
            ..ScanRequest::default()
        };
        check(reader.as_ref(), &batch, request.clone());
        check(reader.as_ref(), &batch, ScanRequest { limit: Some(17), ..request });
        check(reader.as_ref(), &batch, ScanRequest { limit: Some(0), ..ScanRequest::default() });
    }
}

#[test]
fn a_column_may_be_asked_for_twice_and_a_wrong_one_is_an_error() {
    let batch = table(1_000);
    for encoding in ENCODINGS {
        let reader = segment(encoding, &batch.schema(), std::slice::from_ref(&batch));
        let fields = vec![batch.schema().field(0).clone(), batch.schema().field(0).clone()];
        let request =
            ScanRequest { projection: vec![0, 0], ordered: true, ..ScanRequest::default() };
        let found = collect(reader.scan(request).unwrap()).unwrap();
        assert_eq!(found[0].schema().fields(), &Fields::from(fields));
        let request = ScanRequest { projection: vec![99], ..ScanRequest::default() };
        assert!(reader.scan(request).is_err());
    }
}

/// The same scan from a plain thread, from a tokio runtime, and from a tokio thread
/// that is blocked: none hangs.
#[test]
fn scans_run_on_any_executor() {
    let batch = table(ZONE_ROWS + 10);
    let reader = segment(Encoding::Vortex, &batch.schema(), std::slice::from_ref(&batch));
    let request = || ScanRequest { projection: vec![0, 1], ..ScanRequest::default() };
    let rows = |batches: Vec<RecordBatch>| batches.iter().map(RecordBatch::num_rows).sum::<usize>();

    let stream = reader.scan(request()).unwrap();
    let plain = futures::executor::block_on(stream.try_collect()).unwrap();
    assert_eq!(rows(plain), batch.num_rows());

    let current = tokio::runtime::Builder::new_current_thread().build().unwrap();
    current.block_on(async {
        let streamed = reader.scan(request()).unwrap().try_collect().await.unwrap();
        assert_eq!(rows(streamed), batch.num_rows());
        // This blocks the runtime's only thread.
        assert_eq!(rows(collect(reader.scan(request()).unwrap()).unwrap()), batch.num_rows());
        assert_eq!(reader.take(&[1, 70_000 - 5_000], &[0]).unwrap().num_rows(), 2);
        reader.verify().unwrap();
        segment(Encoding::Vortex, &batch.schema(), std::slice::from_ref(&batch));
    });
}

fn ranges() -> impl Strategy<Value = Option<Range<u64>>> {
    prop::option::of((0_u64..70_000, 0_u64..70_000).prop_map(|(a, b)| a.min(b)..a.max(b)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_requests(
        choice in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        rows in ranges(),
        excluded in prop::collection::vec(0_u32..70_000, 0..50),
        limit in prop::option::of(0_u64..5_000),
        projection in prop::collection::vec(0_usize..9, 0..5),
    ) {
        thread_local! {
            static OPEN: (RecordBatch, Vec<Arc<dyn SegmentReader>>) = {
                let batch = table(66_000);
                let open = ENCODINGS
                    .map(|encoding| segment(encoding, &batch.schema(), std::slice::from_ref(&batch)));
                (batch, open.to_vec())
            };
        }
        let all = predicates();
        let parts: Vec<Predicate> = choice.iter().map(|index| index.get(&all).clone()).collect();
        let request = ScanRequest {
            projection,
            predicate: (!parts.is_empty()).then_some(Predicate::And(parts)),
            excluded: Some(Arc::new(excluded.into_iter().collect())),
            rows,
            limit,
            ordered: true,
        };
        OPEN.with(|(batch, open)| {
            open.iter().for_each(|reader| check(reader.as_ref(), batch, request.clone()));
        });
    }
}
