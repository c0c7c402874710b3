//! Who logs in: how passwords are kept and checked.
//!
//! A password is kept as an argon2id hash with a salt of its own, in the text form that
//! other programs read (PHC).

use std::sync::{Arc, OnceLock};

use argon2::Argon2;
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{self, PasswordHasher, PasswordVerifier, SaltString};
use sheaf_core::catalog::{PasswordHash, UserId};

use crate::database::{Database, on_waiting_thread};
use crate::error::{Error, ErrorKind, Result};

/// How the hashes begin that may be given in place of a password.
const HASH: &str = "$argon2id$";

/// What a check of a given hash may cost: memory, and times that it is gone through.
const KIB_MAX: u32 = 256 << 10;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 8;

/// A user whose password was right. It stays so until the password is changed or the user
/// is dropped: see [`Database::is_valid`].
#[derive(Clone, Debug)]
pub struct Login {
    id: UserId,
    name: Arc<str>,
    password: PasswordHash,
}

impl Login {
    /// The user's name.
    pub fn user(&self) -> &str {
        &self.name
    }
}

impl Database {
    /// Whether there are users, so that whoever comes over a network must be one.
    pub fn has_users(&self) -> Result<bool> {
        Ok(!self.store().snapshot()?.catalog().users.is_empty())
    }

    /// Checks a password; `None` when it is wrong or there is no such user, which take the
    /// same time.
    pub async fn log_in(&self, user: &str, password: &str) -> Result<Option<Login>> {
        let login = self.store().snapshot()?.catalog().user(user).map(|user| Login {
            id: user.id,
            name: user.name.as_str().into(),
            password: user.password.clone(),
        });
        let password = password.to_owned();
        on_waiting_thread(move || {
            let right = match &login {
                Some(login) => is_right(&password, &login.password)?,
                None => {
                    is_right(&password, nobodys()?)?;
                    false
                }
            };
            Ok(login.filter(|_| right))
        })
        .await
    }

    /// Whether the user is still there with the same password.
    pub fn is_valid(&self, login: &Login) -> Result<bool> {
        let snapshot = self.store().snapshot()?;
        let user = snapshot.catalog().users.get(&login.id);
        Ok(user.is_some_and(|user| user.password == login.password))
    }
}

/// What a password is checked with. A hash in the text form is taken as it is.
pub(crate) fn hash(password: &str) -> Result<PasswordHash> {
    if password.starts_with(HASH) {
        let parsed = password_hash::PasswordHash::new(password).map_err(impossible)?;
        let cost = argon2::Params::try_from(&parsed).map_err(impossible)?;
        if cost.m_cost() > KIB_MAX || cost.t_cost() > PASSES_MAX || cost.p_cost() > LANES_MAX {
            return Err(impossible(password_hash::Error::ParamsMaxExceeded));
        }
        if parsed.salt.is_none() || parsed.hash.is_none() {
            return Err(impossible(password_hash::Error::PhcStringField));
        }
        return Ok(PasswordHash(password.to_owned()));
    }
    if password.is_empty() {
        return Err(Error::new(ErrorKind::InvalidParameter, "an empty password"));
    }
    let salt = SaltString::generate(&mut OsRng);
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(PasswordHash(hash.map_err(impossible)?.to_string()))
}

fn is_right(password: &str, hash: &PasswordHash) -> Result<bool> {
    let parsed = password_hash::PasswordHash::new(&hash.0).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format!("the hash of a password: {error}"))
    })?;
    Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

/// A hash of no password, to be as slow where there is no user.
fn nobodys() -> Result<&'static PasswordHash> {
    static NOBODYS: OnceLock<PasswordHash> = OnceLock::new();
    if let Some(hash) = NOBODYS.get() {
        return Ok(hash);
    }
    let hash = hash("nobody's")?;
    Ok(NOBODYS.get_or_init(|| hash))
}

fn impossible(error: password_hash::Error) -> Error {
    Error::new(ErrorKind::InvalidParameter, format!("a password or its hash: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_one_password_and_may_be_given() {
        let kept = hash("open sesame").unwrap();
        assert!(kept.0.starts_with(HASH), "{}", kept.0);
        assert!(is_right("open sesame", &kept).unwrap());
        assert!(!is_right("open sesam", &kept).unwrap());
        assert_ne!(hash("open sesame").unwrap(), kept);
        assert_eq!(hash(&kept.0).unwrap(), kept);
        let dear = kept.0.replace("m=19456", "m=4294967295");
        assert_eq!(hash(&dear).unwrap_err().kind, ErrorKind::InvalidParameter, "{dear}");
        assert_eq!(hash("").unwrap_err().kind, ErrorKind::InvalidParameter);
        assert_eq!(hash("$argon2id$nonsense").unwrap_err().kind, ErrorKind::InvalidParameter);
    }
}
