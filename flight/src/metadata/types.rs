//! SQL types, as ODBC and JDBC describe them.

use std::sync::OnceLock;

use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};
use tonic::Status;

use crate::status;

pub(super) fn all() -> Result<&'static XdbcTypeInfoData, Status> {
    static ALL: OnceLock<Result<XdbcTypeInfoData, String>> = OnceLock::new();
    let built = ALL.get_or_init(|| {
        let mut builder = XdbcTypeInfoDataBuilder::new();
        infos().into_iter().for_each(|info| builder.append(info));
        builder.build().map_err(|error| error.to_string())
    });
    built.as_ref().map_err(status::internal)
}

fn infos() -> Vec<XdbcTypeInfo> {
    use XdbcDataType as T;
    use XdbcDatetimeSubcode as Subcode;
    let mut infos = vec![
        XdbcTypeInfo { case_sensitive: true, ..quoted("TEXT", T::XdbcVarchar, i32::MAX) },
        quoted("BYTEA", T::XdbcVarbinary, i32::MAX),
        quoted("UUID", T::XdbcBinary, 16),
        XdbcTypeInfo { searchable: Searchable::Basic, ..plain("BOOLEAN", T::XdbcBit, 1) },
        XdbcTypeInfo {
            create_params: Some(vec!["precision".into(), "scale".into()]),
            minimum_scale: Some(0),
            maximum_scale: Some(38),
            fixed_prec_scale: false,
            ..number("DECIMAL", T::XdbcDecimal, 38, 10)
        },
        number("SMALLINT", T::XdbcSmallint, 16, 2),
        number("INTEGER", T::XdbcInteger, 32, 2),
        number("BIGINT", T::XdbcBigint, 64, 2),
        number("REAL", T::XdbcReal, 24, 2),
        number("DOUBLE PRECISION", T::XdbcDouble, 53, 2),
    ];
    for (name, data_type, size, subcode) in [
        // ODBC's subcode of a date has the number that is called "year" here.
        ("DATE", T::XdbcDate, 10, Subcode::XdbcSubcodeYear),
        ("TIME", T::XdbcTime, 15, Subcode::XdbcSubcodeTime),
        ("TIMESTAMP", T::XdbcTimestamp, 26, Subcode::XdbcSubcodeTimestamp),
        ("TIMESTAMPTZ", T::XdbcTimestamp, 32, Subcode::XdbcSubcodeTimestampWithTimezone),
    ] {
        infos.push(XdbcTypeInfo {
            sql_data_type: T::XdbcDatetime,
            datetime_subcode: Some(subcode),
            ..quoted(name, data_type, size)
        });
    }
    infos
}

fn plain(name: &str, data_type: XdbcDataType, size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.into(),
        data_type,
        column_size: Some(size),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.into()),
        sql_data_type: data_type,
        ..XdbcTypeInfo::default()
    }
}

fn quoted(name: &str, data_type: XdbcDataType, size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some("'".into()),
        literal_suffix: Some("'".into()),
        ..plain(name, data_type, size)
    }
}

fn number(name: &str, data_type: XdbcDataType, size: i32, radix: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        searchable: Searchable::Basic,
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        num_prec_radix: Some(radix),
        ..plain(name, data_type, size)
    }
}
