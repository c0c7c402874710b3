//! Temporary tables. Those of a session are in a schema of its own, which is made with the
//! first of them and dropped when the session ends or the database is closed; what a process
//! leaves behind that is killed, the next opening drops.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use sheaf_core::catalog::{Catalog, CatalogChange, SchemaId};
use sheaf_core::{Durability, Store};

use super::{Context, blocking};
use crate::error::{Error, ErrorKind, Result};

/// How the names of such schemas begin. Nobody can write one by accident.
const PREFIX: &str = "$temporary_";

/// What does not outlive its session need not be on disk.
pub(crate) const DURABILITY: Durability = Durability::None;

/// The name of the schema of one session more. Other processes read the same catalog, so the
/// name says whose it is.
pub(super) fn schema_name() -> String {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    static SESSIONS: AtomicU64 = AtomicU64::new(1);
    let process = PROCESS.get_or_init(|| RandomState::new().hash_one(std::process::id()));
    format!("{PREFIX}{process:016x}_{}", SESSIONS.fetch_add(1, Ordering::Relaxed))
}

/// Whether a schema holds temporary tables, of whichever session.
pub(crate) fn is_temporary(schema: &str) -> bool {
    schema.starts_with(PREFIX)
}

/// The schema of the session's temporary tables, which is made when it is not there.
pub(crate) fn schema(context: &Context) -> Result<SchemaId> {
    let name = &context.settings.temporary;
    let found = |catalog: &Catalog| catalog.schema(name).map(|schema| schema.id);
    if let Some(schema) = found(context.store.snapshot()?.catalog()) {
        return Ok(schema);
    }
    let make = CatalogChange::CreateSchema { name: name.clone() };
    let made = blocking(|| context.store.change_catalog(make));
    // Another statement of the session may have made it since.
    match (found(context.store.snapshot()?.catalog()), made) {
        (Some(schema), _) => Ok(schema),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(_)) => Err(Error::new(ErrorKind::Internal, "the temporary schema is gone")),
    }
}

/// Drops the temporary tables of one session, or of all that there ever were.
pub(crate) fn drop_tables(store: &Store, of: Option<&str>) -> Result<()> {
    let snapshot = store.snapshot()?;
    let ended = snapshot.catalog().schemas.values().filter(|schema| match of {
        Some(name) => schema.name == name,
        None => is_temporary(&schema.name),
    });
    for schema in ended {
        store.change_catalog(CatalogChange::DropSchema { schema: schema.id, cascade: true })?;
    }
    Ok(())
}
