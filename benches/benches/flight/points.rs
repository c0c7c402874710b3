//! Rows one by one, and what a call costs that asks nothing.

use std::time::Duration;

use arrow_flight::Empty;
use arrow_flight::flight_service_client::FlightServiceClient;
use futures::TryStreamExt;
use sheaf_benches::{Failure, Report, percentile};

use crate::client::Asking;
use crate::served::Served;
use crate::{POINT, POINTS, WHOLE_ROW, sampled_async, shown};

/// One client that asks for single rows by a prepared statement: bind, announce, fetch.
pub async fn run(served: &Served, report: &mut Report) -> Result<(), Failure> {
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

/// How long calls take that ask nothing of the database, sorted: what is left is gRPC's, and the
/// time that threads take to wake up.
async fn empty_calls(served: &Served) -> Result<Vec<Duration>, Failure> {
    let mut client = FlightServiceClient::new(served.channel().await?);
    sampled_async(POINTS, async || {
        let actions = client.list_actions(Empty {}).await?.into_inner();
        Ok(actions.try_for_each(|_| std::future::ready(Ok(()))).await?)
    })
    .await
}
