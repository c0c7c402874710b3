//! Random expressions over random rows: DataFusion's own evaluation against the
//! predicate's.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, col, in_list, lit, not};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    CaseExpr, DynamicFilterPhysicalExpr, lit as physical_lit,
};
use datafusion::scalar::ScalarValue;
use proptest::prelude::*;
use sheaf_formats::predicate::Predicate;

use super::super::convert::{exact, implied};
use super::super::dynamic::DynamicFilter;

#[derive(Clone, Debug)]
struct Row {
    i: Option<i32>,
    j: Option<i32>,
    l: Option<i64>,
    f: Option<f64>,
    s: Option<String>,
    b: Option<bool>,
    d: Option<i32>,
    m: Option<i128>,
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!['a', 'b', 'A', '%', '_', 'ß']), 0..4)
        .prop_map(|c| c.into_iter().collect())
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![4 => (-3i32..4).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(-0.0), 1 => Just(f64::INFINITY)]
}

fn row() -> impl Strategy<Value = Row> {
    let maybe = |r: std::ops::Range<i32>| prop::option::weighted(0.8, r);
    (
        maybe(-3..4),
        maybe(-3..4),
        maybe(-3..4),
        prop::option::weighted(0.8, float()),
        prop::option::weighted(0.8, text()),
        prop::option::weighted(0.8, any::<bool>()),
        maybe(-3..4),
        maybe(-300..400),
    )
        .prop_map(|(i, j, l, f, s, b, d, m)| Row {
            i,
            j,
            l: l.map(i64::from),
            f,
            s,
            b,
            d,
            m: m.map(i128::from),
        })
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(rows.iter().map(|r| r.i).collect::<Int32Array>())),
        ("j", Arc::new(rows.iter().map(|r| r.j).collect::<Int32Array>())),
        ("l", Arc::new(rows.iter().map(|r| r.l).collect::<Int64Array>())),
        ("f", Arc::new(rows.iter().map(|r| r.f).collect::<Float64Array>())),
        ("s", Arc::new(rows.iter().map(|r| r.s.clone()).collect::<StringArray>())),
        ("v", Arc::new(rows.iter().map(|r| r.s.clone()).collect::<StringViewArray>())),
        ("b", Arc::new(rows.iter().map(|r| r.b).collect::<BooleanArray>())),
        ("d", Arc::new(rows.iter().map(|r| r.d).collect::<Date32Array>())),
        (
            "t",
            Arc::new(
                rows.iter()
                    .map(|r| r.d.map(|d| i64::from(d) * 43_200_000_000))
                    .collect::<TimestampMicrosecondArray>(),
            ),
        ),
        (
            "m",
            Arc::new(
                rows.iter()
                    .map(|r| r.m)
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(15, 2)
                    .unwrap(),
            ),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

fn operator() -> impl Strategy<Value = Operator> {
    prop::sample::select(vec![
        Operator::Eq,
        Operator::NotEq,
        Operator::Lt,
        Operator::LtEq,
        Operator::Gt,
        Operator::GtEq,
        Operator::IsDistinctFrom,
        Operator::IsNotDistinctFrom,
    ])
}

/// A column, perhaps under a cast, and a literal of the resulting type.
fn operand() -> impl Strategy<Value = (Expr, Expr)> {
    let small = -4i64..5;
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    prop_oneof![
        (-4i32..5).prop_map(|v| (col("i"), lit(v))),
        small.clone().prop_map(|v| (cast(col("i"), DataType::Int64), lit(v))),
        Just((cast(col("i"), DataType::Int64), lit(i64::MAX))),
        small.clone().prop_map(|v| (col("l"), lit(v))),
        float().prop_map(|v| (col("f"), lit(v))),
        text().prop_map(|v| (col("s"), lit(v))),
        text().prop_map(|v| (col("v"), lit(ScalarValue::Utf8View(Some(v))))),
        text().prop_map(|v| (cast(col("v"), DataType::Utf8), lit(v))),
        any::<bool>().prop_map(|v| (col("b"), lit(v))),
        (-4i32..5).prop_map(|v| (col("d"), lit(ScalarValue::Date32(Some(v))))),
        small.clone().prop_map({
            let micros = micros.clone();
            move |v| {
                (
                    cast(col("d"), micros.clone()),
                    lit(ScalarValue::TimestampMicrosecond(Some(v * 43_200_000_000), None)),
                )
            }
        }),
        small.prop_map(|v| (
            col("t"),
            lit(ScalarValue::TimestampMicrosecond(Some(v * 43_200_000_000), None))
        )),
        (-400i128..500).prop_map(|v| (col("m"), lit(ScalarValue::Decimal128(Some(v), 15, 2)))),
        (-4_000i128..5_000).prop_map(|v| (
            cast(col("m"), DataType::Decimal128(20, 3)),
            lit(ScalarValue::Decimal128(Some(v), 20, 3))
        )),
        (-4_000i128..5_000).prop_map(|v| (
            cast(col("i"), DataType::Decimal128(20, 3)),
            lit(ScalarValue::Decimal128(Some(v), 20, 3))
        )),
        Just((col("i"), lit(ScalarValue::Int32(None)))),
        Just((col("s"), lit(ScalarValue::Utf8(None)))),
    ]
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        6 => (operand(), operator(), any::<bool>()).prop_map(|((column, value), op, flip)| {
            if flip { binary_expr(value, op.swap().unwrap_or(op), column) } else { binary_expr(column, op, value) }
        }),
        2 => (operator(), any::<bool>()).prop_map(|(op, same)| {
            binary_expr(col("i"), op, if same { col("i") } else { col("j") })
        }),
        2 => (prop::collection::vec(prop::option::weighted(0.9, -4i32..5), 1..9), any::<bool>(), any::<bool>())
            .prop_map(|(values, negated, wide)| {
                let column = if wide { cast(col("i"), DataType::Int64) } else { col("i") };
                let values = values.into_iter().map(|v| if wide { lit(ScalarValue::Int64(v.map(i64::from))) } else { lit(ScalarValue::Int32(v)) });
                in_list(column, values.collect(), negated)
            }),
        1 => (prop::collection::vec(text(), 1..7), any::<bool>())
            .prop_map(|(values, negated)| in_list(col("s"), values.into_iter().map(lit).collect(), negated)),
        2 => (text(), 0u8..4).prop_map(|(pattern, kind)| {
            let (column, pattern) = (col("s"), lit(pattern));
            match kind {
                0 => column.like(pattern),
                1 => column.not_like(pattern),
                2 => column.ilike(pattern),
                _ => column.not_ilike(pattern),
            }
        }),
        1 => prop::sample::select(vec!["i", "f", "s", "b"]).prop_map(|c| col(c).is_null()),
        1 => prop::sample::select(vec!["i", "f", "s", "b"]).prop_map(|c| col(c).is_not_null()),
        1 => Just(col("b")),
        1 => any::<bool>().prop_map(lit),
        // What predicates cannot say.
        1 => (-4i32..5).prop_map(|v| binary_expr(col("i") + col("j"), Operator::Gt, lit(v))),
    ]
}

fn expression() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            inner.prop_map(not),
        ]
    })
}

fn physical(expr: Expr, batch: &RecordBatch) -> Arc<dyn PhysicalExpr> {
    let schema = DFSchema::try_from(batch.schema()).unwrap();
    SessionContext::new().state().create_physical_expr(expr, &schema).unwrap()
}

fn evaluate(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> BooleanArray {
    let values = expr.evaluate(batch).unwrap().into_array(batch.num_rows()).unwrap();
    values.as_boolean().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn exact_predicates_agree_row_by_row(
        rows in prop::collection::vec(row(), 1..12),
        expr in expression(),
    ) {
        let batch = batch(&rows);
        let expr = physical(expr, &batch);
        if let Some(predicate) = exact(&expr, &batch.schema()) {
            let (got, want) = (predicate.evaluate(&batch).unwrap(), evaluate(&expr, &batch));
            prop_assert_eq!(got.iter().collect::<Vec<_>>(), want.iter().collect::<Vec<_>>(), "{} as {}", expr, predicate);
        }
    }

    #[test]
    fn implied_predicates_pass_what_the_expression_passes(
        rows in prop::collection::vec(row(), 1..12),
        branches in prop::collection::vec(expression(), 1..4),
        otherwise in prop::option::of(any::<bool>()),
        cased: bool,
    ) {
        let batch = batch(&rows);
        let mut branches: Vec<_> = branches.into_iter().map(|e| physical(e, &batch)).collect();
        let expr: Arc<dyn PhysicalExpr> = if cased {
            // As a hash join says it: CASE i WHEN 0 THEN … WHEN 1 THEN … ELSE … END
            let when = branches.into_iter().enumerate().map(|(i, then)| (physical_lit(i as i32), then)).collect();
            Arc::new(CaseExpr::try_new(Some(physical(col("i"), &batch)), when, otherwise.map(|o| physical_lit(o) as _)).unwrap())
        } else {
            branches.remove(0)
        };
        let dynamic = DynamicFilterPhysicalExpr::new(vec![], physical_lit(true));
        dynamic.update(Arc::clone(&expr)).unwrap();
        let dynamic: Arc<dyn PhysicalExpr> = Arc::new(dynamic);
        let predicate = implied(&dynamic, &batch.schema()).unwrap_or(Predicate::Literal(true));
        let (got, want) = (predicate.evaluate(&batch).unwrap(), evaluate(&expr, &batch));
        for (got, want) in got.iter().zip(&want) {
            prop_assert!(want != Some(true) || got == Some(true), "{} as {}", expr, predicate);
        }
        // What cannot be said is checked: the filter then means what it meant.
        let filter = DynamicFilter::new(dynamic);
        if let Some(predicate) = filter.predicate(&batch.schema()) {
            let got = predicate.evaluate(&batch).unwrap();
            for (got, want) in got.iter().zip(&want) {
                prop_assert_eq!(got == Some(true), want == Some(true), "{} as {}", expr, predicate);
            }
        }
    }
}

#[test]
fn most_of_a_conjunction_is_implied() {
    let batch = batch(&[]);
    let expr = binary_expr(col("i") + col("j"), Operator::Gt, lit(1))
        .and(col("i").gt(lit(3)))
        .and(col("l").lt(lit(4_i64)));
    let predicate = implied(&physical(expr, &batch), &batch.schema()).unwrap();
    assert_eq!(predicate.into_conjuncts().len(), 2);
}

#[test]
fn a_comparison_that_the_columns_type_cannot_say_stays_above() {
    let batch = batch(&[]);
    let half_day = ScalarValue::TimestampMicrosecond(Some(43_200_000_000), None);
    let midnight = ScalarValue::TimestampMicrosecond(Some(86_400_000_000), None);
    let micros = midnight.data_type();
    let converts = |value| {
        exact(&physical(cast(col("d"), micros.clone()).lt(lit(value)), &batch), &batch.schema())
            .is_some()
    };
    assert!(converts(midnight));
    assert!(!converts(half_day));
}
