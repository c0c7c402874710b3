//! What connections cost that only hold on: such that asked once, and such that never finish what
//! they say.

use std::io::Write;
use std::net::TcpStream;

use sheaf_benches::{Failure, Report, percentile};

use crate::client::{Asking, drain};
use crate::served::Served;
use crate::{POINT, POINTS, ms};

const HELD: usize = 1000;

pub async fn run(served: &Served, report: &mut Report) -> Result<(), Failure> {
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
        ms(beside),
        "alone",
        ms(alone),
    );
    Ok(())
}
