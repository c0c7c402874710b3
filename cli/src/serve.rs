//! `sheaf serve`: a database for clients of Arrow Flight SQL.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sheaf_flight::{Jwt, Options, Server, Tls, Watch};
use sheafdb::{Database, FileAccess, OpenOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{JwtArgs, ServeArgs};
use crate::message::Failure;
use crate::telemetry;

/// Serves until Ctrl-C or a termination signal.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("sheaf-flight")
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("cannot start the server's threads: {error}")))?;
    let telemetry = {
        let _inside = runtime.enter();
        telemetry::start(args.log)?
    };
    allow_files();
    let options = OpenOptions::new().read_only(args.read_only).create(!args.read_only);
    let database = Database::open_with(&args.path, options)?;
    if let Some(limit) = &args.memory_limit {
        let limit = limit.replace('\'', "''");
        database.session().execute_blocking(&format!("SET memory_limit = '{limit}'"))?;
    }
    let options = options_of(args)?;
    let served = runtime.block_on(serve(database.clone(), options, args.http));
    drop(telemetry);
    // What still waits for a client that is gone.
    runtime.shutdown_background();
    database.close()?;
    served
}

fn options_of(args: &ServeArgs) -> Result<Options, Failure> {
    let mut options = Options::new(args.flight);
    if let Some(folder) = &args.files {
        options.files = FileAccess::below(folder).map_err(|error| unusable(folder, &error))?;
        let (files, database) = (folder.canonicalize()?, args.path.canonicalize()?);
        if files.starts_with(&database) || database.starts_with(&files) {
            return Err(unusable(folder, &"the database's own files would be in it"));
        }
    }
    if let (Some(certificate), Some(key)) = (&args.tls.tls_cert, &args.tls.tls_key) {
        options.tls = Some(Tls {
            certificate: read(certificate)?,
            key: read(key)?,
            client_ca: args.tls.client_ca.as_deref().map(read).transpose()?,
        });
    }
    if let (Some(key), Some(audience)) = (&args.jwt.jwt_key, &args.jwt.jwt_audience) {
        let JwtArgs { jwt_algorithm, jwt_issuer, .. } = &args.jwt;
        let jwt = Jwt::new(jwt_algorithm, &read(key)?, audience, jwt_issuer.as_deref());
        options.jwt = Some(jwt.map_err(|error| unusable(key, &error))?);
    }
    Ok(options)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| unusable(file, &error))
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::Other(format!("cannot use {}: {why}", path.display()))
}

async fn serve(
    database: Database,
    options: Options,
    http: Option<SocketAddr>,
) -> Result<(), Failure> {
    let (address, is_encrypted) = (options.address, options.tls.is_some());
    let cannot_listen = |address: SocketAddr| {
        move |error| Failure::Other(format!("cannot listen on {address}: {error}"))
    };
    let server = Server::bind(database.clone(), options).await.map_err(cannot_listen(address))?;
    let watch = match http {
        Some(address) => {
            let watch = Watch::bind(database, server.places(), address).await;
            Some(watch.map_err(cannot_listen(address))?)
        }
        None => None,
    };
    let watched = watch.as_ref().map(Watch::address);
    banner(server.address(), is_encrypted, watched, &mut std::io::stdout())?;
    let interrupted = interrupted()?;
    if let Some(watch) = watch {
        // It ends with the runtime: who watches sees the server drain.
        tokio::spawn(async {
            if let Err(error) = watch.serve().await {
                tracing::error!(%error, "health and metrics are not served any more");
            }
        });
    }
    server
        .serve(interrupted)
        .await
        .map_err(|error| Failure::Other(format!("the server failed: {error}")))
}

/// Each connection is a file to the system, which often allows 1,024 of them to a process, and
/// more to one that asks.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    let asked = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, asked) {
        tracing::warn!(%error, "no more files may be open than {:?}", limit.current);
    }
}

/// What a client has to write.
fn banner(
    address: SocketAddr,
    is_encrypted: bool,
    watched: Option<SocketAddr>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let scheme = if is_encrypted { "grpc+tls" } else { "grpc" };
    let reach = match address.ip().is_loopback() {
        true => " Only programs on this machine reach it.",
        false => "",
    };
    writeln!(
        out,
        "Flight SQL on {scheme}://{address}.{reach} Ctrl-C ends it.\n\n\
         Python   import adbc_driver_flightsql.dbapi as sql      # pip install adbc-driver-flightsql pyarrow\n\
         \x20        con = sql.connect(\"{scheme}://{address}\", autocommit=True)\n\
         JDBC     jdbc:arrow-flight-sql://{address}?useEncryption={is_encrypted}\n\
         Shell    sheaf connect {scheme}://{address}\n"
    )?;
    if let Some(address) = watched {
        writeln!(out, "Health on http://{address}/health, metrics on http://{address}/metrics\n")?;
    }
    out.flush()
}

/// Comes back when the process is asked to end.
fn interrupted() -> Result<impl Future<Output = ()>, Failure> {
    let watched =
        |kind| signal(kind).map_err(|e| Failure::Other(format!("cannot watch for signals: {e}")));
    // Between the first signal and the second there is always somebody who watches.
    let mut interrupts = watched(SignalKind::interrupt())?;
    let mut terminations = watched(SignalKind::terminate())?;
    let mut asked = async move || {
        // What shells say of a process that such a signal ended.
        tokio::select! {
            _ = interrupts.recv() => 130,
            _ = terminations.recv() => 143,
        }
    };
    Ok(async move {
        asked().await;
        eprintln!("ending: statements that run have ten seconds; again to end at once");
        tokio::spawn(async move { std::process::exit(asked().await) });
    })
}
