//! Sheaf over Arrow Flight SQL.
//!
//! ```text
//!   server      listens, limits, shuts down
//!      |
//!   service     one method per call of Flight; what each command and action is for
//!      |
//!   connection, sessions              whose request it is, and what is kept for whom
//!      |
//!   statements, ingest, metadata, options   the commands
//!      |
//!   incoming, tickets, shape, status  how it looks on the wire
//! ```

mod connection;
mod incoming;
mod ingest;
mod metadata;
mod options;
mod protocol;
mod server;
mod service;
mod sessions;
mod shape;
mod statements;
mod status;
mod tickets;

pub use server::{Options, Server};
