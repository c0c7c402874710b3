//! `sheaf serve`: a database for clients of Arrow Flight SQL.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;

use sheaf_flight::{Options, Server};
use sheafdb::{Database, OpenOptions};

use crate::args::ServeArgs;
use crate::message::Failure;

/// Serves until Ctrl-C or a termination signal.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let options = OpenOptions::new().read_only(args.read_only).create(!args.read_only);
    let database = Database::open_with(&args.path, options)?;
    if let Some(limit) = &args.memory_limit {
        let limit = limit.replace('\'', "''");
        database.session().execute_blocking(&format!("SET memory_limit = '{limit}'"))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("sheaf-flight")
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("cannot start the server's threads: {error}")))?;
    let served = runtime.block_on(serve(database.clone(), args.flight));
    // What still waits for a client that is gone.
    runtime.shutdown_background();
    database.close()?;
    served
}

async fn serve(database: Database, address: SocketAddr) -> Result<(), Failure> {
    let server = Server::bind(database, Options::new(address))
        .await
        .map_err(|error| Failure::Other(format!("cannot listen on {address}: {error}")))?;
    banner(server.address(), &mut std::io::stdout())?;
    let interrupted = interrupted()?;
    server
        .serve(interrupted)
        .await
        .map_err(|error| Failure::Other(format!("the server failed: {error}")))
}

/// What a client has to write.
fn banner(address: SocketAddr, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "Flight SQL on grpc://{address}. Only programs on this machine reach it. Ctrl-C ends it.\n\n\
         Python   import adbc_driver_flightsql.dbapi as sql      # pip install adbc-driver-flightsql pyarrow\n\
         \x20        con = sql.connect(\"grpc://{address}\", autocommit=True)\n\
         JDBC     jdbc:arrow-flight-sql://{address}?useEncryption=false\n"
    )?;
    out.flush()
}

/// Comes back when the process is asked to end.
fn interrupted() -> Result<impl Future<Output = ()>, Failure> {
    #[cfg(unix)]
    let mut terminated = {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate())
            .map_err(|e| Failure::Other(format!("cannot watch for signals: {e}")))?
    };
    Ok(async move {
        #[cfg(unix)]
        let terminated = terminated.recv();
        #[cfg(not(unix))]
        let terminated = std::future::pending::<Option<()>>();
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated => {}
        }
        eprintln!("ending: statements that run have ten seconds; again to end at once");
        tokio::spawn(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    })
}
