//! Whose request it is, and what the server keeps for whom.
//!
//! A request without the cookie of a session gets an engine session of its own, with
//! nothing to clean up; that is what probes and most clients do. A client that sets
//! options gets a session, by cookie. Prepared statements and results that wait belong to
//! the session in which they were made, and go with it, or when nobody asks for them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, AbortHandle, Abortable};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use sheafdb::{Database, Session};
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::protocol::SessionOptionValue;
use crate::shape::Shape;
use crate::statements::Prepared;
use crate::tickets::Handle;

/// The cookie that the clients of Arrow know.
const COOKIE: &str = "arrow_flight_session_id";

/// Prepared statements and results that one server keeps.
const KEPT_MAX: usize = 100_000;

/// What the server keeps.
pub(crate) struct Sessions {
    database: Database,
    idle: Duration,
    clients: Kept<String, ClientSession>,
    pub(crate) prepared: Kept<Handle, Prepared>,
    pub(crate) results: Kept<Handle, WaitingRows>,
    /// Rows that are on their way, by the handle of their asking.
    streams: Mutex<HashMap<Handle, Vec<AbortHandle>>>,
}

/// A client's session.
pub(crate) struct ClientSession {
    pub(crate) session: Session,
    /// Options that were set.
    pub(crate) options: Mutex<HashMap<String, SessionOptionValue>>,
}

/// Rows of a statement with effects, to be fetched once.
pub(crate) struct WaitingRows {
    pub(crate) shape: Shape,
    pub(crate) rows: Mutex<Option<sheafdb::RowStream>>,
}

/// Who asks.
#[derive(Clone)]
pub(crate) struct Client {
    /// Where statements run.
    pub(crate) session: Session,
    /// The id of the session, for a client that has one.
    pub(crate) id: Option<String>,
    /// The client's session.
    pub(crate) kept: Option<Arc<ClientSession>>,
}

impl Client {
    /// Whether the client asked for views of text and bytes.
    pub(crate) fn wants_views(&self) -> bool {
        let options = self.kept.as_ref().map(|kept| kept.options.lock());
        options.is_some_and(|options| {
            options.get(crate::service::VIEWS).is_some_and(|value| value.is_true())
        })
    }
}

impl Sessions {
    pub(crate) fn new(database: Database, idle: Duration) -> Self {
        Self {
            database,
            idle,
            clients: Kept::default(),
            prepared: Kept::default(),
            results: Kept::default(),
            streams: Mutex::default(),
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Who sent a request.
    pub(crate) fn client(&self, headers: &MetadataMap) -> Result<Client, Status> {
        let Some(id) = cookie(headers) else {
            return Ok(Client { session: self.database.session(), id: None, kept: None });
        };
        let kept = self.clients.get(&id).ok_or_else(|| {
            Status::unauthenticated("[08003] the session has ended: connect again")
        })?;
        Ok(Client { session: kept.session.clone(), id: Some(id), kept: Some(kept) })
    }

    /// The same, in a session that is made if there is none. Also gives the header by which
    /// the client learns of a new one.
    pub(crate) fn client_with_session(
        &self,
        headers: &MetadataMap,
    ) -> Result<(Client, Option<String>), Status> {
        let client = self.client(headers)?;
        if client.kept.is_some() {
            return Ok((client, None));
        }
        let id: String =
            Handle::random()?.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let kept = ClientSession { session: client.session.clone(), options: Mutex::default() };
        let kept = self.clients.put(id.clone(), None, kept)?;
        let header = format!("{COOKIE}={id}");
        Ok((Client { session: client.session, id: Some(id), kept: Some(kept) }, Some(header)))
    }

    /// Ends a session and frees what belongs to it.
    pub(crate) fn close(&self, id: &str) {
        self.clients.remove(&id.to_owned());
        self.prepared.remove_of(id);
        self.results.remove_of(id);
    }

    /// Frees what nobody has asked for in a while.
    pub(crate) fn expire(&self) {
        for id in self.clients.idle_since(self.idle) {
            self.close(&id);
        }
        self.prepared.expire(self.idle);
        self.results.expire(self.idle);
    }

    /// Rows that [`Self::cancel`] stops.
    pub(crate) fn stoppable<T, S>(
        self: &Arc<Self>,
        handle: Handle,
        rows: S,
    ) -> impl Stream<Item = Result<T, Status>> + Send + use<T, S>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T, Status>> + Send + 'static,
    {
        let (abort, registration) = AbortHandle::new_pair();
        self.streams.lock().entry(handle).or_default().push(abort.clone());
        let listed = Listed { sessions: Arc::clone(self), handle, abort };
        let rows = Box::pin(Abortable::new(rows, registration));
        stream::unfold(Some((rows, listed)), async |state| {
            let (mut rows, listed) = state?;
            match rows.next().await {
                Some(item) => Some((item, Some((rows, listed)))),
                // Rows that are missing must not look like the end.
                None if rows.is_aborted() => {
                    Some((Err(Status::cancelled("[57014] the query was cancelled")), None))
                }
                None => None,
            }
        })
    }

    /// Stops the rows of an asking; false when none are on their way.
    pub(crate) fn cancel(&self, handle: Handle) -> bool {
        let streams = self.streams.lock().remove(&handle).unwrap_or_default();
        streams.iter().for_each(AbortHandle::abort);
        !streams.is_empty()
    }
}

/// Rows on their way are listed until they are over, or dropped.
struct Listed {
    sessions: Arc<Sessions>,
    handle: Handle,
    abort: AbortHandle,
}

impl Drop for Listed {
    fn drop(&mut self) {
        // Only those that are over: others may have the same handle.
        self.abort.abort();
        let mut streams = self.sessions.streams.lock();
        if let Some(handles) = streams.get_mut(&self.handle) {
            handles.retain(|handle| !handle.is_aborted());
            if handles.is_empty() {
                streams.remove(&self.handle);
            }
        }
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
    pub(crate) fn put(&self, name: K, owner: Option<String>, value: T) -> Result<Arc<T>, Status> {
        let value = Arc::new(value);
        let mut all = self.0.lock();
        if all.len() >= KEPT_MAX {
            return Err(Status::resource_exhausted(
                "[54000] too many sessions, prepared statements or results are open",
            ));
        }
        all.insert(name, Entry { owner, used: Instant::now(), value: Arc::clone(&value) });
        Ok(value)
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
        self.0.lock().retain(|_, entry| entry.owner.as_deref() != Some(owner));
    }

    fn idle_since(&self, idle: Duration) -> Vec<K> {
        let all = self.0.lock();
        let over = all.iter().filter(|(_, entry)| entry.used.elapsed() > idle);
        over.map(|(name, _)| name.clone()).collect()
    }

    fn expire(&self, idle: Duration) {
        self.0.lock().retain(|_, entry| entry.used.elapsed() <= idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = MetadataMap::new();
        assert_eq!(cookie(&headers), None);
        headers.append("cookie", "a=b; arrow_flight_session_id=\"12ab\"; c=d".parse().unwrap());
        assert_eq!(cookie(&headers).as_deref(), Some("12ab"));
    }

    #[test]
    fn what_belongs_to_a_session_goes_with_it() {
        let sessions = Sessions::new(Database::in_memory().unwrap(), Duration::from_secs(60));
        let (client, header) = sessions.client_with_session(&MetadataMap::new()).unwrap();
        let mut headers = MetadataMap::new();
        headers.append("cookie", header.unwrap().parse().unwrap());
        assert_eq!(sessions.client(&headers).unwrap().id, client.id);
        assert!(sessions.client_with_session(&headers).unwrap().1.is_none());
        let shape = Shape::new(&arrow::datatypes::Schema::empty(), false);
        let rows = || WaitingRows { shape: shape.clone(), rows: Mutex::new(None) };
        let (theirs, others) = (Handle::random().unwrap(), Handle::random().unwrap());
        sessions.results.put(theirs, client.id.clone(), rows()).unwrap();
        sessions.results.put(others, None, rows()).unwrap();
        sessions.close(&client.id.unwrap());
        assert!(sessions.results.get(&theirs).is_none());
        assert!(sessions.results.get(&others).is_some());
        assert!(sessions.client(&headers).is_err());
    }
}
