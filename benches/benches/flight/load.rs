//! Many clients at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sheaf_benches::{Failure, Report, percentile, rate};

use crate::client::Asking;
use crate::served::Served;
use crate::{WHOLE_ROW, shown};

const CLIENTS: usize = 64;
/// Of a client's requests one in so many is a scan.
const SCAN_EVERY: u64 = 500;

/// Each with one request after the other.
pub async fn run(served: &Served, time: Duration, report: &mut Report) -> Result<(), Failure> {
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
