//! `FROM sniff('x.csv')`: what is found out about a file before it is read.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use sheaf_formats::external::ReadOptions;

use super::FileAccess;
use super::relation::dataset;
use crate::error::Result;
use crate::sql::sql_name;

/// Names and values: the format, how the file is written, and the columns' types.
pub(crate) async fn findings(
    access: &FileAccess,
    names: &[String],
    options: ReadOptions,
) -> Result<Arc<dyn TableProvider>> {
    let dataset = dataset(access, names, options).await?;
    let mut found = vec![
        ("format".to_owned(), dataset.format().to_string()),
        ("bytes".to_owned(), dataset.progress().total_bytes().to_string()),
    ];
    found
        .extend(dataset.findings().iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    for field in dataset.schema().fields() {
        found.push((format!("column {}", field.name()), sql_name(field.data_type())));
    }
    let column = |name| Field::new(name, DataType::Utf8View, false);
    let schema = Arc::new(Schema::new(vec![column("property"), column("value")]));
    let texts =
        |texts: Vec<String>| -> ArrayRef { Arc::new(StringViewArray::from_iter_values(texts)) };
    let (names, values) = found.into_iter().unzip();
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![texts(names), texts(values)])?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![rows]])?))
}
