//! Opening a database for writing, and making one.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::{IDLE, Writer};
use crate::clock::new_ulid;
use crate::collect;
use crate::commit::{CommitQueue, Committer, Seed};
use crate::jobs::Jobs;
use crate::lock::WriterLock;
use crate::log::{LogWriter, SpareFiles};
use crate::manifest::{self, ManifestLog};
use crate::memory::Memory;
use crate::pressure::{Limits, Pressure};
use crate::recovery::{self, Recovered};
use crate::segment::WriteContext;
use crate::state::{Shared, State};
use crate::store::{Environment, Options};
use crate::vfs::Vfs;
use crate::{Error, Result};

/// A log file is followed by the next at the latest when it holds this many bytes, and
/// when it is this part of what the log may hold.
const LOG_FILE_BYTES_MAX: u64 = 64 << 20;
const LOG_FILES: u64 = 16;

impl Writer {
    /// Opens or makes the database for writing: lock, manifest, log, threads.
    pub(crate) fn open(
        environment: Environment,
        options: Options,
        memory: Arc<Memory>,
    ) -> Result<Arc<Self>> {
        let Environment { vfs, clock, rng } = environment;
        if !manifest_exists(vfs.as_ref())? {
            check_new_folder(vfs.as_ref(), &options)?;
            for dir in ["", "manifest", "wal", "t"] {
                vfs.create_dir_all(dir).map_err(|source| Error::Io { path: dir.into(), source })?;
            }
        }
        let lock = WriterLock::take(vfs.as_ref())?;
        let mut context = WriteContext {
            vfs: Arc::clone(&vfs),
            store_id: 0,
            writer_epoch: 1,
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
        };
        let found = match manifest::load(vfs.as_ref())? {
            Some(found) => found,
            None => {
                context.store_id = new_ulid(clock.as_ref(), rng.as_ref());
                manifest::create(&context)?
            }
        };
        let Recovered { state, last_seq, log_files, end, store_id } =
            recovery::recover(&vfs, &found, true, None)?;
        collect::delete_orphans(vfs.as_ref(), &found)?;
        context.store_id = store_id;
        context.writer_epoch = found.writer_epoch + 1;

        // The first edit of an opening carries the new epoch: a writer that was
        // thought dead finds its next version taken, and stops.
        let mut manifest = ManifestLog::new(context.clone(), found);
        let version = manifest.commit(last_seq, Vec::new())?;
        let state = State { manifest_version: version, ..state };
        let first_seq = end.map_or(0, |at| at.first_seq + 1).max(last_seq + 1);
        let log_file_bytes = (options.log_bytes / LOG_FILES).min(LOG_FILE_BYTES_MAX);
        let spares = SpareFiles::new(Arc::clone(&vfs), log_file_bytes / 2)?;
        let log = LogWriter::create(Arc::clone(&vfs), spares, context.identity(), first_seq)?;
        let (first, offset) = log.durable_position();
        lock.publish_position(first, offset)
            .map_err(|source| Error::Io { path: "LOCK".into(), source })?;

        let shared = Arc::new(Shared::new(state, last_seq));
        let Options { memtable_bytes, log_bytes, .. } = options;
        let limits = Limits { memtable_bytes, log_bytes };
        let pressure = Arc::new(Pressure::new(limits, Arc::clone(&memory), Arc::clone(&clock)));
        let committer = Committer::new(Seed {
            shared: Arc::clone(&shared),
            context: context.clone(),
            manifest,
            log,
            log_files,
            last_seq,
            lock,
            pressure: Arc::clone(&pressure),
            memory: Arc::clone(&memory),
            sync_interval: options.sync_interval,
            log_file_bytes,
        });
        let commits = Arc::new(CommitQueue::new(committer));
        let timer = Arc::clone(&commits);
        let timer = spawn("sheaf-sync", move || timer.sync_when_due())?;
        let writer = Arc::new(Self {
            shared,
            context,
            options,
            pressure,
            memory,
            jobs: Jobs::new(clock),
            commits,
            closed: AtomicBool::new(false),
            flushing: Mutex::new(()),
            compacting: Mutex::new(()),
            collecting: Mutex::new(()),
            flushed: Condvar::new(),
            open: Mutex::new(true),
            look_at: Mutex::new(HashMap::new()),
            paid_until_us: AtomicI64::new(0),
            threads: Mutex::new(vec![timer]),
        });
        if let Err(error) = writer.start() {
            // Gives the lock back.
            let _ = writer.close();
            return Err(error);
        }
        Ok(writer)
    }

    /// Clears up, and starts the background threads.
    fn start(self: &Arc<Self>) -> Result<()> {
        // Log files that nothing needs any more: short openings would leave one each.
        self.collect()?;
        if self.options.background {
            let (weak, pressure) = (Arc::downgrade(self), Arc::clone(&self.pressure));
            let flusher = spawn("sheaf-flush", move || {
                while let Ok(table) = pressure.next_flush(IDLE) {
                    let Some(writer) = weak.upgrade() else { break };
                    let Some(table) = table else { continue };
                    let turn = AssertUnwindSafe(|| writer.flush_in_background(table));
                    if std::panic::catch_unwind(turn).is_err() {
                        writer.pressure.flushing(None);
                        writer.pressure.flush_failed(table, "a flush panicked");
                    }
                }
            })?;
            self.threads.lock().push(flusher);
            let weak = Arc::downgrade(self);
            let compactor = spawn("sheaf-compact", move || {
                lower_priority();
                while let Some(writer) = weak.upgrade() {
                    if !writer.wait_for_debt() {
                        break;
                    }
                    let turn = AssertUnwindSafe(|| {
                        writer.expire_in_background();
                        writer.compact_in_background();
                    });
                    if std::panic::catch_unwind(turn).is_err() {
                        tracing::error!("a merge panicked");
                        writer.pressure.merges_stuck();
                    }
                }
            })?;
            self.threads.lock().push(compactor);
        }
        Ok(())
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| Error::Io { path: name.to_owned(), source })
}

/// Lets others run first. Where the system does not, a merge is as urgent as the rest.
fn lower_priority() {
    // Elsewhere this is about the whole process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, 10);
}

fn manifest_exists(vfs: &dyn Vfs) -> Result<bool> {
    let names =
        vfs.list("manifest").map_err(|source| Error::Io { path: "manifest".into(), source })?;
    Ok(names.iter().any(|n| n.ends_with(".edit") || n.ends_with(".ckpt")))
}

/// A folder becomes a database only when it is empty, or holds what an opening that
/// was cut short left.
fn check_new_folder(vfs: &dyn Vfs, options: &Options) -> Result<()> {
    let names = vfs.list("").map_err(|source| Error::Io { path: ".".into(), source })?;
    let ours = ["LOCK", "manifest", "wal", "t", "readers", "tmp"];
    if let Some(other) = names.iter().find(|n| !ours.contains(&n.as_str())) {
        return Err(Error::Incompatible(format!(
            "the folder is not a Sheaf database: it has no manifest, and holds '{other}'; \
             choose an empty folder"
        )));
    }
    if names.iter().any(|n| n == "wal") && !vfs.list("wal").unwrap_or_default().is_empty() {
        return Err(Error::Incompatible(
            "the folder has a log but no manifest: the manifest folder was lost; restore it".into(),
        ));
    }
    if options.create {
        Ok(())
    } else {
        Err(Error::Incompatible("the folder is not a Sheaf database: it has no manifest".into()))
    }
}
