//! Runs one statement, with progress and Ctrl-C, and writes its results one by one.
//!
//! The engine works on threads of its own: this thread only waits, so that Ctrl-C
//! and the progress line never have to wait for a query. Dropping what it waits for
//! cancels the statement.

use std::future::Future;
use std::io::Write;
use std::time::Duration;

use futures::StreamExt;
use sheafdb::{Output, RowStream, Session};

use crate::interrupt::{Busy, Interrupt};
use crate::message::Failure;
use crate::output::{Format, View};
use crate::progress::Progress;

/// How often progress is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Runs statements of one session.
pub struct Runner {
    /// The session.
    pub session: Session,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// How results are written.
    pub format: Format,
    /// What the terminal shows.
    pub view: View,
}

impl Runner {
    /// Runs `sql` and writes its results to `out`, each flushed when it is complete.
    pub fn run(&self, sql: &str, out: &mut dyn Write) -> Result<(), Failure> {
        let mut watch = Watch {
            session: &self.session,
            busy: self.interrupt.busy(),
            progress: Progress::start(),
            rows: 0,
        };
        let outcome = self.session.block_on(self.run_watched(sql, &mut watch, out));
        watch.progress.clear();
        outcome?
    }

    async fn run_watched(
        &self,
        sql: &str,
        watch: &mut Watch<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        for output in watch.wait(self.session.execute(sql)).await?? {
            match output {
                Output::Rows { stream, .. } => self.write_rows(stream, watch, out).await?,
                Output::Done { tag, notice } => {
                    self.write_tag(&tag.to_string(), watch, out)?;
                    if let Some(notice) = notice {
                        eprintln!("{notice}");
                    }
                }
            }
        }
        Ok(())
    }

    async fn write_rows(
        &self,
        mut rows: RowStream,
        watch: &mut Watch<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let mut sink = self.format.begin(rows.schema(), &self.view, out)?;
        while let Some(batch) = watch.wait(rows.next()).await? {
            let batch = batch?;
            watch.rows += batch.num_rows() as u64;
            sink.push(&batch)?;
        }
        watch.progress.clear();
        Ok(sink.finish(watch.progress.elapsed())?)
    }

    /// What a statement without rows did: only people want to know.
    fn write_tag(
        &self,
        tag: &str,
        watch: &mut Watch<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        watch.progress.clear();
        if self.format != Format::Box {
            return Ok(());
        }
        if self.view.timer {
            writeln!(out, "{tag} · {:.3} s", watch.progress.elapsed().as_secs_f64())?;
        } else {
            writeln!(out, "{tag}")?;
        }
        Ok(out.flush()?)
    }
}

/// A statement being waited for.
struct Watch<'a> {
    session: &'a Session,
    busy: Busy<'a>,
    progress: Progress,
    rows: u64,
}

impl Watch<'_> {
    /// Waits for `work`, drawing progress, until Ctrl-C.
    async fn wait<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                () = self.busy.pressed() => return Err(Failure::Cancelled),
                result = &mut work => return Ok(result),
                () = tokio::time::sleep(TICK) => {
                    self.progress.tick(self.rows, self.session.progress());
                }
            }
        }
    }
}
