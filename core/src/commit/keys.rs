//! The keys of a put or a deletion, and where their rows are.
//!
//! Key indexes are in the order of hashes: many keys are looked up in that order, which
//! reads each index from front to back, on the caller's threads and before the commit.
//! The leader then has to look at memtables and at what has ended since; only when
//! segments were flushed or merged meanwhile does it look again.

use std::sync::Arc;

use rayon::prelude::*;

use crate::Result;
use crate::lookup::{Found, Place, find, find_in_memtables};
use crate::memtable::LIVE;
use crate::row::{RowBytes, key_hash};
use crate::segment::SegmentHandle;
use crate::state::TableState;

/// Fewer keys are left to the leader.
const PROBED_MIN: usize = 8;

/// Keys that a thread looks up at a time.
const CHUNK: usize = 4096;

/// Fewer keys are looked up by the caller's thread alone: others have work of their own.
const SHARED_MIN: usize = 1 << 16;

/// Encoded keys with their hashes.
#[derive(Debug)]
pub(crate) struct Keys {
    pub bytes: RowBytes,
    pub hashes: Vec<u64>,
    /// Positions by hash; equal hashes by position.
    by_hash: Vec<u32>,
    probed: Option<Probed>,
}

/// Where the live rows of the keys were.
#[derive(Debug)]
struct Probed {
    segments: Vec<Arc<SegmentHandle>>,
    /// Per key: segment and ordinal; at most one row of a key is live.
    places: Vec<Option<(u32, u32)>>,
}

impl Keys {
    pub(crate) fn new(bytes: RowBytes) -> Self {
        let hashes: Vec<u64> = bytes.iter().map(key_hash).collect();
        let mut by_hash: Vec<u32> = (0..hashes.len() as u32).collect();
        by_hash.sort_unstable_by_key(|i| (hashes[*i as usize], *i));
        Self { bytes, hashes, by_hash, probed: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Calls `found` for each key that comes again: where it was last, and where it is.
    pub(crate) fn for_duplicates(&self, mut found: impl FnMut(usize, usize)) {
        let same_hash = |a: &u32, b: &u32| self.hashes[*a as usize] == self.hashes[*b as usize];
        for same in self.by_hash.chunk_by(same_hash).filter(|same| same.len() > 1) {
            // Where each of the keys was last; nearly always they are all one.
            let mut last: Vec<usize> = Vec::new();
            for at in same.iter().map(|i| *i as usize) {
                let key = self.bytes.slice(at);
                match last.iter_mut().find(|i| self.bytes.slice(**i) == key) {
                    Some(before) => found(std::mem::replace(before, at), at),
                    None => last.push(at),
                }
            }
        }
    }

    /// Looks the keys up in the segments of `table`.
    pub(crate) fn probe(&mut self, table: &TableState) -> Result<()> {
        if self.len() < PROBED_MIN || table.segments.is_empty() {
            return Ok(());
        }
        let live_place = |i: usize| -> Result<Option<(u32, u32)>> {
            for (at, segment) in table.segments.iter().enumerate() {
                for ordinal in segment.find_key(self.bytes.slice(i), self.hashes[i])? {
                    if segment.deletes.ended(ordinal) == LIVE {
                        return Ok(Some((at as u32, ordinal)));
                    }
                }
            }
            Ok(None)
        };
        let live_places = |chunk: &[u32]| -> Result<Vec<Option<(u32, u32)>>> {
            chunk.iter().map(|i| live_place(*i as usize)).collect()
        };
        let found: Vec<_> = match self.len() < SHARED_MIN {
            true => vec![live_places(&self.by_hash)?],
            false => self.by_hash.par_chunks(CHUNK).map(live_places).collect::<Result<_>>()?,
        };
        let mut places = vec![None; self.len()];
        for (i, place) in self.by_hash.iter().zip(found.into_iter().flatten()) {
            places[*i as usize] = place;
        }
        self.probed = Some(Probed { segments: table.segments.clone(), places });
        Ok(())
    }

    /// Finds the keys in the newest state of `table`.
    pub(crate) fn lookup<'a>(&'a self, table: &'a TableState) -> KeyLookup<'a> {
        let probed = self.probed.as_ref().filter(|probed| {
            let same = |(a, b): (&Arc<SegmentHandle>, &Arc<SegmentHandle>)| Arc::ptr_eq(a, b);
            probed.segments.len() == table.segments.len()
                && probed.segments.iter().zip(&table.segments).all(same)
        });
        KeyLookup { keys: self, table, probed }
    }
}

/// See [`Keys::lookup`].
pub(crate) struct KeyLookup<'a> {
    keys: &'a Keys,
    table: &'a TableState,
    probed: Option<&'a Probed>,
}

impl KeyLookup<'_> {
    /// What memtables know at `seq` of the key at position `i`.
    pub(crate) fn find_in_memtables(&self, i: usize, seq: u64) -> Found {
        find_in_memtables(self.table, self.keys.bytes.slice(i), self.keys.hashes[i], seq)
    }

    /// What is known at `seq`, the newest number, of the key at position `i`; `since` as
    /// for [`find`].
    pub(crate) fn find(&self, i: usize, seq: u64, since: Option<u64>) -> Result<Found> {
        let (key, hash) = (self.keys.bytes.slice(i), self.keys.hashes[i]);
        let Some(probed) = self.probed.filter(|_| since.is_none()) else {
            return find(self.table, key, hash, seq, since);
        };
        let mut found = find_in_memtables(self.table, key, hash, seq);
        if found.place.is_none()
            && let Some((segment, ordinal)) = probed.places[i]
        {
            let segment = &probed.segments[segment as usize];
            if segment.deletes.ended(ordinal) > seq && !segment.is_older(ordinal, found.changed)? {
                found.place = Some(Place::Segment { segment: Arc::clone(segment), ordinal });
            }
        }
        Ok(found)
    }
}
