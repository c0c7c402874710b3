//! Connections: what a client without a session's cookie has, its connection has.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Extensions;
use tonic::transport::server::Connected;

use crate::sessions::{ClientSession, Sessions};
use crate::tickets::Handle;

/// The session of a connection. It ends, with what belongs to it, when the connection and
/// the calls on it have.
pub(crate) struct Connection {
    pub(crate) id: String,
    pub(crate) session: Arc<ClientSession>,
    sessions: Weak<Sessions>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(sessions) = self.sessions.upgrade() {
            sessions.close(&self.id);
        }
    }
}

/// The connection that a request came by.
pub(crate) fn of(extensions: &Extensions) -> Option<&Arc<Connection>> {
    extensions.get()
}

/// A socket that knows its session.
pub(crate) struct Socket {
    tcp: TcpStream,
    connection: Arc<Connection>,
    _place: OwnedSemaphorePermit,
}

/// The connections that come in, of which there are `max` at a time at most; others wait.
pub(crate) fn accept(
    listener: TcpListener,
    sessions: Arc<Sessions>,
    max: usize,
) -> impl Stream<Item = io::Result<Socket>> {
    let places = Arc::new(Semaphore::new(max));
    stream::unfold((listener, sessions, places), async |state| {
        let (listener, sessions, places) = &state;
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        let (tcp, connection) = loop {
            match open(listener, sessions).await {
                Ok(opened) => break opened,
                // The client has gone again, or the process has too many files open.
                Err(error) => tracing::warn!(%error, "a connection was not taken"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Some((Ok(Socket { tcp, connection, _place: place }), state))
    })
}

async fn open(
    listener: &TcpListener,
    sessions: &Arc<Sessions>,
) -> io::Result<(TcpStream, Arc<Connection>)> {
    let (tcp, _) = listener.accept().await?;
    tcp.set_nodelay(true)?;
    let id = Handle::random().map_err(io::Error::other)?.text();
    let session = Arc::new(ClientSession::new(sessions.database()));
    Ok((tcp, Arc::new(Connection { id, session, sessions: Arc::downgrade(sessions) })))
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
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
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
