//! What this server can, as clients ask for it when they connect.

use std::sync::OnceLock;

use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlSupportedCaseSensitivity, SqlSupportedTransaction,
    SqlTransactionIsolationLevel,
};
use tonic::Status;

use crate::status;

/// Arrow's version of its format.
const ARROW_VERSION: &str = "1.5";

pub(super) fn all() -> Result<&'static SqlInfoData, Status> {
    static ALL: OnceLock<Result<SqlInfoData, String>> = OnceLock::new();
    let built = ALL.get_or_init(|| builder().build().map_err(|error| error.to_string()));
    built.as_ref().map_err(status::internal)
}

fn builder() -> SqlInfoDataBuilder {
    let mut it = SqlInfoDataBuilder::new();
    it.append(SqlInfo::FlightSqlServerName, "Sheaf");
    it.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    it.append(SqlInfo::FlightSqlServerArrowVersion, ARROW_VERSION);
    it.append(SqlInfo::FlightSqlServerReadOnly, false);
    it.append(SqlInfo::FlightSqlServerSql, true);
    it.append(SqlInfo::FlightSqlServerSubstrait, false);
    it.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    it.append(SqlInfo::FlightSqlServerCancel, true);
    it.append(SqlInfo::FlightSqlServerBulkIngestion, true);
    it.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    it.append(SqlInfo::FlightSqlServerStatementTimeout, 0);
    it.append(SqlInfo::FlightSqlServerTransactionTimeout, 0);
    it.append(SqlInfo::SqlDdlCatalog, false);
    it.append(SqlInfo::SqlDdlSchema, true);
    it.append(SqlInfo::SqlDdlTable, true);
    it.append(SqlInfo::SqlAllTablesAreSelectable, true);
    it.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    it.append(
        SqlInfo::SqlIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32,
    );
    it.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32,
    );
    // As in PostgreSQL: NULL is greater than everything.
    it.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    it.append(SqlInfo::SqlCatalogTerm, "database");
    it.append(SqlInfo::SqlSchemaTerm, "schema");
    it.append(SqlInfo::SqlCatalogAtStart, true);
    it.append(SqlInfo::SqlTransactionsSupported, false);
    it.append(
        SqlInfo::SqlDefaultTransactionIsolation,
        SqlTransactionIsolationLevel::SqlTransactionNone as i32,
    );
    it.append(SqlInfo::SqlSavepointsSupported, false);
    it.append(SqlInfo::SqlBatchUpdatesSupported, true);
    it.append(SqlInfo::SqlSelectForUpdateSupported, false);
    it.append(SqlInfo::SqlStoredProceduresSupported, false);
    it.append(SqlInfo::SqlNamedParametersSupported, false);
    it
}
