//! Files as tables to plan with.
//!
//! Parquet goes through DataFusion, which prunes row groups and pages by filters.
//! Everything else, and what DataFusion has no option for, is a [`Dataset`]: one
//! ordered stream, parsed on several threads behind it. It is one partition on
//! purpose: rows come in the order of the files, and no plan can read them twice.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::Result as PlanResult;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::TryStreamExt;
use sheaf_formats::external::{Dataset, Format, Input, ReadOptions};

use super::inputs::{inputs, is_glob, paths};
use super::readings::Readings;
use super::{FileAccess, remote};
use crate::error::{Error, ErrorKind, Result};
use crate::session::blocking;

/// Batches that wait between a reader and the query.
const WAITING_MAX: usize = 4;

/// The file, glob or URL with this name as a relation; `None` when its ending is not
/// that of a format.
pub(crate) async fn named(
    state: &SessionState,
    readings: &Readings,
    name: &str,
) -> Result<Option<Arc<dyn TableProvider>>> {
    if Format::of_name(name).is_err() {
        return Ok(None);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let options = ReadOptions { threads, ..ReadOptions::default() };
    relation(state, readings, &[name.to_owned()], options).await.map(Some)
}

/// Files as a relation.
pub(crate) async fn relation(
    state: &SessionState,
    readings: &Readings,
    names: &[String],
    options: ReadOptions,
) -> Result<Arc<dyn TableProvider>> {
    let options = ReadOptions { batch_rows: state.config().batch_size().max(1), ..options };
    let access = readings.access();
    let names = &names_of(access, names)?;
    let dataset = opened(access, names, options).await?;
    if let Some(table) = parquet(state, names, &dataset).await? {
        return Ok(table);
    }
    readings.add_progress(dataset.progress());
    Ok(Arc::new(DatasetTable { dataset: Arc::new(dataset) }))
}

/// The files that names stand for, looked at far enough to know their columns.
pub(crate) async fn dataset(
    access: &FileAccess,
    names: &[String],
    options: ReadOptions,
) -> Result<Dataset> {
    opened(access, &names_of(access, names)?, options).await
}

/// The files, patterns and URLs that the session means by the names.
fn names_of(access: &FileAccess, names: &[String]) -> Result<Vec<String>> {
    names.iter().map(|name| Ok(access.name(name)?.into_owned())).collect()
}

async fn opened(access: &FileAccess, names: &[String], options: ReadOptions) -> Result<Dataset> {
    let inputs: Vec<Input> = inputs(access, names).await?;
    Ok(blocking(|| Dataset::open(inputs, &options))?)
}

/// Parquet files as DataFusion reads them, where it knows all that is asked for.
async fn parquet(
    state: &SessionState,
    names: &[String],
    dataset: &Dataset,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let folders = dataset.folder_columns();
    let above_glob = |name: &String| {
        let literal = name.find(['*', '?', '[']).unwrap_or(name.len());
        name[..literal].contains('=')
    };
    let plain = dataset.format() == Format::Parquet
        && dataset.is_plain()
        && !names.iter().any(|name| remote::is_url(name))
        && (folders.is_empty() || !names.iter().any(above_glob));
    if !plain {
        return Ok(None);
    }
    let mut urls = Vec::new();
    for name in names {
        // DataFusion's globs differ from ours in what they match: a star may stand for
        // several folders. Those with folder columns must be globs to it, because it
        // finds the folders below them.
        if is_glob(name) && !folders.is_empty() {
            let absolute =
                std::path::absolute(name).map_err(|error| unreadable(Path::new(name), &error))?;
            let url = ListingTableUrl::parse(absolute.to_string_lossy())?;
            if listed(state, &url).await? != paths(name)?.len() {
                return Ok(None);
            }
            urls.push(url);
        } else {
            for path in paths(name)? {
                urls.push(file_url(&path)?);
            }
        }
    }
    let columns = folders.iter().map(|f| (f.name().clone(), f.data_type().clone())).collect();
    let mut format = TableParquetOptions::default();
    // As nanoseconds, times before 1677 and after 2262 would become others.
    format.global.coerce_int96 = Some("us".to_owned());
    let format = ParquetFormat::default().with_options(format);
    let options = ListingOptions::new(Arc::new(format))
        .with_file_extension("")
        .with_table_partition_cols(columns);
    // It would cut the values of a wider type in a later file to the first one's.
    if dataset.files() > 1 && !have_same_types(state, &options, &urls).await {
        return Ok(None);
    }
    let schema = options.infer_schema(state, &urls[0]).await.map_err(|error| {
        let mut error = Error::from(error);
        error.message = format!("{}: {}", names[0], error.message);
        error
    })?;
    // It reads intervals without their months.
    let is_interval = |field: &FieldRef| matches!(field.data_type(), DataType::Interval(_));
    if dataset.schema().fields().iter().any(is_interval) {
        return Ok(None);
    }
    // Of several columns with one name DataFusion knows one.
    if schema.fields().len() + folders.len() != dataset.schema().fields().len() {
        return Ok(None);
    }
    // That the first file has no NULL in a column says nothing of the others.
    let nullable = |field: &FieldRef| Field::clone(field).with_nullable(true);
    let schema = match dataset.files() {
        1 => schema,
        _ => Arc::new(Schema::new(schema.fields().iter().map(nullable).collect::<Fields>())),
    };
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(schema);
    Ok(Some(Arc::new(ListingTable::try_new(config)?)))
}

/// Whether each column has one type in all files that have it.
async fn have_same_types(
    state: &SessionState,
    options: &ListingOptions,
    urls: &[ListingTableUrl],
) -> bool {
    let mut found: HashMap<String, DataType> = HashMap::new();
    for url in urls {
        // Fails when types differ below one URL, or a file is damaged: our reader says
        // which file it is.
        let Ok(schema) = options.infer_schema(state, url).await else { return false };
        for field in schema.fields() {
            let known = found.entry(field.name().clone()).or_insert(field.data_type().clone());
            if known != field.data_type() {
                return false;
            }
        }
    }
    true
}

/// How many files DataFusion finds.
async fn listed(state: &SessionState, url: &ListingTableUrl) -> Result<usize> {
    let store = state.runtime_env().object_store(url)?;
    let files = url.list_all_files(state, &store, "").await?;
    Ok(files.try_fold(0, |count, _| std::future::ready(Ok(count + 1))).await?)
}

fn file_url(path: &Path) -> Result<ListingTableUrl> {
    let absolute = std::fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
    let url = url::Url::from_file_path(&absolute)
        .map_err(|()| unreadable(path, &"its path cannot be a URL"))?;
    Ok(ListingTableUrl::try_new(url, None)?)
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Io, format!("cannot read the file '{}': {why}", path.display()))
}

/// A dataset as DataFusion plans with it.
#[derive(Debug)]
struct DatasetTable {
    dataset: Arc<Dataset>,
}

#[async_trait]
impl TableProvider for DatasetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.dataset.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.dataset.schema().fields().len()).collect();
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let schema = Arc::new(self.dataset.schema().project(&columns)?);
        let rows = Rows { dataset: Arc::clone(&self.dataset), columns, schema: schema.clone() };
        let partitions: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(rows)];
        let no_order = std::iter::empty();
        Ok(Arc::new(StreamingTableExec::try_new(schema, partitions, None, no_order, false, limit)?))
    }
}

/// The rows of a dataset, read anew each time that they are asked for.
#[derive(Debug)]
struct Rows {
    dataset: Arc<Dataset>,
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), WAITING_MAX);
        let (sender, dataset, columns) =
            (stream.tx(), Arc::clone(&self.dataset), self.columns.clone());
        stream.spawn_blocking(move || {
            let batches = dataset.read(Some(&columns)).map_err(Error::from)?;
            for batch in batches {
                let batch: RecordBatch = batch.map_err(Error::from)?;
                if sender.blocking_send(Ok(batch)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        stream.build()
    }
}
