//! TRUNCATE.

use datafusion::sql::sqlparser::ast::{CascadeOption, Truncate, TruncateTableTarget};
use sheaf_core::catalog::CatalogChange;

use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};

pub(super) fn run(context: &Context, truncate: &Truncate) -> Result<Output> {
    let Truncate {
        table_names,
        partitions: None,
        table: _,
        if_exists,
        identity: None,
        cascade,
        on_cluster: None,
    } = truncate
    else {
        return Err(Error::not_supported("an option of TRUNCATE"));
    };
    if matches!(cascade, Some(CascadeOption::Cascade)) {
        return Err(Error::not_supported("CASCADE in TRUNCATE"));
    }
    let [TruncateTableTarget { name, only: _, has_asterisk: _ }] = table_names.as_slice() else {
        return Err(Error::not_supported("several tables in one TRUNCATE")
            .hint("write one TRUNCATE for each"));
    };
    match context.table(name) {
        Err(error) if *if_exists && error.kind == ErrorKind::UndefinedTable => {}
        table => super::change(context, CatalogChange::Truncate(table?.id))?,
    }
    Ok(Output::done("TRUNCATE TABLE"))
}
