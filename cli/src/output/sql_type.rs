//! Arrow types by the names that SQL gives them.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

/// The SQL name of a column's type, as it would be written in CREATE TABLE where
/// SQL has such a type.
pub fn sql_type(data_type: &DataType) -> String {
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
        | DataType::Decimal256(p, s) => {
            format!("numeric({p},{s})")
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
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
        DataType::Duration(_)
        | DataType::Interval(
            IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano,
        ) => "interval".into(),
        DataType::FixedSizeList(item, n) => match item.data_type() {
            DataType::Float32 => format!("vector({n})"),
            DataType::Float16 => format!("halfvec({n})"),
            other => format!("{}[{n}]", sql_type(other)),
        },
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => {
            format!("{}[]", sql_type(item.data_type()))
        }
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|f| format!("{} {}", f.name(), sql_type(f.data_type())))
                .collect();
            format!("struct({})", fields.join(", "))
        }
        DataType::Map(..) => "map".into(),
        DataType::Dictionary(_, value) => sql_type(value),
        DataType::RunEndEncoded(_, value) => sql_type(value.data_type()),
        DataType::Union(..) => "union".into(),
    }
}

/// Whether values of the type line up at their last digit.
pub fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_number(value),
        other => other.is_numeric(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn names_are_those_of_create_table() {
        assert_eq!(
            sql_type(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            "timestamptz"
        );
        assert_eq!(sql_type(&DataType::Timestamp(TimeUnit::Nanosecond, None)), "timestamp(9)");
        let item = Arc::new(Field::new_list_field(DataType::Float32, true));
        assert_eq!(sql_type(&DataType::FixedSizeList(item.clone(), 24)), "vector(24)");
        assert_eq!(sql_type(&DataType::List(item)), "real[]");
        assert_eq!(sql_type(&DataType::Decimal128(15, 2)), "numeric(15,2)");
    }

    #[test]
    fn a_dictionary_of_numbers_is_a_number() {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int64));
        assert!(is_number(&dictionary));
        assert!(!is_number(&DataType::Utf8));
    }
}
