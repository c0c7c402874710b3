//! DROP TABLE, DROP VIEW, DROP SCHEMA.

use datafusion::sql::sqlparser::ast::{ObjectName, ObjectType, Statement};
use sheaf_core::catalog::CatalogChange;

use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};
use crate::sql::{one_ident, position_of};

pub(super) fn run(context: &Context, statement: Statement) -> Result<Output> {
    let Statement::Drop {
        object_type,
        if_exists,
        names,
        cascade,
        restrict: _,
        purge,
        temporary,
        table,
    } = statement
    else {
        return Err(Error::new(ErrorKind::Internal, "DROP is expected here"));
    };
    if purge || temporary || table.is_some() {
        return Err(Error::not_supported("this form of DROP"));
    }
    // Each is a commit of its own: several would not be one.
    let [name] = names.as_slice() else {
        return Err(
            Error::not_supported("several names in one DROP").hint("write one DROP for each")
        );
    };
    if cascade && object_type != ObjectType::Schema {
        return Err(Error::not_supported("CASCADE in DROP TABLE or DROP VIEW")
            .hint("views that read it stay, and fail until it is there again"));
    }
    let (change, tag) = match object_type {
        ObjectType::Table => (table_change(context, name), "DROP TABLE"),
        ObjectType::View => (view_change(context, name), "DROP VIEW"),
        ObjectType::Schema => (schema_change(context, name, cascade), "DROP SCHEMA"),
        other => return Err(Error::not_supported(format!("DROP {other}"))),
    };
    match change {
        Err(error)
            if if_exists
                && matches!(error.kind, ErrorKind::UndefinedTable | ErrorKind::UndefinedSchema) => {
        }
        change => super::change(context, change.map_err(|error| error.at(position_of(name)))?)?,
    }
    Ok(Output::done(tag))
}

fn table_change(context: &Context, name: &ObjectName) -> Result<CatalogChange> {
    let resolved = context.resolve(name)?;
    Ok(CatalogChange::DropTable(context.catalog.stored_table(&resolved)?.id))
}

fn view_change(context: &Context, name: &ObjectName) -> Result<CatalogChange> {
    let resolved = context.resolve(name)?;
    Ok(CatalogChange::DropView(context.catalog.stored_view(&resolved)?.id))
}

fn schema_change(context: &Context, name: &ObjectName, cascade: bool) -> Result<CatalogChange> {
    let schema = context.catalog.schema(&one_ident(name)?)?.id;
    Ok(CatalogChange::DropSchema { schema, cascade })
}
