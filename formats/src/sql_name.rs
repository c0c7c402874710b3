//! What SQL calls Arrow's types: messages are for people who write SQL.

use arrow::datatypes::{DataType, TimeUnit};

/// The name that a type has in CREATE TABLE and in messages.
pub fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "null".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 => "smallint".into(),
        DataType::Int32 => "integer".into(),
        DataType::Int64 => "bigint".into(),
        DataType::UInt8 => "utinyint".into(),
        DataType::UInt16 => "usmallint".into(),
        DataType::UInt32 => "uinteger".into(),
        DataType::UInt64 => "ubigint".into(),
        DataType::Float16 => "half".into(),
        DataType::Float32 => "real".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => format!("decimal({p},{s})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::FixedSizeBinary(16) => "uuid".into(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "bytea".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Timestamp(unit, zone) => {
            let digits = match unit {
                TimeUnit::Second => "(0)",
                TimeUnit::Millisecond => "(3)",
                TimeUnit::Microsecond => "",
                TimeUnit::Nanosecond => "(9)",
            };
            format!("timestamp{}{digits}", if zone.is_some() { "tz" } else { "" })
        }
        DataType::Duration(_) | DataType::Interval(_) => "interval".into(),
        DataType::FixedSizeList(item, n) => match item.data_type() {
            DataType::Float32 => format!("vector({n})"),
            DataType::Float16 => format!("halfvec({n})"),
            other => format!("{}[{n}]", sql_name(other)),
        },
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => format!("{}[]", sql_name(item.data_type())),
        DataType::Dictionary(_, value) => sql_name(value),
        DataType::RunEndEncoded(_, value) => sql_name(value.data_type()),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{} {}", field.name(), sql_name(field.data_type())))
                .collect();
            format!("struct({})", fields.join(", "))
        }
        DataType::Map(..) => "map".into(),
        DataType::Union(..) => "union".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn names_are_those_of_create_table() {
        let zone = Some("UTC".into());
        assert_eq!(sql_name(&DataType::Timestamp(TimeUnit::Microsecond, zone)), "timestamptz");
        assert_eq!(sql_name(&DataType::Timestamp(TimeUnit::Nanosecond, None)), "timestamp(9)");
        let item = Arc::new(Field::new_list_field(DataType::Float32, true));
        assert_eq!(sql_name(&DataType::FixedSizeList(item.clone(), 24)), "vector(24)");
        assert_eq!(sql_name(&DataType::List(item.clone())), "real[]");
        assert_eq!(sql_name(&DataType::Struct(vec![item].into())), "struct(item real)");
        assert_eq!(sql_name(&DataType::Decimal128(15, 2)), "decimal(15,2)");
    }
}
