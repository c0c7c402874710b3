//! Files as relations: `SELECT … FROM 'readings.csv'`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use sheaf_formats::external::{self, ReadOptions};

use crate::error::{Error, ErrorKind, Result};

/// The file with this name as a relation; `None` when it is not the name of a file
/// of a known format.
pub(super) async fn table(
    state: &SessionState,
    name: &str,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let path = Path::new(name);
    let Some(extension) = path.extension().and_then(|e| e.to_str()) else { return Ok(None) };
    match extension.to_ascii_lowercase().as_str() {
        "csv" | "tsv" => csv(path).map(Some),
        "parquet" => {
            listed(state, path, Arc::new(ParquetFormat::default()), extension).await.map(Some)
        }
        "ndjson" | "jsonl" => {
            listed(state, path, Arc::new(JsonFormat::default()), extension).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// Formats that DataFusion reads in parallel, with filters pushed in.
async fn listed(
    state: &SessionState,
    path: &Path,
    format: Arc<dyn FileFormat>,
    extension: &str,
) -> Result<Arc<dyn TableProvider>> {
    let absolute = std::fs::canonicalize(path).map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot read the file '{}': {error}", path.display()))
    })?;
    let url = ListingTableUrl::parse(absolute.to_string_lossy())?;
    let options = ListingOptions::new(format).with_file_extension(format!(".{extension}"));
    let schema = options.infer_schema(state, &url).await.map_err(|error| {
        let mut error = Error::from(error);
        error.message = format!("{}: {}", path.display(), error.message);
        error
    })?;
    let config = ListingTableConfig::new(url).with_listing_options(options).with_schema(schema);
    Ok(Arc::new(ListingTable::try_new(config)?))
}

/// CSV goes through our own reader, for its errors: they name line and column.
fn csv(path: &Path) -> Result<Arc<dyn TableProvider>> {
    let schema = external::open(path, &ReadOptions::default())?.schema().clone();
    let file = CsvFile { path: path.to_owned(), schema: schema.clone() };
    Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(file)])?))
}

#[derive(Debug)]
struct CsvFile {
    path: PathBuf,
    schema: SchemaRef,
}

impl PartitionStream for CsvFile {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let options = ReadOptions {
            schema: Some(self.schema.clone()),
            batch_rows: context.session_config().batch_size().max(1),
            ..ReadOptions::default()
        };
        let batches: external::Batches =
            match external::open(&self.path, &options).and_then(|file| file.read(None)) {
                Ok(batches) => batches,
                Err(error) => Box::new(std::iter::once(Err(error))),
            };
        let batches = batches.map(|batch| batch.map_err(|error| Error::from(error).into()));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(batches)))
    }
}
