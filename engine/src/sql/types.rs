//! SQL types to Arrow types and back. The catalog owns exact Arrow types, so what is
//! written in CREATE TABLE and in a cast means the same everywhere.

use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, IntervalUnit, TimeUnit,
};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, ObjectName, TimezoneInfo,
};

use super::names::fold;
use super::parse::parse_type;
use super::uuid::UUID_BYTES;
use crate::error::{Error, ErrorKind, Result};

/// Precision and scale of a DECIMAL without any.
const DECIMAL_DEFAULT: (u8, i8) = (38, 10);
/// Widest vector: pgvector's limit for stored vectors.
const DIMENSIONS_MAX: u64 = 16_000;

/// Gives DataFusion's planner our types.
#[derive(Debug)]
pub(crate) struct SheafTypes;

impl TypePlanner for SheafTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> PlanResult<Option<FieldRef>> {
        Ok(Some(Arc::new(Field::new("", arrow_type(sql_type)?, true))))
    }
}

/// The Arrow type of a SQL type that an option names: `'DECIMAL(10,2)'`.
pub fn arrow_type_of_text(text: &str) -> Result<DataType> {
    arrow_type(&parse_type(text)?)
}

/// The Arrow type that values of a SQL type have.
pub(crate) fn arrow_type(sql_type: &SqlType) -> Result<DataType> {
    Ok(match sql_type {
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::TinyInt(None) => DataType::Int8,
        SqlType::SmallInt(None) | SqlType::Int2(None) => DataType::Int16,
        SqlType::Int(None) | SqlType::Integer(None) | SqlType::Int4(None) => DataType::Int32,
        SqlType::BigInt(None) | SqlType::Int8(None) => DataType::Int64,
        SqlType::UTinyInt | SqlType::TinyIntUnsigned(None) => DataType::UInt8,
        SqlType::USmallInt | SqlType::SmallIntUnsigned(None) => DataType::UInt16,
        SqlType::IntUnsigned(None) | SqlType::IntegerUnsigned(None) => DataType::UInt32,
        SqlType::UBigInt | SqlType::BigIntUnsigned(None) => DataType::UInt64,
        SqlType::Real | SqlType::Float4 => DataType::Float32,
        SqlType::Double(ExactNumberInfo::None) | SqlType::DoublePrecision | SqlType::Float8 => {
            DataType::Float64
        }
        SqlType::Float(info) => float_type(info)?,
        SqlType::Numeric(info) | SqlType::Decimal(info) | SqlType::Dec(info) => decimal_type(info)?,
        SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::CharacterVarying(_)
        | SqlType::CharVarying(_)
        | SqlType::Char(_)
        | SqlType::Character(_)
        | SqlType::String(None) => DataType::Utf8View,
        SqlType::Bytea | SqlType::Blob(None) => DataType::BinaryView,
        SqlType::Uuid => DataType::FixedSizeBinary(UUID_BYTES),
        SqlType::Date => DataType::Date32,
        SqlType::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            microseconds(*precision, "TIME")?;
            DataType::Time64(TimeUnit::Microsecond)
        }
        SqlType::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Timestamp(timestamp_unit(*precision)?, None)
        }
        SqlType::Timestamp(precision, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            DataType::Timestamp(timestamp_unit(*precision)?, Some("UTC".into()))
        }
        SqlType::Interval { fields: None, precision: None } => {
            DataType::Interval(IntervalUnit::MonthDayNano)
        }
        SqlType::Array(ArrayElemTypeDef::SquareBracket(item, size)) => array_type(item, *size)?,
        SqlType::Array(ArrayElemTypeDef::AngleBracket(item)) => array_type(item, None)?,
        SqlType::Custom(name, arguments) => custom_type(name, arguments)?,
        other => {
            return Err(Error::not_supported(format!("type {other}")).hint(
                "the types are boolean, smallint, integer, bigint, real, double precision, decimal(p,s), text, \
                 bytea, uuid, date, time, timestamp, timestamptz, interval, vector(n), halfvec(n) and arrays",
            ));
        }
    })
}

fn float_type(info: &ExactNumberInfo) -> Result<DataType> {
    // FLOAT(p) counts bits of precision, as in the standard; FLOAT alone is double.
    match info {
        ExactNumberInfo::None => Ok(DataType::Float64),
        ExactNumberInfo::Precision(1..=24) => Ok(DataType::Float32),
        ExactNumberInfo::Precision(25..=53) => Ok(DataType::Float64),
        _ => Err(Error::new(
            ErrorKind::InvalidParameter,
            "the precision of FLOAT must be between 1 and 53 bits",
        )),
    }
}

fn decimal_type(info: &ExactNumberInfo) -> Result<DataType> {
    let (precision, scale) = match *info {
        ExactNumberInfo::None => {
            return Ok(DataType::Decimal128(DECIMAL_DEFAULT.0, DECIMAL_DEFAULT.1));
        }
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let valid = u8::try_from(precision).ok().filter(|p| (1..=DECIMAL128_MAX_PRECISION).contains(p));
    match (valid, i8::try_from(scale)) {
        (Some(precision), Ok(scale)) if (0..=precision as i8).contains(&scale) => {
            Ok(DataType::Decimal128(precision, scale))
        }
        _ => Err(Error::new(
            ErrorKind::InvalidParameter,
            format!(
                "DECIMAL({precision},{scale}) is not possible: precision is 1 to {DECIMAL128_MAX_PRECISION}, scale 0 to precision"
            ),
        )),
    }
}

fn timestamp_unit(precision: Option<u64>) -> Result<TimeUnit> {
    match precision {
        None | Some(6) => Ok(TimeUnit::Microsecond),
        Some(0) => Ok(TimeUnit::Second),
        Some(3) => Ok(TimeUnit::Millisecond),
        Some(9) => Ok(TimeUnit::Nanosecond),
        Some(other) => Err(Error::not_supported(format!("TIMESTAMP({other})"))
            .hint("TIMESTAMP has microseconds; (0), (3), (6) and (9) digits can be chosen")),
    }
}

fn microseconds(precision: Option<u64>, name: &str) -> Result<()> {
    match precision {
        None | Some(6) => Ok(()),
        Some(other) => Err(Error::not_supported(format!("{name}({other})"))
            .hint(format!("{name} has microseconds"))),
    }
}

fn array_type(item: &SqlType, size: Option<u64>) -> Result<DataType> {
    match (item, size) {
        (
            SqlType::Float(ExactNumberInfo::None) | SqlType::Real | SqlType::Float4,
            Some(dimensions),
        ) => vector_type(DataType::Float32, dimensions),
        (_, Some(_)) => Err(Error::not_supported(format!("an array of {item} with a fixed size"))
            .hint("FLOAT[n] and VECTOR(n) are vectors; leave the size out for a list")),
        (_, None) => Ok(DataType::List(Arc::new(Field::new_list_field(arrow_type(item)?, true)))),
    }
}

/// Types that the parser does not know by name.
fn custom_type(name: &ObjectName, arguments: &[String]) -> Result<DataType> {
    let unknown = || {
        let shown = name.to_string().to_lowercase();
        let error =
            Error::new(ErrorKind::UndefinedObject, format!("type '{shown}' does not exist"));
        error.at(super::names::position_of(name)).suggest(
            &shown,
            [
                "text",
                "integer",
                "bigint",
                "double",
                "timestamp",
                "timestamptz",
                "boolean",
                "uuid",
                "vector",
                "halfvec",
            ],
        )
    };
    let [part] = name.0.as_slice() else { return Err(unknown()) };
    let folded = part.as_ident().map(fold).ok_or_else(unknown)?;
    let dimensions = || match arguments {
        [dimensions] => dimensions.trim().parse::<u64>().map_err(|_| unknown()),
        _ => Err(Error::new(
            ErrorKind::InvalidParameter,
            format!("{folded} needs its number of dimensions, as in {folded}(384)"),
        )),
    };
    match folded.as_str() {
        "vector" => vector_type(DataType::Float32, dimensions()?),
        "halfvec" => vector_type(DataType::Float16, dimensions()?),
        "utinyint" => Ok(DataType::UInt8),
        "usmallint" => Ok(DataType::UInt16),
        "uinteger" => Ok(DataType::UInt32),
        "ubigint" => Ok(DataType::UInt64),
        "string" => Ok(DataType::Utf8View),
        "serial" | "bigserial" | "smallserial" => {
            Err(Error::not_supported(format!("type {folded}"))
                .hint("use BIGINT and give the values, or UUID"))
        }
        _ => Err(unknown()),
    }
}

fn vector_type(item: DataType, dimensions: u64) -> Result<DataType> {
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            format!("a vector has between 1 and {DIMENSIONS_MAX} dimensions, not {dimensions}"),
        ));
    }
    // Items are never NULL: a vector is there as a whole or not at all.
    Ok(DataType::FixedSizeList(Arc::new(Field::new_list_field(item, false)), dimensions as i32))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::{ColumnDef, Statement};

    use super::*;
    use crate::sql::{parse_one, sql_name};

    fn type_of(sql: &str) -> Result<DataType> {
        let Statement::CreateTable(table) =
            parse_one(&format!("CREATE TABLE t (c {sql})")).unwrap().sql().clone()
        else {
            panic!("not a table");
        };
        let ColumnDef { data_type, .. } = &table.columns[0];
        arrow_type(data_type)
    }

    #[test]
    fn types_are_exact() {
        let utc = Some("UTC".into());
        for (sql, expected) in [
            ("TEXT", DataType::Utf8View),
            ("VARCHAR(10)", DataType::Utf8View),
            ("BYTEA", DataType::BinaryView),
            ("INT", DataType::Int32),
            ("int8", DataType::Int64),
            ("FLOAT", DataType::Float64),
            ("REAL", DataType::Float32),
            ("DOUBLE", DataType::Float64),
            ("DECIMAL(15,2)", DataType::Decimal128(15, 2)),
            ("TIMESTAMP", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ("TIMESTAMPTZ", DataType::Timestamp(TimeUnit::Microsecond, utc)),
            ("TIME", DataType::Time64(TimeUnit::Microsecond)),
            ("UUID", DataType::FixedSizeBinary(16)),
            ("INTERVAL", DataType::Interval(IntervalUnit::MonthDayNano)),
        ] {
            assert_eq!(type_of(sql).unwrap(), expected, "{sql}");
        }
        let item = Arc::new(Field::new("item", DataType::Float32, false));
        for sql in ["VECTOR(3)", "FLOAT[3]", "real[3]"] {
            assert_eq!(type_of(sql).unwrap(), DataType::FixedSizeList(item.clone(), 3), "{sql}");
        }
    }

    #[test]
    fn impossible_types_say_what_is_possible() {
        for sql in ["DECIMAL(39,2)", "DECIMAL(5,6)", "VECTOR(0)", "VECTOR", "FLOAT(54)"] {
            assert_eq!(type_of(sql).unwrap_err().kind, ErrorKind::InvalidParameter, "{sql}");
        }
        assert_eq!(
            type_of("timestmp").unwrap_err().hint.as_deref(),
            Some("did you mean 'timestamp'?")
        );
        assert_eq!(type_of("JSONB").unwrap_err().kind, ErrorKind::NotSupported);
    }

    #[test]
    fn names_read_back_as_the_same_type() {
        for sql in [
            "smallint",
            "double",
            "decimal(9,3)",
            "text",
            "timestamptz",
            "vector(4)",
            "text[]",
            "uuid",
            "bytea",
        ] {
            assert_eq!(sql_name(&type_of(sql).unwrap()), sql);
        }
    }
}
