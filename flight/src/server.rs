//! Listens, and keeps the limits that hold for every client.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use sheafdb::{Database, FileAccess};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::connection::{self, Places};
use crate::guard::Guarded;
use crate::jwt::Jwt;
use crate::logins::Logins;
use crate::service::Service;
use crate::sessions::Sessions;

/// How long statements may run on when the server ends.
const GRACE: Duration = Duration::from_secs(10);

/// How long connections may then take to close.
const LAST: Duration = Duration::from_secs(5);

/// A frame of HTTP/2 that clients may send. The usual 16 KiB are a call of the system each. Room
/// for a whole frame is set aside when it begins, before it is known whose it is: 256 MiB when
/// all 4,096 connections begin one.
const FRAME_BYTES: u32 = 64 << 10;

/// How long a client may take to agree on how to encrypt.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// What a server shows that it is, as PEM.
#[derive(Clone)]
pub struct Tls {
    /// Its certificate, and those that lead from it to one that clients know.
    pub certificate: Vec<u8>,
    /// The certificate's key.
    pub key: Vec<u8>,
    /// Clients must show a certificate that leads to one of these.
    pub client_ca: Option<Vec<u8>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

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
    /// Encrypts connections.
    pub tls: Option<Tls>,
    /// Takes tokens that somebody else gave out, too.
    pub jwt: Option<Jwt>,
    /// How long a token is good that is given for a password.
    pub token_lifetime: Duration,
    /// The files that statements may read and write.
    pub files: FileAccess,
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
            tls: None,
            jwt: None,
            token_lifetime: Duration::from_secs(12 * 3600),
            files: FileAccess::none(),
        }
    }
}

/// A server that has its address.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    sessions: Arc<Sessions>,
    transport: tonic::transport::Server,
    places: Places,
    options: Options,
}

impl Server {
    /// Takes the address. One that others can reach is refused without TLS, and unless
    /// clients must say who they are.
    pub async fn bind(database: Database, options: Options) -> io::Result<Self> {
        let is_public = !options.address.ip().is_loopback();
        let knows_clients = options.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if is_public {
            let has_users = database.has_users().map_err(io::Error::other)?;
            let knows = knows_clients || has_users || options.jwt.is_some();
            check_public(options.address, options.tls.is_some(), knows)?;
        }
        let mut transport = tonic::transport::Server::builder()
            .max_concurrent_streams(options.streams)
            .http2_max_header_list_size(options.header_bytes)
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .max_frame_size(FRAME_BYTES);
        if let Some(tls) = &options.tls {
            let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, explained(&error));
            transport = transport.tls_config(tls_config(tls)).map_err(invalid)?;
        }
        let listener = TcpListener::bind(options.address).await?;
        let address = listener.local_addr()?;
        // Nobody is to come in that could not before.
        let always = is_public && !knows_clients;
        let (jwt, lifetime) = (options.jwt.clone(), options.token_lifetime);
        let logins = Logins::new(database.clone(), always, jwt, lifetime);
        let sessions = Sessions::new(database, logins, options.files.clone(), options.idle);
        let (sessions, places) = (Arc::new(sessions), Places::new(options.connections));
        Ok(Self { listener, address, sessions, transport, places, options })
    }

    /// Its connections, for [`crate::Watch`].
    pub fn places(&self) -> Places {
        self.places.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` comes. Calls that run then have ten seconds to end, before
    /// their statements are cancelled.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn Error>> {
        let Self { listener, address: _, sessions, mut transport, places, options } = self;
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
        let incoming = Box::pin(connection::accept(listener, Arc::clone(&sessions), places));
        let flight = FlightServiceServer::new(Service::new(Arc::clone(&sessions)))
            .max_decoding_message_size(options.message_bytes)
            .max_encoding_message_size(usize::MAX);
        let flight = Guarded { flight, sessions };
        let mut served =
            pin!(transport.add_service(flight).serve_with_incoming_shutdown(incoming, shutdown));
        let served = tokio::select! {
            served = &mut served => served,
            () = grace => {
                for statement in database.statements() {
                    database.cancel(statement.id);
                }
                // Who neither sends nor takes what was begun keeps its connection open.
                tokio::time::timeout(LAST, &mut served).await.unwrap_or(Ok(()))
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

/// Refuses an address that others can reach, unless connections to it are encrypted and
/// their clients are known.
fn check_public(address: SocketAddr, is_encrypted: bool, knows_clients: bool) -> io::Result<()> {
    let missing = match (is_encrypted, knows_clients) {
        (true, true) => return Ok(()),
        (false, true) => "the server has no TLS",
        (true, false) => "the database has no users",
        (false, false) => "the server has no TLS and the database no users",
    };
    let what = format!("{address} can be reached from elsewhere, and {missing}");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

fn tls_config(tls: &Tls) -> ServerTlsConfig {
    // Other parts of the process may use another of rustls' providers; the first stays.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = ServerTlsConfig::new()
        .identity(Identity::from_pem(&tls.certificate, &tls.key))
        .timeout(TLS_HANDSHAKE);
    match &tls.client_ca {
        Some(roots) => config.client_ca_root(Certificate::from_pem(roots)),
        None => config,
    }
}

/// An error and what it comes from.
fn explained(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
