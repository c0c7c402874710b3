//! Runs SQL with the functions of this crate.

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::error::Result;
use datafusion::prelude::{SessionConfig, SessionContext};

pub fn context() -> SessionContext {
    let context = SessionContext::new_with_config(
        SessionConfig::new().with_target_partitions(2).with_batch_size(64),
    );
    for function in sheaf_timeseries::scalar_functions() {
        context.register_udf(function.as_ref().clone());
    }
    for function in sheaf_timeseries::aggregate_functions() {
        context.register_udaf(function.as_ref().clone());
    }
    context
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub fn try_run(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    block_on(async { context.sql(sql).await?.collect().await })
}

/// All cells, row by row, as text.
pub fn run(context: &SessionContext, sql: &str) -> Vec<Vec<String>> {
    let batches = try_run(context, sql).unwrap();
    batches
        .iter()
        .flat_map(|batch| {
            (0..batch.num_rows()).map(|row| {
                batch.columns().iter().map(|c| array_value_to_string(c, row).unwrap()).collect()
            })
        })
        .collect()
}

/// The one cell of a one-row answer.
pub fn cell(sql: &str) -> String {
    let rows = run(&context(), sql);
    assert_eq!((rows.len(), rows[0].len()), (1, 1), "{sql}");
    rows[0][0].clone()
}

/// The message of a query that must fail.
pub fn error(sql: &str) -> String {
    try_run(&context(), sql).unwrap_err().to_string()
}
