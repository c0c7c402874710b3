//! Behaviour of the store as its callers see it.

mod catalog;
mod durability;
mod locking;
mod model;
mod support;
mod writes;
