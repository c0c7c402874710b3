//! Finding a row by primary key: memtables first, then segments.

use std::sync::Arc;

use crate::memtable::{KeyedMemtable, LIVE, Memtable, OwnedEntry};
use crate::row::{KeyCodec, key_hash};
use crate::segment::SegmentHandle;
use crate::state::TableState;
use crate::{Error, Result};

/// Where a row version is.
#[derive(Clone)]
pub(crate) enum Place {
    Memtable { entry: OwnedEntry, memtable: Arc<KeyedMemtable> },
    Segment { segment: Arc<SegmentHandle>, ordinal: u32 },
}

impl Place {
    /// Ends the row at `seq`.
    pub(crate) fn end(&self, seq: u64) {
        match self {
            Self::Memtable { entry, .. } => entry.get().end(seq),
            Self::Segment { segment, ordinal } => segment.deletes.end(*ordinal, seq),
        }
    }
}

/// What is known of a key.
#[derive(Default)]
pub(crate) struct Found {
    /// The version that is visible, if any.
    pub place: Option<Place>,
    /// The newest sequence number that made or ended a version of this key; exact only
    /// as far as the caller asked.
    pub changed: u64,
}

/// The version of `key`, whose hash is `hash`, that is visible at `seq`. With `seq` just below a commit's
/// number this is the row that the commit replaces, also during replay, when later
/// bulk loads are already in segments.
///
/// With `since`, [`Found::changed`] tells whether the key changed after it. Without,
/// it is not looked up where that would mean reading a segment.
pub(crate) fn find(
    table: &TableState,
    key: &[u8],
    hash: u64,
    seq: u64,
    since: Option<u64>,
) -> Result<Found> {
    let mut found = find_in_memtables(table, key, hash, seq);
    if found.place.is_some() {
        return Ok(found);
    }
    // What is older than a version in a memtable has ended, though its segment may not say
    // so yet.
    let ended_before = found.changed;
    for segment in &table.segments {
        if segment.meta.min_seq > seq || segment.meta.max_seq < ended_before {
            continue;
        }
        for ordinal in segment.find_key(key, hash)? {
            if segment.is_older(ordinal, ended_before)? {
                continue;
            }
            let (min, max) = (segment.meta.min_seq, segment.meta.max_seq);
            let written = if max > seq || since.is_some_and(|since| min <= since && since < max) {
                segment.seqs(&[u64::from(ordinal)])?[0]
            } else {
                min
            };
            if written > seq {
                continue;
            }
            let ended = segment.deletes.ended(ordinal);
            found.changed = found.changed.max(written);
            if ended > seq {
                found.place = Some(Place::Segment { segment: Arc::clone(segment), ordinal });
                return Ok(found);
            }
            found.changed = found.changed.max(ended);
        }
    }
    Ok(found)
}

/// The same of memtables alone.
pub(crate) fn find_in_memtables(table: &TableState, key: &[u8], hash: u64, seq: u64) -> Found {
    let mut found = Found::default();
    for memtable in table.memtables() {
        let Memtable::Keyed(keyed) = memtable else { continue };
        // Versions before it ended when it came.
        if let Some(version) = keyed.versions(key, hash, seq).next() {
            let ended = version.ended();
            found.changed = found.changed.max(version.seq());
            if ended > seq {
                if ended != LIVE {
                    found.changed = found.changed.max(ended);
                }
                let entry = keyed.keep(version);
                found.place = Some(Place::Memtable { entry, memtable: Arc::clone(keyed) });
                return found;
            }
            found.changed = found.changed.max(ended);
        }
    }
    found
}

/// Fails when a key of one of the segments `new` is live in `table`.
pub(crate) fn check_absent(
    table: &TableState,
    new: &[Arc<SegmentHandle>],
    codec: &KeyCodec,
) -> Result<()> {
    if table.segments.is_empty() && table.memtables().all(Memtable::is_empty) {
        return Ok(());
    }
    for segment in new {
        for (key, _) in segment.all_keys()? {
            if find(table, &key, key_hash(&key), LIVE - 1, None)?.place.is_some() {
                return Err(Error::DuplicateKey {
                    table: table.def.name.clone(),
                    key: codec.describe(&table.def, &key),
                });
            }
        }
    }
    Ok(())
}
