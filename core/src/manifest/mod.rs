//! The manifest: one log of edits for the whole database.
//!
//! ```text
//! manifest/{version:020}.edit     what changed; made with put-if-absent, never rewritten
//! manifest/{version:020}.ckpt     the whole state at that version
//! ```
//!
//! Catalog, segments, delete vectors and flush positions change together in one
//! edit, so they are never out of step. The body is JSON inside the checksummed
//! small envelope: edits are few, and a person can read them.

mod edit;
mod log;

pub(crate) use edit::{Edit, EditOp, ManifestState};
pub(crate) use log::{ManifestLog, collect, create, load, next_exists, verify};
