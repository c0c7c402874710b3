//! A database that another process serves: statements over Arrow Flight SQL.

use std::path::PathBuf;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::CommandGetTables;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{Action, FlightInfo};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::runtime::Runtime;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::args::ConnectArgs;
use crate::message::Failure;

/// Where servers listen when nothing else is said.
const PORT: u16 = 32010;

/// A frame of HTTP/2 that the server may send. Rows come a third faster than in the usual 16 KiB.
const FRAME_BYTES: u32 = 1 << 20;

/// The action by which a client sets options; also none, for a cookie of its session.
const SET_OPTIONS: &str = "SetSessionOptions";

/// The action that ends a session.
const CLOSE: &str = "CloseSession";

/// The header in which a server says where in a statement its error is.
const POSITION: &str = "x-sheaf-position";

/// How long the end of a session may take.
const LAST: Duration = Duration::from_secs(2);

type Client = FlightSqlServiceClient<Channel>;

/// A connection.
pub struct Remote {
    client: Client,
    /// The name of its session.
    cookie: Option<String>,
    runtime: Runtime,
}

impl Drop for Remote {
    /// Else the server keeps the session for a while.
    fn drop(&mut self) {
        let close = act(&mut self.client, CLOSE, self.cookie.as_deref());
        let _ = self.runtime.block_on(async { tokio::time::timeout(LAST, close).await });
    }
}

/// What a statement gave.
pub enum Answer {
    /// Rows.
    Rows(SchemaRef, BoxStream<'static, Result<RecordBatch, Failure>>),
    /// How many rows it changed.
    Changed(i64),
}

impl Remote {
    /// Connects, and logs in where a user or a token is given.
    pub fn connect(args: &ConnectArgs) -> Result<Self, Failure> {
        let runtime = Runtime::new()?;
        let endpoint = endpoint(args)?;
        let credentials = Credentials::of(args)?;
        let (client, cookie) = runtime.block_on(async {
            let channel = endpoint.connect().await;
            let channel = channel.map_err(|error| cannot_connect(&args.url, &error))?;
            let calls = FlightServiceClient::new(channel).max_decoding_message_size(usize::MAX);
            let mut client = Client::new_from_inner(calls);
            match credentials {
                Credentials::None => {}
                Credentials::Token(token) => client.set_token(token),
                Credentials::Password(user, password) => {
                    client.handshake(&user, &password).await?;
                }
            }
            // A connection that is lost is made anew: by its cookie the session is the same, or
            // the server says that it has ended. This also tells now, and not at the first
            // statement, that nobody is let in.
            if let Some(cookie) = act(&mut client, SET_OPTIONS, None).await? {
                client.set_header("cookie", cookie.clone());
                return Ok((client, Some(cookie)));
            }
            Ok::<_, Failure>((client, None))
        })?;
        Ok(Self { client, cookie, runtime })
    }

    /// Waits for a future that talks with the server.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Runs one statement.
    pub async fn run(&self, sql: &str) -> Result<Answer, Failure> {
        let mut client = self.client.clone();
        let mut statement = client.prepare(sql.to_owned(), None).await?;
        if statement.dataset_schema()?.fields().is_empty() {
            let changed = statement.execute_update().await?;
            statement.close().await?;
            return Ok(Answer::Changed(changed));
        }
        let info = statement.execute().await?;
        let schema = SchemaRef::new(info.clone().try_decode_schema()?);
        let close = stream::once(async { statement.close().await.map_err(Failure::from) });
        let close = close.filter_map(async |closed| closed.err().map(Err));
        Ok(Answer::Rows(schema, rows(client, info).chain(close).boxed()))
    }

    /// Tables and views that are not the system's, those of other schemas than `public` with
    /// theirs.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let mut client = self.client.clone();
        let batches: Vec<RecordBatch> = self.block_on(async {
            let table_types = ["TABLE", "VIEW", "LOCAL TEMPORARY"].map(str::to_owned).into();
            let info = client.get_tables(CommandGetTables { table_types, ..Default::default() });
            let info = info.await?;
            rows(client, info).try_collect().await
        })?;
        let mut names = Vec::new();
        for batch in batches {
            let [schemas, tables, kinds] = [1, 2, 3].map(|i| batch.column(i).as_string::<i32>());
            for row in 0..batch.num_rows() {
                let (schema, table) = (schemas.value(row), tables.value(row));
                names.push(match (schema, kinds.value(row)) {
                    (_, "LOCAL TEMPORARY") => format!("{table} (temporary)"),
                    ("public", "VIEW") => format!("{table} (view)"),
                    ("public", _) => table.to_owned(),
                    (_, "VIEW") => format!("{schema}.{table} (view)"),
                    _ => format!("{schema}.{table}"),
                });
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Runs an action without a body; gives the cookie that the answer sets.
async fn act(
    client: &mut Client,
    action: &str,
    cookie: Option<&str>,
) -> Result<Option<String>, Failure> {
    let action = Action { r#type: action.to_owned(), body: Bytes::new() };
    let mut request = Request::new(action);
    let token = client.token().map(|token| format!("Bearer {token}"));
    for (name, value) in [("authorization", token.as_deref()), ("cookie", cookie)] {
        if let Some(value) = value {
            let value = value.parse();
            let value = value.map_err(|_| Failure::Other(format!("{name} is no header")))?;
            request.metadata_mut().insert(name, value);
        }
    }
    let answer = client.inner_mut().do_action(request).await?;
    let cookie = answer.metadata().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
    Ok(cookie.map(str::to_owned))
}

/// The rows of all endpoints, one after the other.
fn rows(client: Client, info: FlightInfo) -> BoxStream<'static, Result<RecordBatch, Failure>> {
    let tickets = info.endpoint.into_iter().filter_map(|endpoint| endpoint.ticket);
    let fetched = stream::iter(tickets).then(move |ticket| {
        let mut client = client.clone();
        async move { client.do_get(ticket).await.map_err(Failure::from) }
    });
    fetched.map_ok(|rows| rows.map_err(Failure::from)).try_flatten().boxed()
}

/// How a client says who it is.
enum Credentials {
    None,
    Token(String),
    Password(String, String),
}

impl Credentials {
    /// Secrets come from the environment or a person: lists of processes show arguments.
    fn of(args: &ConnectArgs) -> Result<Self, Failure> {
        let Some(user) = &args.user else {
            let token = std::env::var("SHEAF_TOKEN").ok().filter(|token| !token.is_empty());
            return Ok(token.map_or(Self::None, Self::Token));
        };
        let password = match std::env::var("SHEAF_PASSWORD") {
            Ok(password) => password,
            Err(_) => rpassword::prompt_password(format!("Password of {user}: "))
                .map_err(|error| Failure::Other(format!("cannot ask for a password: {error}")))?,
        };
        Ok(Self::Password(user.clone(), password))
    }
}

/// The address as one of HTTP.
fn endpoint(args: &ConnectArgs) -> Result<Endpoint, Failure> {
    let (scheme, place) = args.url.split_once("://").unwrap_or(("grpc", &args.url));
    let is_encrypted = match scheme {
        "flight" | "grpc" | "grpc+tcp" => false,
        "flight+tls" | "grpc+tls" => true,
        other => {
            return Err(Failure::Other(format!(
                "the address begins with grpc:// or grpc+tls://, not {other}://"
            )));
        }
    };
    let place = place.trim_end_matches('/');
    let has_port = place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if has_port { String::new() } else { format!(":{PORT}") };
    let http = if is_encrypted { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{http}://{place}{port}"));
    let endpoint = endpoint.map_err(|error| cannot_connect(&args.url, &error))?;
    let endpoint = endpoint.tcp_nodelay(true).max_frame_size(FRAME_BYTES);
    if !is_encrypted {
        let files = [&args.ca, &args.cert, &args.key];
        return match files.iter().all(|file| file.is_none()) {
            true => Ok(endpoint),
            false => {
                let what = format!("{} is not encrypted: write grpc+tls://{place}", args.url);
                Err(Failure::Other(what))
            }
        };
    }
    let read = |file: &PathBuf| {
        let text = std::fs::read(file);
        text.map_err(|error| Failure::Other(format!("cannot use {}: {error}", file.display())))
    };
    let mut tls = ClientTlsConfig::new();
    tls = match &args.ca {
        Some(file) => tls.ca_certificate(Certificate::from_pem(read(file)?)),
        None => tls.with_native_roots(),
    };
    if let (Some(certificate), Some(key)) = (&args.cert, &args.key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    endpoint.tls_config(tls).map_err(|error| cannot_connect(&args.url, &error))
}

fn cannot_connect(url: &str, error: &dyn std::error::Error) -> Failure {
    let mut text = format!("cannot connect to {url}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    Failure::Other(text)
}

impl From<FlightError> for Failure {
    fn from(error: FlightError) -> Self {
        match error {
            FlightError::Tonic(status) => (*status).into(),
            FlightError::Arrow(error) => error.into(),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let position = status.metadata().get(POSITION).and_then(|at| at.to_str().ok());
        let position = position.and_then(|at| at.split_once(':'));
        let position = position.and_then(|(line, column)| {
            Some((line.parse::<u64>().ok()?, column.parse::<u64>().ok()?))
        });
        Self::Remote { message: status.message().to_owned(), position }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<String, String> {
        let url = url.to_owned();
        let args = ConnectArgs { url, ..ConnectArgs::default() };
        let endpoint = endpoint(&args).map_err(|error| error.to_string())?;
        Ok(endpoint.uri().to_string())
    }

    #[test]
    fn addresses_are_of_grpc() {
        for url in ["flight://h:7", "grpc://h:7/", "grpc+tcp://h:7", "h:7"] {
            assert_eq!(address(url).unwrap(), "http://h:7/", "{url}");
        }
        assert_eq!(address("grpc://h").unwrap(), "http://h:32010/");
        assert_eq!(address("grpc://[::1]:7").unwrap(), "http://[::1]:7/");
        assert_eq!(address("grpc+tls://h").unwrap(), "https://h:32010/");
        assert!(address("postgres://h").unwrap_err().contains("grpc"));
        assert!(address("grpc://a b").is_err());
        let args = ConnectArgs {
            url: "h".to_owned(),
            ca: Some("ca.pem".into()),
            ..ConnectArgs::default()
        };
        assert!(endpoint(&args).unwrap_err().to_string().contains("not encrypted"));
    }
}
