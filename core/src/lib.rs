//! The storage engine: one log, one snapshot, many roles of the same rows.
//!
//! ```text
//!  Store ── commit ──> committer: validate, number, log, apply, fdatasync, publish
//!    |                      |
//!    |                  memtables ── flush ──> segments ── compaction ──> segments
//!    |                      |                     |
//!    └── snapshot ──────────┴── one sequence number over all of them
//! ```
//!
//! Knows neither SQL nor DataFusion. Invariants I1 to I10 are listed in
//! ARCHITECTURE.md and named where the code keeps them.

mod bulk;
pub mod catalog;
pub mod clock;
mod collect;
mod commit;
mod compaction;
pub mod error;
mod expiry;
mod flush;
pub mod inspect;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod jobs;
mod keyed_read;
mod lock;
mod log;
mod lookup;
mod manifest;
pub mod memory;
mod memtable;
pub mod partition;
mod pressure;
mod reader;
mod recovery;
mod row;
mod segment;
pub mod snapshot;
mod state;
pub mod store;
mod unresolved;
mod verify;
pub mod vfs;
mod views;
pub mod write;
mod writer;

pub use bulk::BulkLoad;
pub use error::{Error, Result};
pub use keyed_read::RowRange;
pub use memory::{Memory, MemoryUse};
pub use row::{Row, RowBuilder, RowUpdate, Value};
pub use segment::{ROWID_COLUMN, SEQ_COLUMN};
pub use sheaf_formats::{batch_bytes, cast_rows, plain_schema, without_views};
pub use snapshot::{Columns, Part, PartScan, Snapshot, TableSnapshot};
pub use store::{Compression, Environment, Options, Store};
pub use views::compacted as compact_views;
pub use write::{Commit, Durability, OnConflict, Write, WriteBatch};
