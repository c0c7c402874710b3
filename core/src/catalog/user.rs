//! Users: who may log in where the database is served.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::UserId;

/// Somebody who logs in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserDef {
    /// Identity.
    pub id: UserId,
    /// Current name.
    pub name: String,
    /// What the password is checked with.
    pub password: PasswordHash,
}

/// A hash of a password as the engine writes it. It is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}
