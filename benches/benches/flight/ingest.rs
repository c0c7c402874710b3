//! Rows into a new database.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use futures::stream;
use sheaf_benches::{Failure, Report};
use sheafdb::{Database, IfMissing, IfThere, Ingest};

use crate::served::Served;
use crate::{ROWS, RUNS, expect_all};

/// Durable: by a client, and inside the process.
pub async fn run(
    folder: &Path,
    batches: Vec<RecordBatch>,
    report: &mut Report,
) -> Result<(), Failure> {
    let schema = batches.first().ok_or("there are no rows")?.schema();
    let (mut ours, mut inside) = (f64::MAX, f64::MAX);
    for run in 0..RUNS.div_ceil(2) {
        let path = folder.join(format!("inside{run}"));
        let database = Database::open(&path)?;
        let target = Ingest {
            schema: None,
            table: "t".to_owned(),
            temporary: false,
            if_missing: IfMissing::Create,
            if_there: IfThere::Fail,
        };
        let rows = stream::iter(batches.clone().into_iter().map(Ok));
        let start = Instant::now();
        let count = database.session().ingest(target, Arc::clone(&schema), rows).await?;
        expect_all(count)?;
        inside = inside.min(start.elapsed().as_secs_f64());
        let expected = check(database)?;
        std::fs::remove_dir_all(&path)?;

        let path = folder.join(format!("served{run}"));
        let served = Served::start(&path)?;
        let mut client = served.client().await?;
        let command = CommandStatementIngest {
            table_definition_options: Some(TableDefinitionOptions {
                if_not_exist: TableNotExistOption::Create.into(),
                if_exists: TableExistsOption::Fail.into(),
            }),
            table: "t".to_owned(),
            ..Default::default()
        };
        let rows = stream::iter(batches.clone().into_iter().map(Ok::<_, FlightError>));
        let start = Instant::now();
        let count = client.execute_ingest(command, rows).await?;
        expect_all(count as u64)?;
        ours = ours.min(start.elapsed().as_secs_f64());
        drop(served);
        if check(Database::open(&path)?)? != expected {
            return Err("the rows differ that were sent".into());
        }
        std::fs::remove_dir_all(&path)?;
    }
    let name = format!("ingest of {ROWS} rows over Flight, durable");
    report.times(&name, ours * 1e3, "in process", inside * 1e3);
    Ok(())
}

/// What tells one set of rows from another. On a thread outside of the executor, which blocking
/// calls want.
fn check(database: Database) -> Result<Vec<String>, Failure> {
    let sql = "SELECT count(*), sum(k), sum(a), sum(b), sum(x), count(DISTINCT name), \
               sum(price), max(at) FROM t";
    let answer = std::thread::spawn(move || sheaf_benches::answer(&database.session(), sql));
    answer.join().map_err(|_| "the check panicked")?
}
