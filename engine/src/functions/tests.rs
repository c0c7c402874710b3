//! The functions through SQL, with PostgreSQL's dialect.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::config::Dialect;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

use crate::sql::SheafTypes;

fn context() -> SessionContext {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_type_planner(Arc::new(SheafTypes))
        .build();
    super::register(&mut state).unwrap();
    SessionContext::new_with_state(state)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn try_run(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    block_on(async { context.sql(sql).await?.collect().await })
}

fn run(context: &SessionContext, sql: &str) -> Vec<Vec<String>> {
    try_run(context, sql)
        .unwrap_or_else(|e| panic!("{sql}: {e}"))
        .iter()
        .flat_map(|batch| {
            (0..batch.num_rows()).map(|row| {
                batch.columns().iter().map(|c| array_value_to_string(c, row).unwrap()).collect()
            })
        })
        .collect()
}

fn cell(sql: &str) -> String {
    run(&context(), sql)[0][0].clone()
}

fn error(context: &SessionContext, sql: &str) -> String {
    try_run(context, sql).unwrap_err().to_string()
}

/// Three vectors and a NULL.
fn with_points() -> SessionContext {
    let context = context();
    run(
        &context,
        "CREATE TABLE p AS SELECT column1 AS id, column2::vector(2) AS v, column2::halfvec(2) AS h
         FROM (VALUES (1, '[3,4]'), (2, '[0,1]'), (3, '[1,0]'), (4, NULL))",
    );
    context
}

#[test]
fn functions_measure_constants() {
    assert_eq!(cell("SELECT l2_distance('[0,0]', '[3,4]')"), "5.0");
    assert_eq!(cell("SELECT l1_distance(ARRAY[1,2], ARRAY[3,5])"), "5.0");
    assert_eq!(cell("SELECT inner_product('[1,2]', ARRAY[3,4])"), "11.0");
    assert_eq!(cell("SELECT negative_inner_product('[1,2]', '[3,4]')"), "-11.0");
    assert_eq!(cell("SELECT cosine_distance('[1,0]', '[0,2]')"), "1.0");
    assert_eq!(cell("SELECT l2_distance('[1,2]', NULL)"), "");
}

#[test]
fn operators_measure_columns() {
    let context = with_points();
    let by = |expr: &str| run(&context, &format!("SELECT id, {expr} FROM p ORDER BY id"));
    assert_eq!(by("v <-> '[0,0]'"), [["1", "5.0"], ["2", "1.0"], ["3", "1.0"], ["4", ""]]);
    assert_eq!(by("'[1,1]' <#> v"), [["1", "-7.0"], ["2", "-1.0"], ["3", "-1.0"], ["4", ""]]);
    assert_eq!(by("v <=> ARRAY[0, 2]")[1], ["2", "0.0"]);
    assert_eq!(by("h <-> '[0,0]'"), [["1", "5.0"], ["2", "1.0"], ["3", "1.0"], ["4", ""]]);
    assert_eq!(by("h <-> v"), [["1", "0.0"], ["2", "0.0"], ["3", "0.0"], ["4", ""]]);
    assert_eq!(by("v <-> ARRAY[id, 0]::vector(2)")[2], ["3", "2.0"]);
    assert_eq!(run(&context, "SELECT id FROM p ORDER BY v <-> '[2,3]' LIMIT 1"), [["1"]]);
    assert_eq!(run(&context, "SELECT count(*) FROM p WHERE v <-> '[0,0]' < 2"), [["2"]]);
    assert_eq!(
        run(&context, "SELECT a.id FROM p a JOIN p b ON a.v <-> b.v < 0.5 AND b.id = 2"),
        [["2"]]
    );
}

#[test]
fn operators_without_vectors_mean_what_they_meant() {
    assert_eq!(cell("SELECT NULL <=> NULL"), "true");
    assert!(try_run(&context(), "SELECT 1 <-> 2").is_err());
}

#[test]
fn constants_are_vectors_in_the_plan() {
    let context = with_points();
    let plan =
        run(&context, "EXPLAIN SELECT v <-> '[1,2]', v <=> ARRAY[1,2], h <#> '[1,2]' FROM p");
    assert!(!plan[0][1].contains("Utf8"), "{}", plan[0][1]);
    assert_eq!(plan[0][1].matches("FixedSizeList([1.0, 2.0])").count(), 2, "{}", plan[0][1]);
}

#[test]
fn parameters_become_vectors() {
    let context = with_points();
    for value in [
        ScalarValue::from("[0,0]"),
        ScalarValue::List(ScalarValue::new_list_nullable(
            &[0.0, 0.0].map(ScalarValue::from),
            &DataType::Float64,
        )),
    ] {
        let rows = block_on(async {
            let frame = context.sql("SELECT id FROM p WHERE v <-> $1 > 2").await.unwrap();
            frame.with_param_values(vec![value]).unwrap().collect().await.unwrap()
        });
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    }
}

#[test]
fn a_mismatch_is_found_in_planning_and_names_both_dimensions() {
    let context = with_points();
    for sql in [
        "SELECT v <-> '[1,2,3]' FROM p",
        "SELECT v <=> ARRAY[1,2,3] FROM p",
        "SELECT l2_distance(v, '[1,2,3]') FROM p",
        "SELECT v <-> '[1,2,3]'::vector(3) FROM p",
    ] {
        let planned = block_on(async { context.sql(sql).await?.create_physical_plan().await });
        let message = planned.unwrap_err().to_string();
        assert!(message.contains("different vector dimensions 2 and 3"), "{sql}: {message}");
    }
    assert!(error(&context, "SELECT '[1,2]'::vector(3)").contains("dimensions 3 and 2"));
    assert!(error(&context, "SELECT v <-> 'nonsense' FROM p").contains("is not a vector"));
    assert!(error(&context, "SELECT v <-> '[1,x]' FROM p").contains("'x' is not a finite number"));
    assert!(error(&context, "SELECT to_vector('[1]', 0)").contains("between 1 and"));
}

#[test]
fn casts_make_vectors() {
    assert_eq!(
        cell("SELECT arrow_typeof('[1,2,3]'::vector(3))"),
        cell("SELECT arrow_typeof(ARRAY[1,2,3]::float[3])")
    );
    assert_eq!(cell("SELECT '[1, 2.5, -3e1]'::vector(3)"), "[1.0, 2.5, -30.0]");
    assert_eq!(cell("SELECT CAST(ARRAY[1, 2] AS halfvec(2))"), "[1, 2]");
    assert_eq!(cell("SELECT CAST(NULL AS vector(2))"), "");
    assert_eq!(cell("SELECT ARRAY[1, NULL]::vector(2)"), "");
    assert_eq!(cell("SELECT to_vector('[1,2]', 2)"), "[1.0, 2.0]");
    assert_eq!(cell("SELECT to_halfvec(ARRAY[1,2], 2)"), "[1, 2]");
    let context = with_points();
    assert_eq!(run(&context, "SELECT v::halfvec(2) FROM p WHERE id = 1"), [["[3, 4]"]]);
    assert_eq!(
        run(&context, "SELECT ('[' || id || ',0]')::vector(2) FROM p WHERE id = 3"),
        [["[3.0, 0.0]"]]
    );
}

#[test]
fn vectors_are_measured() {
    let context = with_points();
    assert_eq!(
        run(&context, "SELECT vector_dims(v), vector_norm(v) FROM p ORDER BY id"),
        [["2", "5.0"], ["2", "1.0"], ["2", "1.0"], ["", ""]]
    );
    assert_eq!(cell("SELECT vector_norm('[3,4]'::vector(2))"), "5.0");
    assert!(error(&context, "SELECT vector_dims(id) FROM p").contains("takes a vector"));
}

#[test]
fn time_functions_are_there() {
    assert_eq!(
        cell("SELECT time_bucket('1 day', TIMESTAMP '2024-02-29 13:00:00')"),
        "2024-02-29T00:00:00"
    );
    assert_eq!(cell("SELECT last(x, t) FROM (VALUES (1, 10), (2, 20)) v(x, t)"), "2");
}
