//! A server in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sheaf_benches::Failure;
use sheaf_flight::{Options, Server};
use sheafdb::Database;
use tonic::transport::{Channel, Endpoint};

use crate::SERVE;
use crate::client::Client;

/// It ends when it is dropped.
pub struct Served {
    process: Child,
    pub address: SocketAddr,
}

impl Served {
    pub fn start(path: &Path) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self { process, address: line.trim().parse()? })
    }

    pub fn uri(&self) -> String {
        format!("grpc://{}", self.address)
    }

    pub async fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.channel().await?))
    }

    pub async fn channel(&self) -> Result<Channel, Failure> {
        Ok(self.endpoint()?.connect().await?)
    }

    pub fn endpoint(&self) -> Result<Endpoint, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?;
        Ok(endpoint
            .tcp_nodelay(true)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20))
    }

    /// What the process takes beyond mapped files.
    pub fn memory(&self) -> Result<usize, Failure> {
        sheaf_benches::anonymous_bytes(self.process.id())
    }
}

impl Drop for Served {
    /// It ends when its input does.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Serves until the standard input ends.
pub fn serve(path: &Path) -> Result<(), Failure> {
    let database = Database::open(path)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    runtime.block_on(async {
        let server =
            Server::bind(database.clone(), Options::new(([127, 0, 0, 1], 0).into())).await?;
        println!("{}", server.address());
        let end = async {
            let _ = end.await;
        };
        server.serve(end).await.map_err(|error| error.to_string())?;
        Ok::<_, Failure>(())
    })?;
    runtime.shutdown_background();
    Ok(database.close()?)
}
