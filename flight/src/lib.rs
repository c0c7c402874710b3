//! Sheaf over Arrow Flight SQL.
//!
//! ```text
//!   server      listens, limits, shuts down
//!      |
//!   guard       who is not known is not listened to
//!      |
//!   service     one method per call of Flight; what each command and action is for
//!      |
//!   logins, jwt                       whose request it is
//!   connection, sessions              what is kept for whom
//!      |
//!   statements, ingest, metadata, options   the commands
//!      |
//!   incoming, outgoing, shape, tickets, status   how it looks on the wire
//!
//!   watch       health and metrics, on a port of their own
//! ```

mod connection;
mod guard;
mod incoming;
mod ingest;
mod jwt;
mod logins;
mod metadata;
mod options;
mod outgoing;
mod protocol;
mod server;
mod service;
mod sessions;
mod shape;
mod statements;
mod status;
mod stopping;
mod tickets;
mod traces;
mod waiting;
mod watch;

pub use connection::Places;
pub use jwt::Jwt;
pub use server::{Options, Server, Tls};
pub use watch::Watch;
