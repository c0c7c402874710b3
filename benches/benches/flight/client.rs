//! What clients ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use arrow_flight::sql::client::{FlightSqlServiceClient, PreparedStatement};
use arrow_flight::{Action, FlightEndpoint, FlightInfo};
use futures::StreamExt;
use sheaf_benches::Failure;
use tonic::transport::Channel;

use crate::rows::Keys;
use crate::served::Served;
use crate::{expect_one, sampled_async};

const SCAN: &str = "SELECT b, count(*), sum(x) FROM r WHERE k < 1000000 GROUP BY b";

pub type Client = FlightSqlServiceClient<Channel>;

/// Takes all rows of an announced query; returns how many there were.
pub async fn drain(client: &mut Client, info: FlightInfo) -> Result<u64, Failure> {
    let mut count = 0;
    for endpoint in info.endpoint {
        count += drain_one(client, endpoint).await?;
    }
    Ok(count)
}

/// The same of one of its endpoints.
pub async fn drain_one(client: &mut Client, endpoint: FlightEndpoint) -> Result<u64, Failure> {
    let mut count = 0;
    let ticket = endpoint.ticket.ok_or("an endpoint has no ticket")?;
    let mut rows = client.do_get(ticket).await?;
    while let Some(batch) = rows.next().await {
        count += batch?.num_rows() as u64;
    }
    Ok(count)
}

/// Sets an option of the session that the connection has.
pub async fn set_option(client: &mut Client, name: &str, value: &str) -> Result<(), Failure> {
    // A field with a text in it, of a message of protobuf; all of these are short.
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let entry = [field(1, name.as_bytes()), field(2, &field(1, value.as_bytes()))].concat();
    let action = Action::new("SetSessionOptions", field(1, &entry));
    let mut answer = client.inner_mut().do_action(action).await?.into_inner();
    match answer.message().await? {
        Some(result) if result.body.is_empty() => Ok(()),
        _ => Err(format!("the option {name} was not set to {value}").into()),
    }
}

/// A client with a prepared statement.
pub struct Asking {
    client: Client,
    statement: PreparedStatement<Channel>,
    keys: Keys,
}

impl Asking {
    pub async fn new(served: &Served, sql: &str, seed: u64) -> Result<Self, Failure> {
        let mut client = served.client().await?;
        let statement = client.prepare(sql.to_owned(), None).await?;
        Ok(Self { client, statement, keys: Keys::new(seed) })
    }

    /// A row by its key.
    pub async fn point(&mut self) -> Result<(), Failure> {
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
    pub async fn calls(&mut self, count: usize) -> Result<[Vec<Duration>; 3], Failure> {
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
    pub async fn points(&mut self, count: usize) -> Result<Vec<Duration>, Failure> {
        sampled_async(count, async || self.point().await).await
    }

    /// A tenth of the rows in groups.
    pub async fn scan(&mut self) -> Result<(), Failure> {
        let info = self.client.execute(SCAN.to_owned(), None).await?;
        match drain(&mut self.client, info).await? {
            1000 => Ok(()),
            other => Err(format!("the scan gave {other} rows").into()),
        }
    }
}
