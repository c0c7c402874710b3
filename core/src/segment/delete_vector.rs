//! Which rows of a segment have ended, and when.
//!
//! Entries carry the sequence number of the commit that replaced or deleted the
//! row, so that an older snapshot still sees it. Entries at or below the *horizon*
//! (no snapshot is older) are a plain bitmap; newer ones are a sorted tail.
//! Ordinals never change (I4).

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use sheaf_formats::envelope::{FileIdentity, FileKind, decode_small, encode_small};

use crate::memtable::LIVE;
use crate::{Error, Result};

/// See the module's documentation. Written by the committer alone.
#[derive(Debug, Default)]
pub(crate) struct DeleteVector {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Rows that ended at or before `horizon`.
    base: RoaringBitmap,
    horizon: u64,
    /// Rows that ended later: ordinal and sequence number.
    tail: BTreeMap<u32, u64>,
    tail_max: u64,
    /// `base` and all of `tail`, as scans of the newest state want it.
    newest: Option<Arc<RoaringBitmap>>,
}

impl DeleteVector {
    /// The sequence number that ended the row, or [`LIVE`]. For a row in the base it
    /// is an upper bound that no snapshot can tell from the truth.
    pub(crate) fn ended(&self, ordinal: u32) -> u64 {
        let state = self.state.read();
        match state.tail.get(&ordinal) {
            Some(seq) => *seq,
            None if state.base.contains(ordinal) => state.horizon,
            None => LIVE,
        }
    }

    /// Ends the row at `seq`, unless it has ended.
    pub(crate) fn end(&self, ordinal: u32, seq: u64) {
        let mut state = self.state.write();
        if !state.base.contains(ordinal) {
            state.tail.entry(ordinal).or_insert(seq);
            state.tail_max = state.tail_max.max(seq);
            state.newest = None;
        }
    }

    /// Rows that are not visible at `seq`; `None` when all are.
    pub(crate) fn at(&self, seq: u64) -> Option<Arc<RoaringBitmap>> {
        let state = self.state.read();
        if state.base.is_empty() && state.tail.is_empty() {
            return None;
        }
        if state.tail_max > seq {
            let mut bitmap = state.base.clone();
            bitmap.extend(state.tail.iter().filter(|(_, at)| **at <= seq).map(|(o, _)| *o));
            return (!bitmap.is_empty()).then(|| Arc::new(bitmap));
        }
        if let Some(newest) = &state.newest {
            return Some(Arc::clone(newest));
        }
        drop(state);
        let mut state = self.state.write();
        let mut bitmap = state.base.clone();
        bitmap.extend(state.tail.iter().filter(|(_, at)| **at <= seq).map(|(o, _)| *o));
        let bitmap = Arc::new(bitmap);
        if state.tail_max <= seq {
            state.newest = Some(Arc::clone(&bitmap));
        }
        Some(bitmap)
    }

    /// Number of rows that are not visible at `seq`.
    pub(crate) fn count_at(&self, seq: u64) -> u64 {
        self.at(seq).map_or(0, |bitmap| bitmap.len())
    }

    /// Entries newer than `horizon`: ordinal and sequence number.
    pub(crate) fn entries_after(&self, horizon: u64) -> Vec<(u32, u64)> {
        let state = self.state.read();
        state.tail.iter().filter(|(_, at)| **at > horizon).map(|(o, at)| (*o, *at)).collect()
    }

    /// Number of entries that ended at or before `seq`, bounds included.
    pub(crate) fn entries_until(&self, seq: u64) -> u64 {
        let state = self.state.read();
        state.base.len() + state.tail.values().filter(|at| **at <= seq).count() as u64
    }

    /// The file with every entry up to `applied_seq`; what is newer is in the log.
    pub(crate) fn encode(&self, identity: FileIdentity, horizon: u64, applied_seq: u64) -> Vec<u8> {
        let state = self.state.read();
        let horizon = horizon.max(state.horizon).min(applied_seq.max(state.horizon));
        let mut base = state.base.clone();
        let mut tail = Vec::new();
        for (ordinal, at) in state.tail.iter().filter(|(_, at)| **at <= applied_seq) {
            if *at <= horizon {
                base.insert(*ordinal);
            } else {
                tail.push((*ordinal, *at));
            }
        }
        let mut payload = Vec::new();
        payload.put_u64_le(horizon);
        payload.put_u64_le(applied_seq);
        payload.put_u64_le(tail.len() as u64);
        for (ordinal, at) in tail {
            payload.put_u32_le(ordinal);
            payload.put_u64_le(at);
        }
        base.serialize_into(&mut payload).expect("writing to memory does not fail");
        encode_small(FileKind::DeleteVector, identity, &payload)
    }

    /// Reads the file of a segment with `rows` rows.
    pub(crate) fn decode(name: &str, bytes: Bytes, rows: u64) -> Result<Self> {
        let (_, payload) = decode_small(name, bytes, FileKind::DeleteVector)?;
        let state = decode_state(payload, rows).ok_or_else(|| Error::Corrupt {
            file: name.to_owned(),
            what: "the delete vector does not fit its segment".into(),
        })?;
        Ok(Self { state: RwLock::new(state) })
    }
}

fn decode_state(mut payload: Bytes, rows: u64) -> Option<State> {
    let horizon = payload.try_get_u64_le().ok()?;
    let _applied_seq = payload.try_get_u64_le().ok()?;
    let count = payload.try_get_u64_le().ok()?;
    let mut tail = BTreeMap::new();
    for _ in 0..count {
        let ordinal = payload.try_get_u32_le().ok()?;
        tail.insert(ordinal, payload.try_get_u64_le().ok()?);
    }
    let base = RoaringBitmap::deserialize_from(Cursor::new(payload)).ok()?;
    let last = base.max().max(tail.keys().next_back().copied());
    if last.is_some_and(|ordinal| u64::from(ordinal) >= rows) {
        return None;
    }
    let tail_max = tail.values().max().copied().unwrap_or(0);
    Some(State { base, horizon, tail, tail_max, newest: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_snapshots_still_see_the_row() {
        let deletes = DeleteVector::default();
        deletes.end(3, 10);
        deletes.end(3, 12);
        deletes.end(5, 20);
        assert_eq!(deletes.at(9), None);
        assert_eq!(deletes.at(10).unwrap().iter().collect::<Vec<_>>(), [3]);
        assert_eq!(deletes.at(30).unwrap().iter().collect::<Vec<_>>(), [3, 5]);
        assert_eq!(deletes.at(19).unwrap().iter().collect::<Vec<_>>(), [3]);
        assert_eq!((deletes.ended(3), deletes.ended(5), deletes.ended(4)), (10, 20, LIVE));
    }

    #[test]
    fn a_file_holds_what_was_applied() {
        let deletes = DeleteVector::default();
        deletes.end(1, 5);
        deletes.end(2, 8);
        deletes.end(7, 11);
        let bytes = deletes.encode(FileIdentity::default(), 6, 9);
        let read = DeleteVector::decode("x.dv", bytes.clone().into(), 8).unwrap();
        assert_eq!(read.at(7).unwrap().iter().collect::<Vec<_>>(), [1]);
        assert_eq!(read.at(99).unwrap().iter().collect::<Vec<_>>(), [1, 2]);
        assert!(DeleteVector::decode("x.dv", bytes.into(), 2).is_err());
    }
}
