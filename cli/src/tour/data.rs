//! The flights and the weather that the binary carries.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::message::Failure;

/// Tables, each as one batch with the types of its file.
pub struct Data {
    /// 336,776 departures in order of time.
    pub flights: RecordBatch,
    /// 26,115 hours at three airports, by airport and time.
    pub weather: RecordBatch,
    /// Planes by tail number.
    pub planes: RecordBatch,
    /// Airlines by carrier code.
    pub airlines: RecordBatch,
}

impl Data {
    /// Decodes the embedded files.
    pub fn read() -> Result<Self, Failure> {
        Ok(Self {
            flights: table(include_bytes!("../../data/nycflights13/flights.parquet"))?,
            weather: table(include_bytes!("../../data/nycflights13/weather.parquet"))?,
            planes: table(include_bytes!("../../data/nycflights13/planes.parquet"))?,
            airlines: table(include_bytes!("../../data/nycflights13/airlines.parquet"))?,
        })
    }
}

fn table(file: &'static [u8]) -> Result<RecordBatch, Failure> {
    let unreadable =
        |e: &dyn std::fmt::Display| Failure::Other(format!("the tour's data cannot be read: {e}"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from_static(file))
        .map_err(|e| unreadable(&e))?;
    let schema = reader.schema().clone();
    let reader = reader.build().map_err(|e| unreadable(&e))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| unreadable(&e))?;
    Ok(concat_batches(&schema, &batches)?)
}

/// Rows with the columns of a table, by name, and exactly its types.
pub fn fit(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Failure> {
    let column = |field: &arrow::datatypes::FieldRef| -> Result<ArrayRef, ArrowError> {
        let index = rows.schema_ref().index_of(field.name())?;
        cast(rows.column(index), field.data_type())
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_original_is_there() {
        let data = Data::read().unwrap();
        let rows =
            [&data.flights, &data.weather, &data.planes, &data.airlines].map(RecordBatch::num_rows);
        assert_eq!(rows, [336_776, 26_115, 3_322, 16]);
    }
}
