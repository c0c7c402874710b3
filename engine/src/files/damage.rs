//! Which file an error is about: DataFusion's errors in the pages of a Parquet file do
//! not say it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::errors::ParquetError;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

use crate::error::{Error, ErrorKind};

/// Files that an error names at most.
const NAMED_MAX: usize = 3;

/// The rows of a plan; errors in Parquet files name the files that the plan reads.
pub(crate) fn naming_files(
    plan: Arc<dyn ExecutionPlan>,
    rows: SendableRecordBatchStream,
) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let rows = rows.map_err(move |error| match kind_of_fault(&error) {
        Some(kind) => in_files(&files_of(&plan), Error { kind, ..Error::from(error) }).into(),
        None => error,
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// What kind of error it is, when it is one of a Parquet file.
fn kind_of_fault(error: &DataFusionError) -> Option<ErrorKind> {
    match error.find_root() {
        // The file could not be read.
        DataFusionError::ParquetError(inner) if matches!(**inner, ParquetError::External(_)) => {
            Some(ErrorKind::Io)
        }
        DataFusionError::ParquetError(_) => Some(ErrorKind::Corrupt),
        DataFusionError::ArrowError(inner, _) if matches!(**inner, ArrowError::ParquetError(_)) => {
            Some(ErrorKind::Corrupt)
        }
        _ => None,
    }
}

/// The files that DataFusion reads in a plan.
fn files_of(plan: &Arc<dyn ExecutionPlan>) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let walked = plan.apply(|node| {
        let scan = node.downcast_ref::<DataSourceExec>();
        let scan = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        for group in scan.iter().flat_map(|scan| &scan.file_groups) {
            files.extend(group.iter().map(|file| format!("/{}", file.object_meta.location)));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "nothing in the walk fails");
    files
}

fn in_files(files: &BTreeSet<String>, error: Error) -> Error {
    if files.is_empty() {
        return error;
    }
    let named: Vec<&str> = files.iter().take(NAMED_MAX).map(String::as_str).collect();
    let more = match files.len() - named.len() {
        0 => String::new(),
        more => format!(" or one of {more} more"),
    };
    let message = format!("{}{more}: {}", named.join(" or "), error.message);
    Error { message, ..error }
}
