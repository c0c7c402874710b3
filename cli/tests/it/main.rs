//! The sheaf command from outside: what goes in, what comes out, how it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod connect;
mod errors;
mod formats;
mod import;
mod kill;
mod shell_commands;
mod stream;
mod verify;
