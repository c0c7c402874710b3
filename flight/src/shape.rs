//! Rows in the types that every client knows.
//!
//! Views of text and bytes, short decimals and dictionaries go out as the plain types that
//! they stand for: many clients have never heard of them. A session that asks for views
//! gets them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::{IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use sheafdb::core::{cast_rows, compact_views, plain_schema, without_views};
use tonic::Status;

use crate::status;

/// How the rows of a result go out.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    schema: SchemaRef,
    views: bool,
}

impl Shape {
    /// Of rows with this schema; with `views`, as they are but for what clients do not know.
    pub(crate) fn new(schema: &Schema, views: bool) -> Self {
        let schema = plain_schema(schema, &|data_type| match data_type {
            DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => {
                Some(DataType::Decimal128(*p, *s))
            }
            DataType::Dictionary(_, value) => Some(DataType::clone(value)),
            DataType::RunEndEncoded(_, value) => Some(value.data_type().clone()),
            _ if views => None,
            other => without_views(other),
        });
        Self { schema: Arc::new(schema), views }
    }

    /// The schema that clients see.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether rows with these columns can be those that were announced.
    pub(crate) fn fits(&self, columns: &Schema) -> bool {
        let names = self.schema.fields().iter().map(|field| field.name());
        names.eq(columns.fields().iter().map(|field| field.name()))
    }

    /// Rows in this shape, of which there may be too many for one batch.
    pub(crate) fn rows(&self, rows: &RecordBatch) -> Result<Vec<RecordBatch>, Status> {
        if rows.schema_ref().fields() == self.schema.fields() {
            return Ok(vec![rows.clone()]);
        }
        cast_rows(rows, &self.schema).map_err(|error| status::of_error(error.into()))
    }

    /// Rows of this shape without what their views do not show, and would bring along.
    pub(crate) fn cut(&self, rows: &RecordBatch) -> Result<RecordBatch, Status> {
        match self.views {
            true => compact_views(rows).map_err(status::internal),
            false => Ok(rows.clone()),
        }
    }
}

/// A schema as Flight puts it into its own messages.
pub(crate) fn encoded(schema: &Schema) -> Result<Bytes, Status> {
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &IpcWriteOptions::default())
        .try_into()
        .map_err(|error: arrow::error::ArrowError| status::internal(error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Decimal64Array, DictionaryArray, StringViewArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn rows_go_out_in_plain_types() {
        let dictionary: DictionaryArray<Int32Type> = ["x", "y"].into_iter().collect();
        let decimals = Decimal64Array::from(vec![150, -25]).with_precision_and_scale(9, 2).unwrap();
        let columns: [(&str, ArrayRef); 3] = [
            ("text", Arc::new(StringViewArray::from(vec![Some("a"), None]))),
            ("word", Arc::new(dictionary)),
            ("price", Arc::new(decimals)),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let shape = Shape::new(rows.schema_ref(), false);
        let types: Vec<_> = shape.schema().fields().iter().map(|f| f.data_type().clone()).collect();
        assert_eq!(types, [DataType::Utf8, DataType::Utf8, DataType::Decimal128(9, 2)]);
        let [plain] = shape.rows(&rows).unwrap().try_into().unwrap();
        assert_eq!(plain.schema_ref(), shape.schema());
        assert_eq!(plain.column(0).as_string::<i32>().value(0), "a");
        let views = Shape::new(rows.schema_ref(), true);
        assert_eq!(views.schema().field(0).data_type(), &DataType::Utf8View);
        assert_eq!(views.schema().field(1).data_type(), &DataType::Utf8);
        assert!(shape.rows(&rows.project(&[0]).unwrap()).is_err());
    }
}
