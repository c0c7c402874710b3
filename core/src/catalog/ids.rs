//! Stable identities. Names may change; these never do, and they are what logs,
//! manifests and file paths hold.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A schema (namespace) of the database.
    SchemaId
);
id!(
    /// A table.
    TableId
);
id!(
    /// A column, unique within its table, never used again after a drop.
    ColumnId
);
id!(
    /// A view.
    ViewId
);
id!(
    /// Somebody who logs in.
    UserId
);
id!(
    /// A version of a table's partitioning rule.
    PartitionSpecId
);
