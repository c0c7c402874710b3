//! Whose request it is, and what the server keeps for whom.
//!
//! A client's session lives as long as its connection. One that sets options is offered a
//! cookie, by which it finds its session again over other connections until nobody asks for
//! it. Prepared statements and results that wait belong to a session and go with it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sheafdb::{Database, FileAccess, Session, SessionOptions};
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::connection::Connection;
use crate::logins::Logins;
use crate::statements::Prepared;
use crate::stopping::OnTheirWay;
use crate::tickets::Handle;
use crate::waiting::WaitingRows;

/// The cookie that the clients of Arrow know.
const COOKIE: &str = "arrow_flight_session_id";

/// Prepared statements and results that one server keeps.
const KEPT_MAX: usize = 100_000;

/// What the server keeps.
pub(crate) struct Sessions {
    database: Database,
    logins: Logins,
    files: FileAccess,
    idle: Duration,
    clients: Kept<String, ClientSession>,
    pub(crate) prepared: Kept<Handle, Prepared>,
    pub(crate) results: Kept<Handle, WaitingRows>,
    pub(crate) on_their_way: Arc<OnTheirWay>,
}

/// The state of a client.
pub(crate) struct ClientSession {
    /// A name that nobody guesses: the cookie, where one is offered.
    pub(crate) id: String,
    session: Session,
    pub(crate) user: Option<Arc<str>>,
    /// Whether the client asked for views of text and bytes.
    pub(crate) views: AtomicBool,
    /// How many endpoints the rows of a query get, where they have no order.
    pub(crate) endpoints: AtomicU8,
}

/// Who asks.
#[derive(Clone)]
pub(crate) struct Client {
    /// Where statements run.
    pub(crate) session: Session,
    /// The client's state.
    pub(crate) kept: Arc<ClientSession>,
    /// Whether it names its session by cookie.
    pub(crate) has_cookie: bool,
    connection: Option<Arc<Connection>>,
}

impl Client {
    fn new(
        kept: Arc<ClientSession>,
        has_cookie: bool,
        connection: Option<&Arc<Connection>>,
    ) -> Self {
        Self { session: kept.session.clone(), kept, has_cookie, connection: connection.cloned() }
    }

    /// To whom belongs what is kept for it.
    pub(crate) fn owner(&self) -> Option<String> {
        Some(self.kept.id.clone())
    }

    pub(crate) fn wants_views(&self) -> bool {
        self.kept.views.load(Ordering::Relaxed)
    }
}

impl Sessions {
    /// Those of whoever logs in; their statements may use `files`.
    pub(crate) fn new(
        database: Database,
        logins: Logins,
        files: FileAccess,
        idle: Duration,
    ) -> Self {
        Self {
            database,
            logins,
            files,
            idle,
            clients: Kept::default(),
            prepared: Kept::default(),
            results: Kept::default(),
            on_their_way: Arc::default(),
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn logins(&self) -> &Logins {
        &self.logins
    }

    fn session(&self, user: Option<Arc<str>>) -> Result<ClientSession, Status> {
        let mut options = SessionOptions::new().files(self.files.clone());
        if let Some(user) = &user {
            options = options.user(user);
        }
        let session = self.database.session_with(options);
        let (views, endpoints) = (AtomicBool::new(false), AtomicU8::new(1));
        Ok(ClientSession { id: Handle::random()?.text(), session, user, views, endpoints })
    }

    /// Who sent a request, by its user.
    pub(crate) fn client(
        &self,
        user: Option<Arc<str>>,
        headers: &MetadataMap,
        connection: Option<&Arc<Connection>>,
    ) -> Result<Client, Status> {
        match (cookie(headers), connection) {
            (Some(id), _) => {
                let on_connection = || connection.and_then(|connection| connection.find(&id));
                let kept = self.clients.get(&id).or_else(on_connection);
                let kept = kept.filter(|kept| kept.user == user);
                let kept = kept.ok_or_else(|| {
                    Status::unauthenticated("[08003] the session has ended: connect again")
                })?;
                Ok(Client::new(kept, true, connection))
            }
            (None, Some(connection)) => {
                let kept = connection.session(user.as_ref(), || self.session(user.clone()))?;
                Ok(Client::new(kept, false, Some(connection)))
            }
            (None, None) => Ok(Client::new(Arc::new(self.session(user)?), false, None)),
        }
    }

    /// Offers a client a cookie of its session; gives the header by which it learns of it.
    pub(crate) fn offer(&self, client: &Client) -> Result<Option<String>, Status> {
        if client.has_cookie {
            return Ok(None);
        }
        let id = &client.kept.id;
        self.clients.share(id.clone(), None, Arc::clone(&client.kept))?;
        Ok(Some(format!("{COOKIE}={id}")))
    }

    /// Ends a client's session: what it asks next is in a new one.
    pub(crate) fn end(&self, client: &Client) {
        if let Some(connection) = &client.connection {
            connection.forget(&client.kept.id);
        }
        self.close(&client.kept.id);
    }

    /// Frees a session and what belongs to it.
    fn close(&self, id: &str) {
        self.clients.remove(&id.to_owned());
        self.prepared.remove_of(id);
        self.results.remove_of(id);
    }

    /// Closes a session whose connection has ended, unless it can be found again.
    pub(crate) fn leave(&self, id: &str) {
        if self.clients.get(&id.to_owned()).is_none() {
            self.close(id);
        }
    }

    /// Frees sessions and waiting rows that nobody has asked for in a while. Prepared
    /// statements go with their session.
    pub(crate) fn expire(&self) {
        for id in self.clients.idle_since(self.idle) {
            // One whose connection is open ends with that, and only the cookie is over.
            let session = self.clients.remove(&id);
            if session.is_none_or(|session| Arc::strong_count(&session) == 1) {
                self.close(&id);
            }
        }
        self.results.expire(self.idle);
        self.logins.expire();
    }
}

/// The session's id in the cookies of a request.
fn cookie(headers: &MetadataMap) -> Option<String> {
    let cookies = headers.get_all("cookie");
    let texts = cookies.iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    let mut ids = pairs.filter(|(name, _)| name.trim() == COOKIE).map(|(_, value)| value.trim());
    ids.next_back().map(|id| id.trim_matches('"').to_owned())
}

/// Things by a name that nobody guesses, until they are removed or nobody asks for them.
pub(crate) struct Kept<K, T>(Mutex<HashMap<K, Entry<T>>>);

struct Entry<T> {
    owner: Option<String>,
    used: Instant,
    value: Arc<T>,
}

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone, T> Kept<K, T> {
    /// Keeps something for the session `owner`, or for whoever knows its name.
    pub(crate) fn put(&self, name: K, owner: Option<String>, value: T) -> Result<(), Status> {
        self.share(name, owner, Arc::new(value))
    }

    /// The same with something that others have too.
    fn share(&self, name: K, owner: Option<String>, value: Arc<T>) -> Result<(), Status> {
        let mut all = self.0.lock();
        if all.len() >= KEPT_MAX && !all.contains_key(&name) {
            return Err(Status::resource_exhausted(
                "[54000] too many sessions, prepared statements or results are open",
            ));
        }
        all.insert(name, Entry { owner, used: Instant::now(), value });
        Ok(())
    }

    pub(crate) fn get(&self, name: &K) -> Option<Arc<T>> {
        let mut all = self.0.lock();
        let entry = all.get_mut(name)?;
        entry.used = Instant::now();
        Some(Arc::clone(&entry.value))
    }

    pub(crate) fn remove(&self, name: &K) -> Option<Arc<T>> {
        self.0.lock().remove(name).map(|entry| entry.value)
    }

    fn remove_of(&self, owner: &str) {
        self.remove_where(|entry| entry.owner.as_deref() == Some(owner));
    }

    fn idle_since(&self, idle: Duration) -> Vec<K> {
        let all = self.0.lock();
        let over = all.iter().filter(|(_, entry)| entry.used.elapsed() > idle);
        over.map(|(name, _)| name.clone()).collect()
    }

    /// What somebody has at the moment is not idle.
    fn expire(&self, idle: Duration) {
        let is_held = |entry: &Entry<T>| Arc::strong_count(&entry.value) > 1;
        self.remove_where(|entry| entry.used.elapsed() > idle && !is_held(entry));
    }

    /// The end of a session may have to wait for a disk: nobody else is to wait for it.
    fn remove_where(&self, is_over: impl Fn(&Entry<T>) -> bool) {
        let over: Vec<_> = self.0.lock().extract_if(|_, entry| is_over(entry)).collect();
        drop(over);
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::shape::Shape;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = MetadataMap::new();
        assert_eq!(cookie(&headers), None);
        headers.append("cookie", "a=b; arrow_flight_session_id=\"12ab\"; c=d".parse().unwrap());
        assert_eq!(cookie(&headers).as_deref(), Some("12ab"));
    }

    #[test]
    fn what_belongs_to_a_session_goes_with_it() {
        let (database, minute) = (Database::in_memory().unwrap(), Duration::from_secs(60));
        let logins = Logins::new(database.clone(), false, None, minute);
        let sessions = Sessions::new(database, logins, FileAccess::none(), minute);
        let client = sessions.client(None, &MetadataMap::new(), None).unwrap();
        let mut headers = MetadataMap::new();
        let cookie = sessions.offer(&client).unwrap().unwrap();
        headers.append("cookie", cookie.parse().unwrap());
        let client = sessions.client(None, &headers, None).unwrap();
        assert_eq!(sessions.offer(&client).unwrap(), None);
        let shape = Shape::new(&arrow::datatypes::Schema::empty(), false);
        let rows = || WaitingRows::new(shape.clone(), stream::empty(), 1);
        let (theirs, others) = (Handle::random().unwrap(), Handle::random().unwrap());
        sessions.results.put(theirs, client.owner(), rows()).unwrap();
        sessions.results.put(others, None, rows()).unwrap();
        sessions.leave(&client.kept.id);
        assert!(sessions.results.get(&theirs).is_some());
        sessions.close(&client.kept.id);
        assert!(sessions.results.get(&theirs).is_none());
        assert!(sessions.results.get(&others).is_some());
        assert!(sessions.client(None, &headers, None).is_err());
    }
}
