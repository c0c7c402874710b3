//! Rows as bytes: what the log, keyed memtables and point reads work with.
//!
//! ```text
//! row of a keyed table = key bytes  (columns of the primary key; compare like the values)
//!                      + packed bytes (the other columns; compact, one column readable alone)
//! ```
//!
//! [`RowLayout`] knows both halves of one table's rows and turns them into columns, into
//! [`Value`]s and back.

mod bytes;
mod key;
mod layout;
mod packed;
mod scalar;
mod sortable;
mod update;
mod value;

pub(crate) use bytes::RowBytes;
pub(crate) use key::{KeyCodec, check_type, key_hash, key_prefix};
pub(crate) use layout::RowLayout;
pub use layout::{Row, RowBuilder};
pub(crate) use packed::{one_element, one_value};
pub(crate) use sortable::{RowCodec, check_schema};
pub use update::RowUpdate;
pub use value::Value;
