//! A read-only store beside a writer, or without one.
//!
//! It follows the manifest and replays the log up to where the writer says that it
//! is durable, into memtables of its own. Its lease keeps the files that it reads.

use std::sync::Arc;

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
        Ok(Self {
            vfs,
            shared: Arc::new(Shared::new(recovered.state, recovered.last_seq)),
            lease,
            position: Mutex::new(Position { version, log: recovered.end }),
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Looks for what the writer did since the last look.
    pub(crate) fn catch_up(&self) -> Result<()> {
        let mut position = self.position.lock();
        if manifest::next_exists(self.vfs.as_ref(), position.version)? {
            let (recovered, version) = load(&self.vfs)?;
            self.shared.replace(recovered.state);
            self.shared.publish(recovered.last_seq);
            *position = Position { version, log: recovered.end };
            return self.lease.need_from(version);
        }
        self.replay_tail(&mut position)
    }

    /// Replays records that became durable while the manifest stood still.
    fn replay_tail(&self, position: &mut Position) -> Result<()> {
        let durable = lock::durable_position(self.vfs.as_ref())?;
        let state: Arc<State> = self.shared.current();
        let mut last_seq = 0;
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
            let outcome = log::read_from(self.vfs.as_ref(), from, until, |record| {
                last_seq = record.seq;
                replay(&state, &record)
            })?;
            let offset = outcome.end.max(log::HEADER_LEN);
            position.log = Some(LogPosition { first_seq, offset });
        }
        if last_seq > 0 {
            self.shared.publish(last_seq);
        }
        Ok(())
    }
}

/// The newest manifest with the log on top of it, and the manifest's version. Tried
/// again when the manifest moved on meanwhile, because files may have gone with it.
fn load(vfs: &Arc<dyn Vfs>) -> Result<(Recovered, u64)> {
    const TRIES: usize = 100;
    let mut last = None;
    for _ in 0..TRIES {
        let found = manifest::load(vfs.as_ref())?.ok_or_else(|| {
            Error::Incompatible("the database was removed while it was open".into())
        })?;
        let durable = lock::durable_position(vfs.as_ref())?;
        match recovery::recover(vfs, &found, false, durable) {
            Ok(recovered) => return Ok((recovered, found.version)),
            Err(error) if manifest::next_exists(vfs.as_ref(), found.version)? => {
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::Invalid("the database changes too fast to be read".into())))
}
