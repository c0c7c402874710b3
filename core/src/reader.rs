//! A read-only store beside a writer, or without one.
//!
//! It follows the manifest and replays the log up to where the writer says that it
//! is durable, into memtables of its own. Its lease keeps the files that it reads.
//!
//! The log is only replayed on the manifest that it belongs to: the manifest is
//! looked at, then the durable position, then whether the manifest has moved on, and
//! if so all of it again.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::clock::new_ulid;
use crate::commit::replay;
use crate::lock::{self, ReaderLease};
use crate::log::{self, LogPosition};
use crate::manifest;
use crate::recovery::{self, Recovered};
use crate::state::{Shared, State};
use crate::store::Environment;
use crate::vfs::Vfs;
use crate::{Error, Result};

/// How often a look at a moving database is repeated.
const TRIES: usize = 100;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Follower {
    vfs: Arc<dyn Vfs>,
    shared: Arc<Shared>,
    lease: ReaderLease,
    position: Mutex<Position>,
}

#[derive(Debug)]
struct Position {
    version: u64,
    log: Option<LogPosition>,
    /// The last record that was applied.
    applied_seq: u64,
    /// States of older versions that snapshots may still hold.
    held: Vec<Weak<State>>,
    /// The version that the lease names.
    leased: u64,
}

impl Follower {
    pub(crate) fn open(environment: &Environment) -> Result<Self> {
        let vfs = Arc::clone(&environment.vfs);
        if manifest::load(vfs.as_ref())?.is_none() {
            return Err(Error::Incompatible(
                "the folder is not a Sheaf database: it has no manifest".into(),
            ));
        }
        let id = new_ulid(environment.clock.as_ref(), environment.rng.as_ref());
        // Until it is told otherwise, the lease keeps every file there is.
        let lease = ReaderLease::take(Arc::clone(&vfs), id)?;
        let (recovered, version) = load(&vfs)?;
        lease.need_from(version)?;
        let position = Position {
            version,
            log: recovered.end,
            applied_seq: recovered.last_seq,
            held: Vec::new(),
            leased: version,
        };
        Ok(Self {
            vfs,
            shared: Arc::new(Shared::new(recovered.state, recovered.last_seq)),
            lease,
            position: Mutex::new(position),
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Looks for what the writer did since the last look.
    pub(crate) fn catch_up(&self) -> Result<()> {
        let mut position = self.position.lock();
        for _ in 0..TRIES {
            if manifest::next_exists(self.vfs.as_ref(), position.version)? {
                let (recovered, version) = load(&self.vfs)?;
                position.held.push(Arc::downgrade(&self.shared.current()));
                position.version = version;
                position.log = recovered.end;
                position.applied_seq = recovered.last_seq;
                self.shared.replace_and_publish(recovered.state, recovered.last_seq);
                break;
            }
            let durable = lock::durable_position(self.vfs.as_ref())?;
            if manifest::next_exists(self.vfs.as_ref(), position.version)? {
                continue;
            }
            self.replay_tail(&mut position, durable)?;
            break;
        }
        self.renew_lease(&mut position)
    }

    /// Gives up the files of versions that no snapshot holds any more.
    fn renew_lease(&self, position: &mut Position) -> Result<()> {
        position.held.retain(|state| state.strong_count() > 0);
        let held = position.held.iter().filter_map(Weak::upgrade).map(|s| s.manifest_version);
        let oldest = held.min().unwrap_or(position.version).min(position.version);
        if oldest != position.leased {
            self.lease.need_from(oldest)?;
            position.leased = oldest;
        }
        Ok(())
    }

    /// Replays records that became durable while the manifest stood still.
    fn replay_tail(&self, position: &mut Position, durable: Option<(u64, u64)>) -> Result<()> {
        let state: Arc<State> = self.shared.current();
        for first_seq in log::list_files(self.vfs.as_ref())? {
            let from = match position.log {
                Some(at) if at.first_seq > first_seq => continue,
                Some(at) if at.first_seq == first_seq => at,
                _ => LogPosition { first_seq, offset: log::HEADER_LEN },
            };
            let until = match durable {
                Some((file, _)) if file < first_seq => break,
                Some((file, offset)) if file == first_seq => Some(offset),
                _ => None,
            };
            if until.is_some_and(|until| until <= from.offset) {
                continue;
            }
            let applied_seq = &mut position.applied_seq;
            let outcome = log::read_from(self.vfs.as_ref(), from, until, |record| {
                if record.seq > *applied_seq {
                    replay(&state, &record)?;
                    *applied_seq = record.seq;
                }
                Ok(())
            })?;
            let offset = outcome.end.max(log::HEADER_LEN);
            position.log = Some(LogPosition { first_seq, offset });
        }
        self.shared.publish(position.applied_seq);
        Ok(())
    }
}

/// The newest manifest with the log on top of it, and the manifest's version. Tried
/// again when the manifest moved on meanwhile: files may have gone with it, and the
/// log may speak of what the older manifest does not know.
fn load(vfs: &Arc<dyn Vfs>) -> Result<(Recovered, u64)> {
    let mut last = None;
    for _ in 0..TRIES {
        let found = manifest::load(vfs.as_ref())?.ok_or_else(|| {
            Error::Incompatible("the database was removed while it was open".into())
        })?;
        let durable = lock::durable_position(vfs.as_ref())?;
        if manifest::next_exists(vfs.as_ref(), found.version)? {
            continue;
        }
        let outcome = recovery::recover(vfs, &found, false, durable);
        // Without a writer's word the log was read to its end, and a writer that came
        // meanwhile may have gone on with it.
        let moved = manifest::next_exists(vfs.as_ref(), found.version)?;
        match outcome {
            Ok(recovered) if durable.is_some() || !moved => return Ok((recovered, found.version)),
            Ok(_) => {}
            Err(error) if moved => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::Invalid("the database changes too fast to be read".into())))
}
