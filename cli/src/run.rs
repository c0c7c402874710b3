//! Runs one statement, with progress and Ctrl-C, and writes its results one by one.
//!
//! The engine works on threads of its own: this thread only waits, so that Ctrl-C
//! and the progress line never have to wait for a query. Dropping what it waits for
//! cancels the statement.

use std::future::Future;
use std::io::Write;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::{Stream, StreamExt};
use sheafdb::{Database, Output, Session};

use crate::interrupt::{Busy, Interrupt};
use crate::message::Failure;
use crate::output::{Format, View};
use crate::progress::Progress;
use crate::remote::{Answer, Remote};

/// How often progress is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Where statements run.
pub enum Place {
    /// In this process.
    Here(Session),
    /// On a server.
    There(Box<Remote>),
}

impl Place {
    /// The database, when this process has it open.
    pub fn database(&self) -> Option<&Database> {
        match self {
            Self::Here(session) => Some(session.database()),
            Self::There(_) => None,
        }
    }
}

/// Runs statements, one after the other.
pub struct Runner {
    /// Where they run.
    pub place: Place,
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
            place: &self.place,
            busy: self.interrupt.busy(),
            progress: Progress::start(),
            rows: 0,
        };
        let outcome = match &self.place {
            Place::Here(session) => {
                session.block_on(self.run_here(session, sql, &mut watch, out))?
            }
            Place::There(remote) => remote.block_on(self.run_there(remote, sql, &mut watch, out)),
        };
        watch.progress.clear();
        outcome
    }

    async fn run_here(
        &self,
        session: &Session,
        sql: &str,
        watch: &mut Watch<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        for output in watch.wait(session.execute(sql)).await?? {
            match output {
                Output::Rows { schema, stream } => {
                    self.write_rows(&schema, stream, watch, out).await?;
                }
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

    async fn run_there(
        &self,
        remote: &Remote,
        sql: &str,
        watch: &mut Watch<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        for sql in Session::split(sql)? {
            match watch.wait(remote.run(&sql)).await?? {
                Answer::Rows(schema, rows) => self.write_rows(&schema, rows, watch, out).await?,
                Answer::Changed(1) => self.write_tag("done · 1 row", watch, out)?,
                Answer::Changed(rows) if rows > 0 => {
                    self.write_tag(&format!("done · {rows} rows"), watch, out)?;
                }
                Answer::Changed(_) => self.write_tag("done", watch, out)?,
            }
        }
        Ok(())
    }

    async fn write_rows<E>(
        &self,
        schema: &SchemaRef,
        mut rows: impl Stream<Item = Result<RecordBatch, E>> + Unpin,
        watch: &mut Watch<'_>,
        out: &mut dyn Write,
    ) -> Result<(), Failure>
    where
        Failure: From<E>,
    {
        let mut sink = self.format.begin(schema, &self.view, out)?;
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
    place: &'a Place,
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
                    let progress = match self.place {
                        Place::Here(session) => session.progress(),
                        Place::There(_) => None,
                    };
                    self.progress.tick(self.rows, progress);
                }
            }
        }
    }
}
