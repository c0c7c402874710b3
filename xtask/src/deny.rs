//! Supply chain: licences, bans and sources by cargo-deny, which needs no network
//! for them; advisories only where their database already is.

use std::path::PathBuf;

use crate::steps::Steps;
use crate::workspace::{cargo, works};

/// Adds the checks that this machine can do.
pub fn add(steps: &mut Steps) {
    if !works(&mut cargo(&["deny", "--version"])) {
        steps.skip("licences, bans, sources", "cargo install --locked cargo-deny");
        return;
    }
    steps.command(
        "licences, bans, sources",
        &mut cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"]),
    );
    if advisory_databases().is_some_and(|dir| dir.is_dir()) {
        steps.command("advisories", &mut cargo(&["deny", "--offline", "check", "advisories"]));
    } else {
        steps.skip("advisories", "no database here: cargo deny fetch db");
    }
}

/// Where cargo-deny keeps advisory databases.
fn advisory_databases() -> Option<PathBuf> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    Some(cargo_home.or_else(home)?.join("advisory-dbs"))
}
