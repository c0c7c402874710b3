//! Behaviour of the database as its users see it.

mod concurrency;
mod durability;
mod explain;
mod sessions;
mod slt;
mod support;
