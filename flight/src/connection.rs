//! Connections: what a client without a session's cookie has, its connection has.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, stream};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::transport::server::{Connected, TlsConnectInfo};
use tonic::{Extensions, Status};

use crate::sessions::{ClientSession, Sessions};

/// How long a client may be silent at first. Later it is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(20);

/// Bytes that a connection of HTTP/2 begins with.
const PREFACE_LEN: usize = 24;

/// Users that one connection has sessions of: programs between may serve many.
const USERS_MAX: usize = 1000;

/// What belongs to a connection. It ends when the connection and the calls on it have.
pub(crate) struct Connection {
    sessions: Weak<Sessions>,
    /// Of each user that it serves: mostly of one.
    of_users: Mutex<Vec<Arc<ClientSession>>>,
}

impl Connection {
    /// The session of a user.
    pub(crate) fn session(
        &self,
        user: Option<&Arc<str>>,
        new: impl FnOnce() -> Result<ClientSession, Status>,
    ) -> Result<Arc<ClientSession>, Status> {
        let mut of_users = self.of_users.lock();
        if let Some(known) = of_users.iter().find(|session| session.user.as_ref() == user) {
            return Ok(Arc::clone(known));
        }
        let session = Arc::new(new()?);
        if of_users.len() == USERS_MAX {
            self.leave(&of_users.remove(0));
        }
        of_users.push(Arc::clone(&session));
        Ok(session)
    }

    /// The session with this id.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<ClientSession>> {
        self.of_users.lock().iter().find(|session| session.id == id).cloned()
    }

    /// Does not know a session any more.
    pub(crate) fn forget(&self, id: &str) {
        let over: Vec<_> =
            self.of_users.lock().extract_if(.., |session| session.id == id).collect();
        drop(over);
    }

    fn leave(&self, session: &ClientSession) {
        if let Some(sessions) = self.sessions.upgrade() {
            sessions.leave(&session.id);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.of_users.lock().iter().for_each(|session| self.leave(session));
    }
}

/// The connection that a request came by.
pub(crate) fn of(extensions: &Extensions) -> Option<&Arc<Connection>> {
    let tls = || Some(extensions.get::<TlsConnectInfo<Arc<Connection>>>()?.get_ref());
    extensions.get().or_else(tls)
}

/// A socket that knows its session.
pub(crate) struct Socket {
    tcp: TcpStream,
    connection: Arc<Connection>,
    /// Until the client has begun to speak, when its silence ends the connection.
    silence: Option<Pin<Box<Sleep>>>,
    heard: usize,
    _place: OwnedSemaphorePermit,
}

/// Places for connections.
#[derive(Clone, Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    all: usize,
}

impl Places {
    pub(crate) fn new(all: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(all)), all }
    }

    /// Connections that are open.
    pub fn taken(&self) -> usize {
        self.all - self.free.available_permits().min(self.all)
    }
}

/// The connections that come in, as many at a time as there are places; others wait.
pub(crate) fn accept(
    listener: TcpListener,
    sessions: Arc<Sessions>,
    places: Places,
) -> impl Stream<Item = io::Result<Socket>> {
    stream::unfold((listener, sessions, places), async |state| {
        let (listener, sessions, places) = &state;
        let place = Arc::clone(&places.free).acquire_owned().await.ok()?;
        let (tcp, connection) = loop {
            match open(listener, sessions).await {
                Ok(opened) => break opened,
                // The client has gone again, or the process has too many files open.
                Err(error) => tracing::warn!(%error, "a connection was not taken"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let silence = Some(Box::pin(tokio::time::sleep(SILENCE)));
        Some((Ok(Socket { tcp, connection, silence, heard: 0, _place: place }), state))
    })
}

async fn open(
    listener: &TcpListener,
    sessions: &Arc<Sessions>,
) -> io::Result<(TcpStream, Arc<Connection>)> {
    let (tcp, _) = listener.accept().await?;
    tcp.set_nodelay(true)?;
    let sessions = Arc::downgrade(sessions);
    Ok((tcp, Arc::new(Connection { sessions, of_users: Mutex::default() })))
}

impl Connected for Socket {
    type ConnectInfo = Arc<Connection>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.connection)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(silence) = &mut self.silence
            && silence.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buffer);
        self.heard = self.heard.saturating_add(buffer.filled().len() - before);
        if self.heard >= PREFACE_LEN {
            self.silence = None;
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
