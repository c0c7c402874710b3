//! Queries as tables of datafusion-python, by DataFusion's C interface.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion_ffi::proto::logical_extension_codec::FFI_LogicalExtensionCodec;
use datafusion_ffi::table_provider::FFI_TableProvider;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};
use sheafdb::datafusion::catalog::{Session as PlanSession, TableProvider};
use sheafdb::datafusion::error::Result;
use sheafdb::datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use sheafdb::datafusion::physical_plan::ExecutionPlan;
use sheafdb::{Error, ErrorKind};

use crate::errors::exception;
use crate::session::Session;

/// A table as DataFusion's sessions take it. `asking` is the one that asks for it, or the codec of
/// one; `session` is kept open by the table, until it is closed.
pub fn capsule<'py>(
    py: Python<'py>,
    table: Arc<dyn TableProvider>,
    session: Py<Session>,
    asking: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let getter = "__datafusion_logical_extension_codec__";
    let codec = match asking.hasattr(getter)? {
        true => asking.call_method0(getter)?,
        false => asking.clone(),
    };
    let codec = codec.cast_into::<PyCapsule>()?;
    let pointer = codec.pointer_checked(Some(c"datafusion_logical_extension_codec"))?;
    // SAFETY: capsules with this name hold this, in the versions that our caller admits, and ours
    // lives as long as this call.
    let codec = unsafe { pointer.cast::<FFI_LogicalExtensionCodec>().as_ref() };
    // SAFETY: it asks for nothing.
    let theirs = unsafe { (codec.version)() };
    if theirs != datafusion_ffi::version() {
        let what = format!("tables are of DataFusion {}, not {theirs}", datafusion_ffi::version());
        return Err(exception(py, &Error::new(ErrorKind::NotSupported, what)));
    }
    let table = Arc::new(Mounted { table, session });
    let provider = FFI_TableProvider::new_with_ffi_codec(table, true, None, codec.clone());
    PyCapsule::new_with_value(py, provider, c"datafusion_table_provider")
}

/// A table, and the session that it is of.
#[derive(Debug)]
struct Mounted {
    table: Arc<dyn TableProvider>,
    session: Py<Session>,
}

#[async_trait]
impl TableProvider for Mounted {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.table.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn PlanSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.session.get().is_closed() {
            let what = "the connection is closed";
            return Err(Error::new(ErrorKind::InvalidStatement, what).into());
        }
        self.table.scan(state, projection, filters, limit).await
    }
}
