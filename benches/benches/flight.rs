//! Arrow Flight SQL on loopback: what the way between two processes costs beside the same
//! work inside one, and how the server bears many clients. Client and server share the
//! processors.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::{FlightSqlServiceClient, PreparedStatement};
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use arrow_flight::{Empty, FlightInfo, error::FlightError};
use futures::{StreamExt, TryStreamExt, stream};
use sheaf_benches::{Failure, Report, Task, percentile, rate, timed};
use sheaf_flight::{Options, Server};
use sheaf_tpch::compare::venv;
use sheafdb::core::compact_views;
use sheafdb::{Database, IfMissing, IfThere, Ingest, Output, ScalarValue};
use tonic::transport::{Channel, Endpoint};

const RUNS: usize = 5;
const ROWS: u64 = 10_000_000;
const POINTS: usize = 20_000;
const CLIENTS: usize = 64;
/// The load of all clients, unless `SHEAF_FLIGHT_SECONDS` says otherwise.
const SECONDS: u64 = 600;
/// Of a client's requests one in so many is a scan.
const SCAN_EVERY: u64 = 500;
const HELD: usize = 1000;
/// Bytes of a frame that a client of Rust may ask for; the usual ones have 16 KiB.
const LARGE_FRAME: u32 = 1 << 20;
/// What is measured, unless `SHEAF_FLIGHT_PARTS` says otherwise.
const PARTS: &str = "peers,fetch,points,held,load,ingest";

/// How this program is asked to serve a database until its standard input ends.
const SERVE: &str = "--serve";

const ALL: &str = "SELECT * FROM t";
const POINT: &str = "SELECT name, x FROM t WHERE k = $1";
/// The same of a table that keeps rows whole, for those who read them one by one.
const WHOLE_ROW: &str = "SELECT name, x FROM r WHERE k = $1";
const SCAN: &str = "SELECT b, count(*), sum(x) FROM r WHERE k < 1000000 GROUP BY b";
const COLUMNS: &str = "value AS k, CAST(value * 7919 % 1000003 AS INTEGER) AS a, \
    CAST(value % 1000 AS INTEGER) AS b, CAST(value AS DOUBLE) * 0.25 AS x, \
    'the name of row ' || value % 100000 AS name, value % 3 = 0 AS is_third, \
    CAST(value % 10000 AS DECIMAL(12, 2)) AS price, \
    to_timestamp_micros(value * 1000000) AS at";

type Client = FlightSqlServiceClient<Channel>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip_while(|argument| argument != SERVE);
    if let Some(path) = arguments.nth(1) {
        return serve(Path::new(&path));
    }
    let seconds = std::env::var("SHEAF_FLIGHT_SECONDS").ok().and_then(|text| text.parse().ok());
    let parts = std::env::var("SHEAF_FLIGHT_PARTS").unwrap_or_else(|_| PARTS.to_owned());
    let wants = |part: &str| parts.split(',').any(|wanted| wanted == part);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("db");
    let mut report = Report::new("flight");
    let runtime = tokio::runtime::Runtime::new()?;

    let (batches, inside) = in_process(&path, &mut report)?;
    let peers = match wants("peers") {
        true => Some(peers(folder.path(), &path, &mut report)?),
        false => None,
    };
    let served = Served::start(&path)?;
    if wants("fetch") {
        runtime.block_on(fetch(&served, inside, peers, &mut report))?;
    }
    if wants("points") {
        // One client with nothing else to do needs no second thread to hand its answers to.
        let alone = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        alone.block_on(points(&served, &mut report))?;
    }
    if wants("held") {
        runtime.block_on(held(&served, &mut report))?;
    }
    if wants("load") {
        let time = Duration::from_secs(seconds.unwrap_or(SECONDS));
        runtime.block_on(load(&served, time, &mut report))?;
    }
    drop(served);
    if wants("ingest") {
        runtime.block_on(ingest(folder.path(), batches, &mut report))?;
    }
    report.finish()
}

/// The rows, made, and read as often as is measured; and the median time.
fn in_process(path: &Path, report: &mut Report) -> Result<(Vec<RecordBatch>, Duration), Failure> {
    let database = Database::open(path)?;
    let session = database.session();
    session.execute_blocking(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, a INTEGER, b INTEGER, x DOUBLE, name TEXT, \
         is_third BOOLEAN, price DECIMAL(12, 2), at TIMESTAMP)",
    )?;
    session.execute_blocking(&format!(
        "INSERT INTO t SELECT {COLUMNS} FROM generate_series(1, {ROWS})"
    ))?;
    session.execute_blocking(
        "CREATE TABLE r (k BIGINT PRIMARY KEY, b INTEGER, x DOUBLE, name TEXT) \
         WITH (row_store = true); \
         INSERT INTO r SELECT k, b, x, name FROM t",
    )?;
    database.store().flush(None)?;
    let drain = || {
        let Output::Rows { mut stream, .. } = session.query_blocking(ALL, vec![])? else {
            return Err("a query gives rows".into());
        };
        let count = async {
            let mut count = 0;
            while let Some(batch) = stream.try_next().await? {
                count += batch.num_rows() as u64;
            }
            Ok::<_, sheafdb::Error>(count)
        };
        Ok(session.block_on(count)??)
    };
    let time = median(|| expect_all(drain()))?;
    report.figure(&format!("{ROWS} rows of 8 columns, in process"), shown(time));
    for (name, sql) in [("", POINT), (", row_store", WHOLE_ROW)] {
        let prepared = session.prepare(sql)?;
        let mut keys = Keys::new(1);
        let mut samples = Vec::with_capacity(POINTS);
        for _ in 0..POINTS {
            let key = vec![ScalarValue::Int64(Some(keys.next()))];
            let start = Instant::now();
            let rows = session.block_on(prepared.run_blocking(key)?.collect())??;
            samples.push(start.elapsed());
            expect_one(rows.iter().map(|batch| batch.num_rows() as u64).sum())?;
        }
        samples.sort();
        let name = format!("prepared point SELECT{name}, in process, p50");
        report.figure(&name, shown(percentile(&samples, 50.0)));
    }
    let batches = session.block_on(session.query_blocking(ALL, vec![])?.collect())??;
    // Views of texts are into buffers that many batches share; a client has its own.
    let batches = batches.iter().map(compact_views).collect::<Result<_, _>>()?;
    drop(session);
    database.close()?;
    Ok((batches, time))
}

fn expect_all(count: Result<u64, Failure>) -> Result<(), Failure> {
    match count? {
        ROWS => Ok(()),
        other => Err(format!("{other} of {ROWS} rows came").into()),
    }
}

fn median(mut run: impl FnMut() -> Result<(), Failure>) -> Result<Duration, Failure> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        times.push(timed(&mut run)?.1);
    }
    times.sort();
    Ok(times[RUNS / 2])
}

fn shown(time: Duration) -> String {
    match time.as_micros() {
        short @ ..10_000 => format!("{short} us"),
        _ => format!("{:.1} ms", time.as_secs_f64() * 1e3),
    }
}

/// The same rows in DuckDB, read as Arrow in its process; and from PostgreSQL, where the
/// variable `SHEAF_POSTGRES` has the address of one.
fn peers(folder: &Path, path: &Path, report: &mut Report) -> Result<Duration, Failure> {
    let database = Database::open(path)?;
    let export = |ending: &str| -> Result<String, Failure> {
        let file = folder.join(format!("t.{ending}")).display().to_string();
        database.session().execute_blocking(&format!("COPY t TO '{file}'"))?;
        Ok(file)
    };
    let python = venv::peers()?;
    if let Ok(postgres) = std::env::var("SHEAF_POSTGRES") {
        let task = Task { create: postgres, ..peer("postgres", export("csv")?, PathBuf::new())? };
        let seconds = task.run_anew(Some(&python))?.seconds;
        report.figure("the same from PostgreSQL with psycopg", format!("{:.1} ms", seconds * 1e3));
    }
    let task = peer("duckdb", export("parquet")?, folder.join("duckdb"))?;
    database.close()?;
    Ok(Duration::from_secs_f64(task.run_anew(Some(&python))?.seconds))
}

/// The task of reading all rows.
fn peer(engine: &str, from: String, database: PathBuf) -> Result<Task, Failure> {
    Ok(Task {
        engine: engine.to_owned(),
        action: "fetch".to_owned(),
        format: String::new(),
        commits: (ROWS as usize, RUNS),
        file: from,
        database: database.display().to_string(),
        threads: std::thread::available_parallelism()?.get(),
        create: String::new(),
        check: ALL.to_owned(),
    })
}

async fn fetch(
    served: &Served,
    inside: Duration,
    duckdb: Option<Duration>,
    report: &mut Report,
) -> Result<(), Failure> {
    let usual = fetch_by(served.client().await?).await?;
    report.times("the same over Flight", usual, "in process", inside.as_secs_f64() * 1e3);
    if let Some(duckdb) = duckdb {
        report.times(
            "the same over Flight",
            usual,
            "duckdb in process",
            duckdb.as_secs_f64() * 1e3,
        );
    }
    let endpoint = served.endpoint()?.max_frame_size(LARGE_FRAME);
    let large = fetch_by(Client::new(endpoint.connect().await?)).await?;
    report.times("the same in frames of 1 MiB", large, "in process", inside.as_secs_f64() * 1e3);
    let python = venv::peers()?;
    let task = peer("adbc", served.uri(), PathBuf::new())?;
    let adbc = task.run_anew(Some(&python))?.seconds * 1e3;
    report.times("the same by ADBC from Python", adbc, "in process", inside.as_secs_f64() * 1e3);
    Ok(())
}

/// How many milliseconds a client takes for all rows, in the median.
async fn fetch_by(mut client: Client) -> Result<f64, Failure> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let info = client.execute(ALL.to_owned(), None).await?;
        expect_all(drain(&mut client, info).await)?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[RUNS / 2].as_secs_f64() * 1e3)
}

/// Takes all rows of an announced query; returns how many there were.
async fn drain(client: &mut Client, info: FlightInfo) -> Result<u64, Failure> {
    let mut count = 0;
    for endpoint in info.endpoint {
        let ticket = endpoint.ticket.ok_or("an endpoint has no ticket")?;
        let mut rows = client.do_get(ticket).await?;
        while let Some(batch) = rows.next().await {
            count += batch?.num_rows() as u64;
        }
    }
    Ok(count)
}

/// One client that asks for single rows by a prepared statement: bind, announce, fetch.
async fn points(served: &Served, report: &mut Report) -> Result<(), Failure> {
    let samples = empty_calls(served).await?;
    report.figure("a call that asks nothing, p50", shown(percentile(&samples, 50.0)));
    for (name, sql) in [(", row_store", WHOLE_ROW), ("", POINT)] {
        let samples = Asking::new(served, sql, 1).await?.points(POINTS).await?;
        let name = format!("prepared point SELECT{name}");
        report.figure(&format!("{name}, p50"), shown(percentile(&samples, 50.0)));
        report.figure(&format!("{name}, p99"), shown(percentile(&samples, 99.0)));
    }
    let mut asking = Asking::new(served, POINT, 1).await?;
    for (call, samples) in ["bind", "announce", "fetch"].iter().zip(asking.calls(POINTS).await?) {
        report.figure(&format!("of which {call}, p50"), shown(percentile(&samples, 50.0)));
    }
    Ok(())
}

fn expect_one(count: u64) -> Result<(), Failure> {
    match count {
        1 => Ok(()),
        other => Err(format!("{other} rows have one key").into()),
    }
}

/// How long calls take that ask nothing of the database, sorted: what is left is gRPC's, and the
/// time that threads take to wake up.
async fn empty_calls(served: &Served) -> Result<Vec<Duration>, Failure> {
    let mut client = FlightServiceClient::new(served.channel().await?);
    let mut samples = Vec::with_capacity(POINTS);
    for _ in 0..POINTS {
        let start = Instant::now();
        let actions = client.list_actions(Empty {}).await?.into_inner();
        actions.try_for_each(|_| std::future::ready(Ok(()))).await?;
        samples.push(start.elapsed());
    }
    samples.sort();
    Ok(samples)
}

/// A client with a prepared statement.
struct Asking {
    client: Client,
    statement: PreparedStatement<Channel>,
    keys: Keys,
}

/// Keys of rows, one as likely as the other.
struct Keys(u64);

impl Keys {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % ROWS) as i64 + 1
    }
}

impl Asking {
    async fn new(served: &Served, sql: &str, seed: u64) -> Result<Self, Failure> {
        let mut client = served.client().await?;
        let statement = client.prepare(sql.to_owned(), None).await?;
        Ok(Self { client, statement, keys: Keys::new(seed) })
    }

    /// A row by its key.
    async fn point(&mut self) -> Result<(), Failure> {
        self.choose()?;
        let info = self.statement.execute().await?;
        expect_one(drain(&mut self.client, info).await?)
    }

    /// The next row is another.
    fn choose(&mut self) -> Result<(), Failure> {
        let key = Arc::new(Int64Array::from(vec![self.keys.next()]));
        let key = RecordBatch::try_from_iter([("1", key as _)])?;
        Ok(self.statement.set_parameters(key)?)
    }

    /// How long each of the three calls of a prepared SELECT takes, sorted. The client makes
    /// the first two in one, of which the second is repeated here.
    async fn calls(&mut self, count: usize) -> Result<[Vec<Duration>; 3], Failure> {
        let mut samples: [Vec<Duration>; 3] = Default::default();
        for _ in 0..count {
            self.choose()?;
            let start = Instant::now();
            let info = self.statement.execute().await?;
            let both = start.elapsed();
            let start = Instant::now();
            let descriptor = info.flight_descriptor.clone().ok_or("what was announced?")?;
            self.client.inner_mut().get_flight_info(descriptor).await?;
            let announce = start.elapsed();
            let start = Instant::now();
            expect_one(drain(&mut self.client, info).await?)?;
            let times = [both.saturating_sub(announce), announce, start.elapsed()];
            samples.iter_mut().zip(times).for_each(|(samples, time)| samples.push(time));
        }
        samples.iter_mut().for_each(|samples| samples.sort());
        Ok(samples)
    }

    /// So many, and how long they took, sorted.
    async fn points(&mut self, count: usize) -> Result<Vec<Duration>, Failure> {
        let mut samples = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            self.point().await?;
            samples.push(start.elapsed());
        }
        samples.sort();
        Ok(samples)
    }

    async fn scan(&mut self) -> Result<(), Failure> {
        let info = self.client.execute(SCAN.to_owned(), None).await?;
        match drain(&mut self.client, info).await? {
            1000 => Ok(()),
            other => Err(format!("the scan gave {other} rows").into()),
        }
    }
}

/// What connections cost that only hold on: such that asked once, and such that never
/// finish what they say.
async fn held(served: &Served, report: &mut Report) -> Result<(), Failure> {
    let before = served.memory()?;
    let mut idle = Vec::new();
    for _ in 0..HELD {
        let mut client = served.client().await?;
        let info = client.execute("SELECT 1".to_owned(), None).await?;
        drain(&mut client, info).await?;
        idle.push(client);
    }
    let bytes = served.memory()?.saturating_sub(before) / HELD;
    report.figure("memory of an idle connection", format!("{:.1} KB", bytes as f64 / 1e3));
    drop(idle);

    let mut asking = Asking::new(served, POINT, 2).await?;
    let alone = percentile(&asking.points(POINTS / 10).await?, 50.0);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let mut half_open = Vec::new();
    for i in 0..HELD {
        let mut socket = TcpStream::connect(served.address)?;
        socket.write_all(&preface[..i * preface.len() / HELD])?;
        half_open.push(socket);
    }
    let beside = percentile(&asking.points(POINTS / 10).await?, 50.0);
    report.times(
        &format!("point SELECT beside {HELD} half-open connections"),
        beside.as_secs_f64() * 1e3,
        "alone",
        alone.as_secs_f64() * 1e3,
    );
    Ok(())
}

/// Many clients at once, each with one request after the other.
async fn load(served: &Served, time: Duration, report: &mut Report) -> Result<(), Failure> {
    let (stop, scans) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = Vec::new();
    for seed in 0..CLIENTS as u64 {
        let mut asking = Asking::new(served, WHOLE_ROW, seed + 3).await?;
        let (stop, scans) = (Arc::clone(&stop), Arc::clone(&scans));
        clients.push(tokio::spawn(async move {
            let mut samples = Vec::new();
            for request in seed.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                if request % SCAN_EVERY == 0 {
                    asking.scan().await.map_err(|error| error.to_string())?;
                    scans.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let start = Instant::now();
                asking.point().await.map_err(|error| error.to_string())?;
                samples.push(start.elapsed());
            }
            Ok::<_, String>(samples)
        }));
    }
    tokio::time::sleep(time / 10).await;
    let early = served.memory()?;
    tokio::time::sleep(time - time / 10).await;
    let late = served.memory()?;
    stop.store(true, Ordering::Relaxed);
    let mut samples = Vec::new();
    for client in clients {
        samples.extend(client.await??);
    }
    samples.sort();
    let name = format!("{CLIENTS} clients, {} s", time.as_secs());
    let scans = scans.load(Ordering::Relaxed);
    report.figure(&format!("{name}: point SELECTs"), rate(samples.len() as u64, time));
    report.figure(&format!("{name}: scans of 10 %"), rate(scans, time));
    report.figure(&format!("{name}: point p50"), shown(percentile(&samples, 50.0)));
    report.figure(&format!("{name}: point p99"), shown(percentile(&samples, 99.0)));
    let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
    report.figure(&format!("{name}: memory after a tenth"), mib(early));
    report.figure(&format!("{name}: memory at the end"), mib(late));
    Ok(())
}

/// The rows into a new database, durable: by a client, and inside the process.
async fn ingest(
    folder: &Path,
    batches: Vec<RecordBatch>,
    report: &mut Report,
) -> Result<(), Failure> {
    let schema = batches.first().ok_or("there are no rows")?.schema();
    let (mut ours, mut inside) = (f64::MAX, f64::MAX);
    for run in 0..RUNS.div_ceil(2) {
        let path = folder.join(format!("inside{run}"));
        let database = Database::open(&path)?;
        let target = Ingest {
            schema: None,
            table: "t".to_owned(),
            temporary: false,
            if_missing: IfMissing::Create,
            if_there: IfThere::Fail,
        };
        let rows = stream::iter(batches.clone().into_iter().map(Ok));
        let start = Instant::now();
        let count = database.session().ingest(target, Arc::clone(&schema), rows).await?;
        expect_all(Ok(count))?;
        inside = inside.min(start.elapsed().as_secs_f64());
        let expected = check(database)?;
        std::fs::remove_dir_all(&path)?;

        let path = folder.join(format!("served{run}"));
        let served = Served::start(&path)?;
        let mut client = served.client().await?;
        let command = CommandStatementIngest {
            table_definition_options: Some(TableDefinitionOptions {
                if_not_exist: TableNotExistOption::Create.into(),
                if_exists: TableExistsOption::Fail.into(),
            }),
            table: "t".to_owned(),
            ..Default::default()
        };
        let rows = stream::iter(batches.clone().into_iter().map(Ok::<_, FlightError>));
        let start = Instant::now();
        let count = client.execute_ingest(command, rows).await?;
        expect_all(Ok(count as u64))?;
        ours = ours.min(start.elapsed().as_secs_f64());
        drop(served);
        if check(Database::open(&path)?)? != expected {
            return Err("the rows differ that were sent".into());
        }
        std::fs::remove_dir_all(&path)?;
    }
    let name = format!("ingest of {ROWS} rows over Flight, durable");
    report.times(&name, ours * 1e3, "in process", inside * 1e3);
    Ok(())
}

/// What tells one set of rows from another. On a thread outside of the executor, which blocking
/// calls want.
fn check(database: Database) -> Result<Vec<String>, Failure> {
    let sql = "SELECT count(*), sum(k), sum(a), sum(b), sum(x), count(DISTINCT name), \
               sum(price), max(at) FROM t";
    let answer = std::thread::spawn(move || sheaf_benches::answer(&database.session(), sql));
    answer.join().map_err(|_| "the check panicked")?
}

/// A server in a process of its own.
struct Served {
    process: Child,
    address: SocketAddr,
}

impl Served {
    fn start(path: &Path) -> Result<Self, Failure> {
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

    fn uri(&self) -> String {
        format!("grpc://{}", self.address)
    }

    async fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.channel().await?))
    }

    async fn channel(&self) -> Result<Channel, Failure> {
        Ok(self.endpoint()?.connect().await?)
    }

    fn endpoint(&self) -> Result<Endpoint, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?;
        Ok(endpoint
            .tcp_nodelay(true)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20))
    }

    /// What the process takes beyond mapped files.
    fn memory(&self) -> Result<usize, Failure> {
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

fn serve(path: &Path) -> Result<(), Failure> {
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
