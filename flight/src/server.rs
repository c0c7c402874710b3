//! Listens, and keeps the limits that hold for every client.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use sheafdb::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::connection;
use crate::service::Service;
use crate::sessions::Sessions;

/// How long statements may run on when the server ends.
const GRACE: Duration = Duration::from_secs(10);

/// How a server listens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Where; port 0 is any that is free.
    pub address: SocketAddr,
    /// Sessions by cookie and waiting rows that nobody asks for are freed after so long.
    pub idle: Duration,
    /// The largest message that is taken, in bytes.
    pub message_bytes: usize,
    /// Calls of one connection at a time.
    pub streams: u32,
    /// Connections at a time; others wait.
    pub connections: usize,
    /// Bytes of the headers of a call.
    pub header_bytes: u32,
}

impl Options {
    /// The usual limits.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            idle: Duration::from_secs(3600),
            message_bytes: 64 << 20,
            streams: 256,
            connections: 4096,
            header_bytes: 64 << 10,
        }
    }
}

/// A server that has its address.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    sessions: Arc<Sessions>,
    options: Options,
}

impl Server {
    /// Takes the address. One that others can reach is refused: whoever reaches the server
    /// may read and change everything.
    pub async fn bind(database: Database, options: Options) -> io::Result<Self> {
        if !options.address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{} can be reached from elsewhere, and the server has neither TLS nor users: \
                     listen on 127.0.0.1",
                    options.address
                ),
            ));
        }
        let listener = TcpListener::bind(options.address).await?;
        let address = listener.local_addr()?;
        let sessions = Arc::new(Sessions::new(database, options.idle));
        Ok(Self { listener, address, sessions, options })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` comes. Calls that run then have ten seconds to end, before
    /// their statements are cancelled.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn Error>> {
        let Self { listener, address: _, sessions, options } = self;
        let database = sessions.database().clone();
        let (ends, is_ending) = oneshot::channel();
        let shutdown = async {
            shutdown.await;
            // Nobody listens any more when all calls have ended.
            let _ = ends.send(());
        };
        let grace = async {
            match is_ending.await {
                Ok(()) => tokio::time::sleep(GRACE).await,
                Err(_) => std::future::pending().await,
            }
        };
        let housekeeping = tokio::spawn(expire(Arc::clone(&sessions)));
        let incoming =
            Box::pin(connection::accept(listener, Arc::clone(&sessions), options.connections));
        let flight = FlightServiceServer::new(Service::new(sessions))
            .max_decoding_message_size(options.message_bytes)
            .max_encoding_message_size(usize::MAX);
        let mut served = pin!(
            tonic::transport::Server::builder()
                .max_concurrent_streams(options.streams)
                .http2_max_header_list_size(options.header_bytes)
                .http2_keepalive_interval(Some(Duration::from_secs(30)))
                .http2_keepalive_timeout(Some(Duration::from_secs(20)))
                .initial_stream_window_size(4 << 20)
                .initial_connection_window_size(16 << 20)
                .add_service(flight)
                .serve_with_incoming_shutdown(incoming, shutdown)
        );
        let served = tokio::select! {
            served = &mut served => served,
            () = grace => {
                for statement in database.statements() {
                    database.cancel(statement.id);
                }
                served.await
            }
        };
        housekeeping.abort();
        Ok(served?)
    }
}

/// Frees what nobody asks for, now and then.
async fn expire(sessions: Arc<Sessions>) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        sessions.expire();
    }
}
