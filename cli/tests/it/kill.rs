//! kill -9 at any moment: what was acknowledged is there, whole.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::command::{command, csv, sheaf};

const KILLS: u64 = 5;
const BATCH_ROWS: u64 = 3;

#[test]
fn acknowledged_batches_survive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sheaf");
    assert_eq!(
        csv(&path, "CREATE TABLE t (n BIGINT PRIMARY KEY, batch BIGINT NOT NULL)").code,
        Some(0)
    );
    let mut last = 0;
    for kill in 1..=KILLS {
        // Later kills come later after the first acknowledgement: another place in
        // the writer's work each time.
        last = write_and_kill(&path, last + 1, Duration::from_millis(23 * kill));
        assert!(last > 0, "the writer got nowhere");
        let counts =
            csv(&path, "SELECT batch, count(*) AS rows FROM t GROUP BY batch ORDER BY batch");
        assert_eq!(counts.code, Some(0), "{}", counts.err);
        let batches: Vec<(u64, u64)> = counts.out.lines().skip(1).map(pair).collect();
        assert!(
            batches.iter().all(|(_, rows)| *rows == BATCH_ROWS),
            "a batch is torn: {batches:?}"
        );
        let expected: Vec<u64> = (1..=last).collect();
        let found: Vec<u64> = batches.iter().map(|(batch, _)| *batch).collect();
        assert!(found.starts_with(&expected), "acknowledged up to {last}, found {found:?}");
        // One more may have become durable without its acknowledgement getting out.
        last = found.len() as u64;
        let verified = sheaf(&["verify", path.to_str().unwrap()]);
        assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
    }
}

/// Feeds a shell with batches and the question `ack n` after each; kills it.
/// Returns the last batch that was acknowledged.
fn write_and_kill(path: &Path, first: u64, lifetime: Duration) -> u64 {
    let mut child = command(&[path.to_str().unwrap(), "--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        for batch in first.. {
            let rows: Vec<String> =
                (0..BATCH_ROWS).map(|i| format!("({}, {batch})", batch * BATCH_ROWS + i)).collect();
            let sql =
                format!("INSERT INTO t VALUES {};\nSELECT 'ack {batch}' AS a;\n", rows.join(", "));
            if input.write_all(sql.as_bytes()).is_err() {
                return;
            }
        }
    });
    let mut last = first - 1;
    let mut killed_at = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        if let Some(n) = line.strip_prefix("ack ") {
            last = n.parse().unwrap();
            let killed_at = killed_at.get_or_insert_with(|| Instant::now() + lifetime);
            if Instant::now() >= *killed_at {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    feeder.join().unwrap();
    last
}

fn pair(line: &str) -> (u64, u64) {
    let (batch, rows) = line.split_once(',').unwrap();
    (batch.parse().unwrap(), rows.parse().unwrap())
}
