//! Chapter 6: a writer is killed in the middle of its work; nothing it was told is
//! durable may be missing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sheafdb::Database;

use super::guide::Guide;
use crate::message::Failure;
use crate::output::grouped;
use crate::verify::write_report;

/// Rows per commit; a commit is there whole or not at all.
const BATCH_ROWS: u64 = 4;
/// How long the writer lives after its first acknowledgement.
const LIFETIME: Duration = Duration::from_millis(700);
/// A writer that says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// The hidden command: commits batches, and says so after each, until it is killed.
pub fn write_until_killed(path: &Path) -> Result<(), Failure> {
    let database = Database::open(path)?;
    let session = database.session();
    let run = |sql: String| session.execute_blocking(&sql).map(drop);
    run("CREATE TABLE ledger (n BIGINT PRIMARY KEY, batch BIGINT NOT NULL, note TEXT)".into())?;
    let mut out = std::io::stdout();
    for batch in 1_u64.. {
        let first = (batch - 1) * BATCH_ROWS;
        let rows: Vec<String> =
            (first..first + BATCH_ROWS).map(|n| format!("({n}, {batch}, 'row {n}')")).collect();
        run(format!("INSERT INTO ledger VALUES {}", rows.join(", ")))?;
        writeln!(out, "ack {batch}")?;
        out.flush()?;
    }
    Ok(())
}

/// Runs the chapter: closes the database, has a child write to it, kills the child,
/// opens it again and counts.
pub fn run(guide: Guide, folder: &Path) -> Result<Guide, Failure> {
    guide.chapter(
        "6 · kill -9",
        "Another process writes batches of 4 rows and prints each acknowledgement. It is killed in the\n\
         middle; the database is opened again, checked, and compared with what was acknowledged.",
    );
    guide.database.close()?;
    drop(guide);
    let acknowledged = kill_a_writer(folder)?;
    let started = Instant::now();
    let guide = Guide::open(folder)?;
    guide.measured(
        "opened again",
        &format!("{:.3} s, recovery included", started.elapsed().as_secs_f64()),
    );
    count(&guide, acknowledged)?;
    let started = Instant::now();
    let report = guide.store().verify()?;
    write_report(&report, started.elapsed(), &mut std::io::stdout())?;
    if report.problems.is_empty() {
        Ok(guide)
    } else {
        Err(Failure::Other("the killed writer left damage".into()))
    }
}

/// Returns the number of the last batch that was acknowledged.
fn kill_a_writer(folder: &Path) -> Result<u64, Failure> {
    let program = std::env::current_exe()?;
    let mut child = Command::new(program)
        .arg("tour-writer")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let acknowledged = read_and_kill(&mut child);
    // Whatever happened above, no writer stays behind. One that is gone already
    // cannot be killed, which is fine too.
    let _ = child.kill();
    child.wait()?;
    acknowledged
}

fn read_and_kill(child: &mut Child) -> Result<u64, Failure> {
    let output =
        child.stdout.take().ok_or_else(|| Failure::Other("the writer has no output".into()))?;
    let (send, lines) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    let mut last = 0;
    let take = |line: String, last: &mut u64| {
        if let Some(n) = line.strip_prefix("ack ").and_then(|n| n.parse().ok()) {
            *last = n;
        }
    };
    let first = lines
        .recv_timeout(PATIENCE)
        .map_err(|_| Failure::Other("the writer acknowledged nothing".into()))?;
    take(first, &mut last);
    let started = Instant::now();
    while let Some(left) = LIFETIME.checked_sub(started.elapsed()) {
        match lines.recv_timeout(left) {
            Ok(line) => take(line, &mut last),
            Err(_) => break,
        }
    }
    child.kill()?;
    // What it printed before it died counts too.
    for line in lines {
        take(line, &mut last);
    }
    reader.join().map_err(|_| Failure::Other("reading from the writer failed".into()))?;
    Ok(last)
}

fn count(guide: &Guide, acknowledged: u64) -> Result<(), Failure> {
    let batches = |having: &str| -> Result<u64, Failure> {
        let sql = format!(
            "SELECT count(*) FROM (SELECT batch FROM ledger GROUP BY batch HAVING {having}) AS b"
        );
        Ok(guide.number(&sql)?.unsigned_abs())
    };
    let found = batches(&format!("count(*) = {BATCH_ROWS}"))?;
    let torn = batches(&format!("count(*) <> {BATCH_ROWS}"))?;
    let kept = batches(&format!("count(*) = {BATCH_ROWS} AND batch <= {acknowledged}"))?;
    let lost = acknowledged - kept.min(acknowledged);
    guide.measured(
        "batches",
        &format!(
            "acknowledged {} · found {} · lost {lost} · torn {torn}",
            grouped(acknowledged),
            grouped(found)
        ),
    );
    if lost == 0 && torn == 0 {
        Ok(())
    } else {
        Err(Failure::Other(format!("{lost} acknowledged batches are lost, {torn} are torn")))
    }
}
