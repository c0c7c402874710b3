//! `COPY t TO 'file'`, `COPY (query) TO 'file'`: rows into files, here or at a URL.
//!
//! ```text
//!   query -> one stream of batches -> Writer                     a file
//!         -> sorted by the keys    -> a Writer, folder by folder  PARTITION_BY
//! ```
//!
//! Files have their names when all of them are whole; an error leaves nothing behind.

mod options;
mod partitions;

use std::path::Path;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    CopySource, CopyTarget, Expr, Query, SelectItem, Statement, WildcardAdditionalOptions,
};
use futures::StreamExt;
use sheaf_formats::external::write::{NewFile, Target, WriteOptions, Writer, Written};

use super::inputs::is_glob;
use super::{FileAccess, remote};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output, blocking};
use crate::sql::{Copy, relation_named, select};

/// Runs COPY … TO.
pub(crate) async fn copy_to(context: &Context, copy: &Copy) -> Result<Output> {
    let Copy { source, to: _, target, options } = copy;
    let CopyTarget::File { filename } = target else {
        return Err(Error::not_supported(format!("COPY TO {target}")).hint("name a file in quotes"));
    };
    let options = options::ExportOptions::new(options)?;
    let plan = context.plan(Statement::Query(Box::new(query(source)))).await?;
    let written = match options.partition_by.is_empty() {
        true => file(context, &plan, filename, &options.write).await?,
        false => partitions::write(context, plan, filename, &options).await?,
    };
    Ok(Output::counted("COPY", written.rows))
}

fn query(source: &CopySource) -> Query {
    match source {
        CopySource::Query(query) => Query::clone(query),
        CopySource::Table { table_name, columns } => {
            let columns = match columns.is_empty() {
                true => vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
                false => columns
                    .iter()
                    .map(|name| SelectItem::UnnamedExpr(Expr::Identifier(name.clone())))
                    .collect(),
            };
            select(columns, vec![relation_named(table_name.clone(), None)], None)
        }
    }
}

/// Writes the rows of a plan to one file.
async fn file(
    context: &Context,
    plan: &LogicalPlan,
    name: &str,
    options: &WriteOptions,
) -> Result<Written> {
    let mut stream = context.stream(plan).await?;
    let mut writer = blocking(|| {
        let target = target(context.catalog.readings().access(), name)?;
        Ok::<_, Error>(Writer::new(target, &stream.schema(), options)?)
    })?;
    while let Some(batch) = next(&mut stream).await? {
        blocking(|| writer.write(batch))?;
    }
    Ok(blocking(|| writer.finish())?)
}

async fn next(stream: &mut SendableRecordBatchStream) -> Result<Option<arrow::array::RecordBatch>> {
    Ok(stream.next().await.transpose()?)
}

/// The file of a name, which has the name once it is whole.
fn target(access: &FileAccess, name: &str) -> Result<Box<dyn Target>> {
    let name = &*access.name(name)?;
    if remote::is_url(name) {
        return remote::target(name);
    }
    if is_glob(name) && !Path::new(name).exists() {
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            format!("'{name}' is a pattern: COPY TO writes one file"),
        ));
    }
    access.check(Path::new(name))?;
    Ok(Box::new(NewFile::create(Path::new(name))?))
}
