//! A scan of a Sheaf table beside the same rows in bare Vortex files under plain
//! DataFusion: what snapshots, checksums and delete vectors cost.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::{FileFormatFactory, format_as_file_type};
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use sheaf_benches::{Failure, Report, flights, timed};
use sheafdb::{Database, Session};
use tokio::runtime::Runtime;
use vortex_datafusion::VortexFormatFactory;

const QUERIES: &[(&str, &str)] = &[
    ("count", "SELECT count(*) FROM f"),
    ("sum of three columns", "SELECT sum(dep_delay), sum(arr_delay), sum(distance) FROM f"),
    (
        "every column",
        "SELECT count(tailnum), count(dest), count(origin), sum(flight), sum(air_time), sum(distance), sum(dep_delay), sum(arr_delay), sum(hour), sum(minute), min(time_hour), sum(month), sum(day), sum(dep_time), sum(sched_dep_time), sum(arr_time), sum(sched_arr_time), count(carrier), sum(year) FROM f",
    ),
    ("month and day", "SELECT count(*), sum(arr_delay) FROM f WHERE month = 7 AND day = 4"),
    ("month", "SELECT count(*), sum(arr_delay) FROM f WHERE month = 7"),
    ("destination", "SELECT count(*), sum(arr_delay) FROM f WHERE dest = 'LAX'"),
    (
        "group by",
        "SELECT carrier, month, avg(arr_delay) FROM f GROUP BY carrier, month ORDER BY 1, 2",
    ),
];

/// Columns to filter by, and how a value is written: a time by which the rows are
/// ordered, an integer and a text by which they are not.
const FILTERS: &[(&str, &str)] =
    &[("time_hour", "TIMESTAMP '{}'"), ("flight", "{}"), ("tailnum", "'{}'")];
/// The share of the rows that filters keep, about, in tenths of a percent.
const KEPT: &[usize] = &[1, 10, 100, 500, 1_000];

const RUNS: usize = 21;

fn main() -> Result<(), Failure> {
    let runtime = Runtime::new()?;
    let batches = flights(12)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let folder = tempfile::tempdir()?;
    let threads = std::thread::available_parallelism()?.get();
    let mut report = Report::new("scan");
    println!("{rows} rows of flights, {threads} threads, median of {RUNS} runs, alternating");

    let bare = SessionContext::new_with_config(
        SessionConfig::new().with_target_partitions(threads).with_batch_size(8192),
    );
    let files = folder.path().join("bare");
    std::fs::create_dir(&files)?;
    runtime.block_on(write_bare(&bare, &files, &batches))?;

    let database = Database::open(folder.path().join("db"))?;
    let session = database.session();
    runtime.block_on(load(&database, &batches))?;

    // `-- every` runs the queries whose names hold "every".
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let wanted = wanted.unwrap_or_default();
    let mut queries: Vec<(String, String)> =
        QUERIES.iter().map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned())).collect();
    for (column, literal) in FILTERS {
        queries.extend(filters(&session, column, literal)?);
    }
    for (name, sql) in queries.iter().filter(|(name, _)| name.contains(&wanted)) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut answers = None;
        for _ in 0..RUNS {
            let (theirs_rows, time) = timed(|| runtime.block_on(ask_bare(&bare, sql)))?;
            theirs.push(time);
            let (ours_rows, time) = timed(|| ask(&session, sql))?;
            ours.push(time);
            answers = Some((ours_rows, theirs_rows));
        }
        if let Some((ours_rows, theirs_rows)) = answers
            && ours_rows != theirs_rows
        {
            return Err(format!("{name}: the answers differ\n{ours_rows}\n{theirs_rows}").into());
        }
        let (ours, theirs) = (median(ours), median(theirs));
        report.times(name, ms(ours), "bare Vortex", ms(theirs));
    }
    report.finish()
}

/// Queries that keep the smallest values of a column.
fn filters(
    session: &Session,
    column: &str,
    literal: &str,
) -> Result<Vec<(String, String)>, Failure> {
    let known = format!("FROM f WHERE {column} IS NOT NULL");
    let one = |sql: &str| ask(session, sql).map(|text| text.trim_matches(',').to_owned());
    let rows: usize = one(&format!("SELECT count(*) {known}"))?.parse()?;
    let query = |kept: &usize| {
        let at = (rows * kept / 1_000).saturating_sub(1);
        let value = one(&format!("SELECT {column} {known} ORDER BY 1 LIMIT 1 OFFSET {at}"))?;
        let value = literal.replace("{}", &value);
        let name = format!("{column}, {} %", *kept as f64 / 10.0);
        let what = "count(*), sum(arr_delay), sum(distance)";
        Ok((name, format!("SELECT {what} FROM f WHERE {column} <= {value}")))
    };
    KEPT.iter().map(query).collect()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

async fn write_bare(
    context: &SessionContext,
    folder: &Path,
    batches: &[RecordBatch],
) -> Result<(), Failure> {
    // As many rows per file as a segment has.
    let mut chunks: Vec<Vec<RecordBatch>> = vec![Vec::new()];
    let mut rows = 0;
    for batch in batches {
        if rows + batch.num_rows() > 1 << 20 {
            chunks.push(Vec::new());
            rows = 0;
        }
        rows += batch.num_rows();
        if let Some(last) = chunks.last_mut() {
            last.push(batch.clone());
        }
    }
    for (i, chunk) in chunks.into_iter().enumerate() {
        let table = MemTable::try_new(chunk[0].schema(), vec![chunk])?;
        let input = context.read_table(Arc::new(table))?.into_unoptimized_plan();
        let format = format_as_file_type(Arc::new(VortexFormatFactory::new()));
        let target = folder.join(format!("{i}.vortex")).display().to_string();
        let plan = LogicalPlanBuilder::copy_to(input, target, format, Default::default(), vec![])?
            .build()?;
        context.execute_logical_plan(plan).await?.collect().await?;
    }
    let format = VortexFormatFactory::new().default();
    let options = ListingOptions::new(format).with_file_extension("vortex");
    let url = ListingTableUrl::parse(format!("{}/", folder.display()))?;
    let config = ListingTableConfig::new(url)
        .with_listing_options(options)
        .infer_schema(&context.state())
        .await?;
    context.register_table("f", Arc::new(ListingTable::try_new(config)?))?;
    Ok(())
}

async fn load(database: &Database, batches: &[RecordBatch]) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("flights.parquet");
    let mut writer = parquet::arrow::ArrowWriter::try_new(
        std::fs::File::create(&file)?,
        batches[0].schema(),
        None,
    )?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.close()?;
    let sql = format!("CREATE TABLE f AS SELECT * FROM '{}'", file.display());
    database.session().execute(&sql).await?;
    Ok(())
}

/// The values of an answer as text. Not the names: engines call `sum(x)` differently.
fn values(batches: &[RecordBatch]) -> Result<String, Failure> {
    let table = arrow::util::pretty::pretty_format_batches(batches)?.to_string();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = |row: &str| row.split('|').map(str::trim).collect::<Vec<_>>().join(",");
    Ok(rows.map(cells).collect::<Vec<_>>().join("\n"))
}

async fn ask_bare(context: &SessionContext, sql: &str) -> Result<String, Failure> {
    let batches = context.sql(sql).await?.collect().await?;
    values(&batches)
}

fn ask(session: &Session, sql: &str) -> Result<String, Failure> {
    let output = session.query_blocking(sql, Vec::new())?;
    let batches = session.block_on(output.collect())??;
    values(&batches)
}
