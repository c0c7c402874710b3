//! Behaviour of the store as its callers see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod background;
mod catalog;
mod compaction;
mod durability;
mod golden;
mod key_order;
mod locking;
mod log;
mod merges;
mod model;
mod queue;
mod ranges;
mod support;
mod updates;
mod writes;
