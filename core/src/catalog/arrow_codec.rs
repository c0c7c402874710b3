//! Arrow types and values inside JSON: as Arrow IPC bytes in hexadecimal, because
//! that encoding is specified and stable.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize};

/// One value, of any Arrow type: an array of length one.
#[derive(Clone, Debug)]
pub struct OneValue(pub ArrayRef);

impl Serialize for OneValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let field = Field::new("v", self.0.data_type().clone(), true);
        let batch =
            RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::clone(&self.0)])
                .map_err(S::Error::custom)?;
        serializer.serialize_str(&encode(&batch).map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for OneValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let batch = decode(&text).map_err(D::Error::custom)?;
        match batch.columns() {
            [value] if value.len() == 1 => Ok(Self(Arc::clone(value))),
            _ => Err(D::Error::custom("expected one value")),
        }
    }
}

/// Serde adapter for a data type.
pub mod data_type {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::datatypes::{DataType, Field, Schema};
    use serde::Deserialize;
    use serde::de::Error as _;
    use serde::ser::Error as _;

    /// Writes the type as the schema of an empty IPC stream.
    pub fn serialize<S: serde::Serializer>(
        data_type: &DataType,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let schema = Schema::new(vec![Field::new("t", data_type.clone(), true)]);
        let batch = RecordBatch::new_empty(Arc::new(schema));
        serializer.serialize_str(&super::encode(&batch).map_err(S::Error::custom)?)
    }

    /// Reads it back.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DataType, D::Error> {
        let text = String::deserialize(deserializer)?;
        let batch = super::decode(&text).map_err(D::Error::custom)?;
        match batch.schema().fields().first() {
            Some(field) => Ok(field.data_type().clone()),
            None => Err(D::Error::custom("expected one type")),
        }
    }
}

fn encode(batch: &RecordBatch) -> Result<String, ArrowError> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema())?;
    if batch.num_rows() > 0 {
        writer.write(batch)?;
    }
    writer.finish()?;
    drop(writer);
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

fn decode(text: &str) -> Result<RecordBatch, ArrowError> {
    let odd = || ArrowError::ParseError("expected pairs of hexadecimal digits".into());
    let bytes = text
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).map_err(|_| odd())?;
            u8::from_str_radix(pair, 16).map_err(|_| odd())
        })
        .collect::<Result<Vec<u8>, _>>()?;
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    let schema = reader.schema();
    reader.next().unwrap_or_else(|| Ok(RecordBatch::new_empty(schema)))
}

#[cfg(test)]
mod tests {
    use arrow::array::StringViewArray;
    use arrow::datatypes::{DataType, TimeUnit};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Typed(#[serde(with = "data_type")] DataType);

    #[test]
    fn types_and_values_survive_json() {
        let vector =
            DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float32, false)), 24);
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        for data_type in [DataType::Utf8View, vector, zoned, DataType::Decimal128(15, 2)] {
            let json = serde_json::to_string(&Typed(data_type.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Typed>(&json).unwrap().0, data_type);
        }
        let value = OneValue(Arc::new(StringViewArray::from(vec!["a longer text than twelve"])));
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(&serde_json::from_str::<OneValue>(&json).unwrap().0, &value.0);
    }

    #[test]
    fn damage_is_an_error() {
        for text in ["\"\"", "\"zz\"", "\"00\"", "\"ffffffff\"", "3"] {
            assert!(serde_json::from_str::<OneValue>(text).is_err(), "{text}");
        }
    }
}
