//! Who has the database open: one writer, any number of readers.
//!
//! `LOCK` is held by the writer and tells readers how far the log is durable.
//! `readers/{ulid}.lease` is held by a reading process and tells the writer the
//! oldest manifest version whose files it may still need. Locks are the kernel's,
//! so they end with their process however it dies.

use std::sync::Arc;

use bytes::Bytes;

use crate::vfs::{FileLock, LockOutcome, Vfs};
use crate::{Error, Result};

const LOCK_PATH: &str = "LOCK";
const READERS_DIR: &str = "readers";

/// Bytes before the holder's name in the lock file: position and its check.
const POSITION_LEN: usize = 24;

/// How often a lock, or a position that is being written, is looked at again.
const TRIES: usize = 1000;

/// The longest name that is written; the field is padded, because a shorter name
/// must not leave a tail of a longer one.
const NAME_LEN: usize = 64;

/// The writer's lock.
pub(crate) struct WriterLock(Box<dyn FileLock>);

impl WriterLock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(vfs: &dyn Vfs) -> Result<Self> {
        let fail = |source| Error::Io { path: LOCK_PATH.into(), source };
        let mut outcome = vfs.lock(LOCK_PATH).map_err(fail)?;
        // A reader that looks whether there is a writer is in the way for a moment.
        for _ in 0..TRIES {
            if matches!(outcome, LockOutcome::Acquired(_)) {
                break;
            }
            std::thread::yield_now();
            outcome = vfs.lock(LOCK_PATH).map_err(fail)?;
        }
        match outcome {
            LockOutcome::Acquired(lock) => {
                let lock = Self(lock);
                let mut bytes = position_bytes(RECOVERING.0, RECOVERING.1).to_vec();
                let mut name = holder_name().into_bytes();
                name.resize(NAME_LEN, b' ');
                bytes.extend_from_slice(&name);
                lock.0
                    .publish(&bytes)
                    .map_err(|source| Error::Io { path: LOCK_PATH.into(), source })?;
                Ok(lock)
            }
            LockOutcome::Held(bytes) => {
                let name = bytes.get(POSITION_LEN..).unwrap_or_default();
                let name = String::from_utf8_lossy(name).trim().to_owned();
                let holder = if name.is_empty() { "another process".to_owned() } else { name };
                Err(Error::Locked { holder })
            }
        }
    }

    /// Tells readers that the log is durable up to `offset` of the file `first_seq`.
    pub(crate) fn publish_position(&self, first_seq: u64, offset: u64) -> std::io::Result<()> {
        self.0.publish(&position_bytes(first_seq, offset))
    }
}

/// How far the log is durable, as a live writer says: file and offset. `None` when
/// there is no writer, or one that is still recovering: then everything whole in the
/// log counts, because recovery keeps all of it.
pub(crate) fn durable_position(vfs: &dyn Vfs) -> Result<Option<(u64, u64)>> {
    let fail = |source| Error::Io { path: LOCK_PATH.into(), source };
    // A position is read while it may be written; its check tells, and then it is
    // there a moment later.
    for _ in 0..TRIES {
        let Some(bytes) = vfs.holder(LOCK_PATH).map_err(fail)? else { return Ok(None) };
        match parse_position(&bytes) {
            Some(RECOVERING) => return Ok(None),
            Some(position) => return Ok(Some(position)),
            None => {}
        }
        std::thread::yield_now();
    }
    Err(Error::Invalid("the writer's position cannot be read; try again".into()))
}

/// What a writer publishes before it knows a position.
const RECOVERING: (u64, u64) = (0, 0);

fn position_bytes(first_seq: u64, offset: u64) -> [u8; POSITION_LEN] {
    let mut bytes = [0; POSITION_LEN];
    bytes[..8].copy_from_slice(&first_seq.to_le_bytes());
    bytes[8..16].copy_from_slice(&offset.to_le_bytes());
    bytes[16..].copy_from_slice(&check(first_seq, offset).to_le_bytes());
    bytes
}

fn parse_position(bytes: &Bytes) -> Option<(u64, u64)> {
    let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let (first_seq, offset) = (word(0)?, word(8)?);
    (word(16)? == check(first_seq, offset)).then_some((first_seq, offset))
}

fn check(first_seq: u64, offset: u64) -> u64 {
    first_seq.rotate_left(17) ^ offset ^ 0x5348_4541_465f_504f
}

fn holder_name() -> String {
    let host = rustix::system::uname();
    let mut name =
        format!("process {} on {}", std::process::id(), host.nodename().to_string_lossy());
    name.truncate(NAME_LEN);
    name
}

/// A reading process's claim on old files.
pub(crate) struct ReaderLease {
    vfs: Arc<dyn Vfs>,
    path: String,
    lock: Box<dyn FileLock>,
}

impl std::fmt::Debug for ReaderLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReaderLease").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ReaderLease {
    /// Claims every file from now on, until [`Self::need_from`] says less.
    pub(crate) fn take(vfs: Arc<dyn Vfs>, id: u128) -> Result<Self> {
        let path = format!("{READERS_DIR}/{}.lease", ulid::Ulid(id));
        let fail = |source| Error::Io { path: path.clone(), source };
        vfs.create_dir_all(READERS_DIR).map_err(fail)?;
        match vfs.lock(&path).map_err(fail)? {
            LockOutcome::Acquired(lock) => {
                lock.publish(&0_u64.to_le_bytes()).map_err(fail)?;
                Ok(Self { vfs, path, lock })
            }
            LockOutcome::Held(_) => Err(Error::Invalid("two readers have one identity".into())),
        }
    }

    /// Gives up files that manifest version `version` does not name.
    pub(crate) fn need_from(&self, version: u64) -> Result<()> {
        self.lock
            .publish(&version.to_le_bytes())
            .map_err(|source| Error::Io { path: self.path.clone(), source })
    }
}

impl Drop for ReaderLease {
    fn drop(&mut self) {
        // The writer removes leases that nobody holds, so this is only tidiness.
        let _ = self.vfs.delete(&self.path);
    }
}

/// The oldest manifest version that a reading process needs, if there is one.
/// Leases of processes that are gone are removed.
pub(crate) fn oldest_lease(vfs: &dyn Vfs) -> Result<Option<u64>> {
    let fail = |source| Error::Io { path: READERS_DIR.into(), source };
    let mut oldest = None;
    for name in vfs.list(READERS_DIR).map_err(fail)? {
        let path = format!("{READERS_DIR}/{name}");
        match vfs.lock(&path).map_err(fail)? {
            LockOutcome::Acquired(lock) => {
                vfs.delete(&path).map_err(fail)?;
                drop(lock);
            }
            LockOutcome::Held(bytes) => {
                let version =
                    bytes.get(..8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
                oldest = Some(oldest.map_or(version, |o: u64| o.min(version)));
            }
        }
    }
    Ok(oldest)
}
