//! Who sends a request: a user's password is given once, for a token that the requests
//! carry. Whoever has other means of knowing its users gives tokens of its own ([`Jwt`]).
//!
//! Where the database has no users and there is no such means, nobody needs to say who they
//! are; the server then listens on the machine itself only. Once there was a user it stays
//! closed to others, also when the last one is dropped.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use parking_lot::Mutex;
use sheafdb::{Database, Login};
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::codegen::http::HeaderMap;

use crate::jwt::Jwt;
use crate::status;
use crate::tickets::Handle;

/// Some clients write the padding, and others do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Passwords that are checked at a time: each check takes 19 MiB and a processor.
const CHECKS_AT_A_TIME: usize = 2;

/// Clients that wait for such a check; more are refused.
const WAITING_MAX: usize = 64;

/// Tokens that are valid at a time, of all users and of one, whose oldest goes.
const TOKENS_MAX: usize = 100_000;
const TOKENS_OF_ONE: usize = 1000;

/// See the module's documentation.
pub(crate) struct Logins {
    database: Database,
    /// Whether users must log in though the database has none.
    always: AtomicBool,
    jwt: Option<Jwt>,
    lifetime: Duration,
    tokens: Mutex<HashMap<Handle, Token>>,
    checks: Arc<Semaphore>,
    waiting: Semaphore,
}

struct Token {
    login: Arc<Login>,
    user: Arc<str>,
    until: Instant,
}

impl Logins {
    pub(crate) fn new(
        database: Database,
        always: bool,
        jwt: Option<Jwt>,
        lifetime: Duration,
    ) -> Self {
        Self {
            database,
            always: always.into(),
            jwt,
            lifetime,
            tokens: Mutex::default(),
            checks: Arc::new(Semaphore::new(CHECKS_AT_A_TIME)),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }

    /// The user that a request is from; `None` where nobody needs to be one.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Result<Option<Arc<str>>, Status> {
        let of_token = credentials(headers, "bearer").map(|token| self.of_token(token));
        if let Some(Ok(user)) = of_token {
            return Ok(Some(user));
        }
        if self.database.has_users().map_err(status::of_error)? {
            self.always.store(true, Ordering::Relaxed);
        }
        match self.always.load(Ordering::Relaxed) || self.jwt.is_some() {
            true => Err(of_token.and_then(Result::err).unwrap_or_else(|| {
                status::unauthenticated("log in with a user and a password, or a token")
            })),
            // Some clients always send one.
            false => Ok(None),
        }
    }

    fn of_token(&self, token: &str) -> Result<Arc<str>, Status> {
        let known = Handle::of_text(token).and_then(|handle| {
            let tokens = self.tokens.lock();
            let token = tokens.get(&handle).filter(|token| token.until > Instant::now())?;
            Some((Arc::clone(&token.login), Arc::clone(&token.user)))
        });
        if let Some((login, user)) = known {
            return match self.database.is_valid(&login).map_err(status::of_error)? {
                true => Ok(user),
                false => Err(status::unauthenticated("the password was changed: log in again")),
            };
        }
        match &self.jwt {
            Some(jwt) => jwt
                .user(token)
                .map_err(|why| status::unauthenticated(&format!("the token is not taken: {why}"))),
            None => Err(status::unauthenticated("the token is not known, or over: log in again")),
        }
    }

    /// The token for the user and the password that a request has.
    pub(crate) async fn log_in(&self, headers: &HeaderMap) -> Result<String, Status> {
        let (user, password) = credentials(headers, "basic")
            .and_then(|text| String::from_utf8(BASE64.decode(text).ok()?).ok())
            .and_then(|text| text.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())))
            .ok_or_else(|| status::unauthenticated("log in with a user and a password"))?;
        let _waiting = self.waiting.try_acquire().map_err(|_| {
            Status::resource_exhausted("[53300] too many log in at this moment: try again")
        })?;
        let login = self.checked(user.clone(), password).await?;
        let Some(login) = login else {
            tracing::warn!(user, "a login failed");
            return Err(status::unauthenticated("the user or the password is wrong"));
        };
        let handle = Handle::random()?;
        let (user, until) = (Arc::from(login.user()), Instant::now() + self.lifetime);
        let mut tokens = self.tokens.lock();
        let theirs = || tokens.iter().filter(|(_, token)| token.user == user);
        if theirs().count() >= TOKENS_OF_ONE
            && let Some(oldest) = theirs().min_by_key(|(_, token)| token.until)
        {
            let oldest = *oldest.0;
            tokens.remove(&oldest);
        }
        if tokens.len() >= TOKENS_MAX {
            return Err(Status::resource_exhausted("[54000] too many users are logged in"));
        }
        tokens.insert(handle, Token { login: Arc::new(login), user, until });
        Ok(handle.text())
    }

    /// The check of a password goes on when its client has gone, and takes its place till then.
    async fn checked(&self, user: String, password: String) -> Result<Option<Login>, Status> {
        let place = Arc::clone(&self.checks).acquire_owned().await.map_err(status::internal)?;
        let database = self.database.clone();
        let check = tokio::spawn(async move {
            let login = database.log_in(&user, &password).await;
            drop(place);
            login
        });
        check.await.map_err(status::internal)?.map_err(status::of_error)
    }

    /// Forgets tokens that are over.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        self.tokens.lock().retain(|_, token| token.until > now);
    }
}

/// What a request says in its header `authorization`, in this way.
fn credentials<'a>(headers: &'a HeaderMap, way: &str) -> Option<&'a str> {
    let (said, credentials) = headers.get("authorization")?.to_str().ok()?.split_once(' ')?;
    said.eq_ignore_ascii_case(way).then(|| credentials.trim())
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn with(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", authorization.parse().unwrap());
        headers
    }

    fn basic(user: &str, password: &str) -> HeaderMap {
        with(&format!("Basic {}", BASE64.encode(format!("{user}:{password}"))))
    }

    #[tokio::test]
    async fn a_password_gives_a_token_until_it_is_changed() {
        let database = Database::in_memory().unwrap();
        let session = database.session();
        let logins = Logins::new(database, false, None, Duration::from_secs(60));
        assert_eq!(logins.user(&HeaderMap::new()).unwrap(), None);
        assert_eq!(logins.user(&with("Bearer None")).unwrap(), None);
        assert!(logins.log_in(&basic("ada", "right")).await.is_err());

        session.query("CREATE USER ada PASSWORD 'right'").await.unwrap();
        let refused = |headers| logins.user(&headers).unwrap_err().code();
        assert_eq!(refused(HeaderMap::new()), Code::Unauthenticated);
        assert_eq!(refused(with("Bearer None")), Code::Unauthenticated);
        for wrong in [basic("ada", "wrong"), basic("bob", "right"), with("Basic ????")] {
            assert_eq!(logins.log_in(&wrong).await.unwrap_err().code(), Code::Unauthenticated);
        }
        let token = logins.log_in(&basic("ada", "right")).await.unwrap();
        let token = with(&format!("bearer {token}"));
        assert_eq!(logins.user(&token).unwrap().as_deref(), Some("ada"));
        assert_eq!(refused(with("Bearer 00112233445566778899aabbccddeeff")), Code::Unauthenticated);

        session.query("ALTER USER ada PASSWORD 'other'").await.unwrap();
        assert_eq!(refused(token), Code::Unauthenticated);
    }

    #[tokio::test]
    async fn a_token_ends() {
        let database = Database::in_memory().unwrap();
        database.session().query("CREATE USER ada PASSWORD 'right'").await.unwrap();
        let logins = Logins::new(database, true, None, Duration::ZERO);
        let token = logins.log_in(&basic("ada", "right")).await.unwrap();
        assert!(logins.user(&with(&format!("Bearer {token}"))).is_err());
        logins.expire();
        assert!(logins.tokens.lock().is_empty());
    }
}
