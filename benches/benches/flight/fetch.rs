//! All rows, by clients that take them in different ways.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::try_join_all;
use sheaf_benches::{Failure, Report, percentile};

use crate::client::{Client, drain, drain_one, set_option};
use crate::served::Served;
use crate::{ALL, RUNS, expect_all, ms, peers, sampled_async};

/// Bytes of a frame that a client of Rust may ask for; the usual ones have 16 KiB.
const LARGE_FRAME: u32 = 1 << 20;

/// Beside the time that the rows take inside of the process, and inside of DuckDB's.
pub async fn run(
    served: &Served,
    inside: Duration,
    duckdb: Option<Duration>,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut compare = |name: &str, time: Duration, peer: &str, other: Duration| {
        report.times(name, ms(time), peer, ms(other));
    };
    let usual = by(served.client().await?).await?;
    compare("the same over Flight", usual, "in process", inside);
    if let Some(duckdb) = duckdb {
        compare("the same over Flight", usual, "duckdb in process", duckdb);
    }
    let endpoint = served.endpoint()?.max_frame_size(LARGE_FRAME);
    let large = by(Client::new(endpoint.connect().await?)).await?;
    compare("the same in frames of 1 MiB", large, "in process", inside);
    let both = by_two(served).await?;
    compare("the same by two connections at once", both, "in process", inside);
    let adbc = peers::time(&peers::task("adbc", served.uri(), PathBuf::new())?)?;
    compare("the same by ADBC from Python", adbc, "in process", inside);
    Ok(())
}

/// How long a client takes for all rows, in the median.
async fn by(mut client: Client) -> Result<Duration, Failure> {
    let times = sampled_async(RUNS, async || {
        let info = client.execute(ALL.to_owned(), None).await?;
        expect_all(drain(&mut client, info).await?)
    });
    Ok(percentile(&times.await?, 50.0))
}

/// The same when each of two connections reads an endpoint of its own.
async fn by_two(served: &Served) -> Result<Duration, Failure> {
    let mut asking = served.client().await?;
    set_option(&mut asking, "endpoints", "2").await?;
    let times = sampled_async(RUNS, async || {
        let info = asking.execute(ALL.to_owned(), None).await?;
        let readers = info.endpoint.into_iter().map(async |endpoint| {
            let mut client = served.client().await?;
            tokio::spawn(async move { drain_one(&mut client, endpoint).await }).await?
        });
        expect_all(try_join_all(readers).await?.into_iter().sum())
    });
    Ok(percentile(&times.await?, 50.0))
}
