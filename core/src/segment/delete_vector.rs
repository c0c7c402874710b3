//! Which rows of a segment have ended, and when.
//!
//! Entries carry the sequence number of the commit that replaced or deleted the
//! row, so that an older snapshot still sees it. Entries at or below the *horizon*
//! (no snapshot is older) are a plain bitmap; newer ones are a sorted tail.
//! Ordinals never change (I4).

use std::io::Cursor;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;
use sheaf_formats::envelope::{FileIdentity, FileKind, decode_small, encode_small};

use crate::memtable::LIVE;
use crate::{Error, Result};

/// See the module's documentation. Rows are ended by the committer, in a segment that it
/// does not know yet by whoever writes it, and where upserts are lazy by whoever resolves
/// them, then also at numbers that are older than the newest.
#[derive(Debug, Default)]
pub(crate) struct DeleteVector {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Every row that has ended, as scans of the newest state want it.
    ended: Arc<RoaringBitmap>,
    /// Rows that are not in the tail ended at or before this.
    horizon: u64,
    /// Rows that ended later, in the order in which they did.
    tail: Vec<(u64, u32)>,
    /// The same by row.
    ended_at: FxHashMap<u32, u64>,
}

impl DeleteVector {
    /// The sequence number that ended the row, or [`LIVE`]. For a row that is not in the
    /// tail it is an upper bound that neither a snapshot nor replay can tell from the truth.
    pub(crate) fn ended(&self, ordinal: u32) -> u64 {
        let state = self.state.read();
        if !state.ended.contains(ordinal) {
            return LIVE;
        }
        state.ended_at.get(&ordinal).copied().unwrap_or(state.horizon)
    }

    /// Ends the row at `seq`, unless it has ended.
    pub(crate) fn end(&self, ordinal: u32, seq: u64) {
        let mut state = self.state.write();
        // A scan that holds the bitmap keeps it; others share the new one.
        if !state.ended.contains(ordinal) && Arc::make_mut(&mut state.ended).insert(ordinal) {
            state.push(seq, ordinal);
        }
    }

    /// Ends rows at `seq`, the newest number, unless they have ended.
    pub(crate) fn end_many(&self, mut ordinals: Vec<u32>, seq: u64) {
        if let [ordinal] = ordinals[..] {
            return self.end(ordinal, seq);
        }
        ordinals.sort_unstable();
        let mut new: RoaringBitmap = ordinals.into_iter().collect();
        let mut state = self.state.write();
        new -= &*state.ended;
        *Arc::make_mut(&mut state.ended) |= &new;
        state.tail.reserve(new.len() as usize);
        state.ended_at.reserve(new.len() as usize);
        for ordinal in &new {
            state.push(seq, ordinal);
        }
    }

    /// Ends rows, each at its number, in any order, unless they have ended.
    pub(crate) fn end_all(&self, ended: impl IntoIterator<Item = (u32, u64)>) {
        let mut ended: Vec<(u64, u32)> = ended.into_iter().map(|(at, seq)| (seq, at)).collect();
        if ended.is_empty() {
            return;
        }
        ended.sort_unstable();
        let mut state = self.state.write();
        let state = &mut *state;
        let all = Arc::make_mut(&mut state.ended);
        ended.retain(|(_, ordinal)| all.insert(*ordinal));
        state.ended_at.extend(ended.iter().map(|(seq, ordinal)| (*ordinal, *seq)));
        let ordered = match (state.tail.last(), ended.first()) {
            (Some((last, _)), Some((first, _))) => last <= first,
            _ => true,
        };
        state.tail.append(&mut ended);
        if !ordered {
            // Two runs: a stable sort merges them.
            state.tail.sort_by_key(|(seq, _)| *seq);
        }
    }

    /// Rows that are not visible at `seq`; `None` when all are.
    pub(crate) fn at(&self, seq: u64) -> Option<Arc<RoaringBitmap>> {
        let state = self.state.read();
        let later = &state.tail[state.tail_until(seq)..];
        if later.is_empty() {
            return (!state.ended.is_empty()).then(|| Arc::clone(&state.ended));
        }
        let mut bitmap = RoaringBitmap::clone(&state.ended);
        for (_, ordinal) in later {
            bitmap.remove(*ordinal);
        }
        (!bitmap.is_empty()).then(|| Arc::new(bitmap))
    }

    /// Number of rows that are not visible at `seq`.
    pub(crate) fn count_at(&self, seq: u64) -> u64 {
        let state = self.state.read();
        state.ended.len() - (state.tail.len() - state.tail_until(seq)) as u64
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let state = self.state.read();
        // A byte of control for each slot, of which one in eight stays free.
        let slots = state.ended_at.capacity() / 7 * 8;
        state.ended.serialized_size()
            + state.tail.capacity() * size_of::<(u64, u32)>()
            + slots * (size_of::<(u32, u64)>() + 1)
    }

    /// Entries newer than `horizon`: ordinal and sequence number.
    pub(crate) fn entries_after(&self, horizon: u64) -> Vec<(u32, u64)> {
        let state = self.state.read();
        state.tail[state.tail_until(horizon)..].iter().map(|(at, o)| (*o, *at)).collect()
    }

    /// Entries up to `horizon` lose their numbers: no snapshot is older, and no record of the
    /// log up to it is replayed any more.
    pub(crate) fn forget(&self, horizon: u64) {
        let is_due = self.state.read().tail.first().is_some_and(|(seq, _)| *seq <= horizon);
        if is_due {
            self.state.write().forget(horizon);
        }
    }

    /// The file with every entry up to `applied_seq`; what is newer is in the log.
    /// Entries up to `horizon` lose their numbers, here as well.
    pub(crate) fn encode(&self, identity: FileIdentity, horizon: u64, applied_seq: u64) -> Vec<u8> {
        let mut state = self.state.write();
        state.forget(horizon.min(applied_seq));
        let applied = state.tail_until(applied_seq);
        let mut base = RoaringBitmap::clone(&state.ended);
        for (_, ordinal) in &state.tail {
            base.remove(*ordinal);
        }
        let mut payload = Vec::new();
        payload.put_u64_le(state.horizon);
        payload.put_u64_le(applied_seq);
        payload.put_u64_le(applied as u64);
        for (at, ordinal) in &state.tail[..applied] {
            payload.put_u32_le(*ordinal);
            payload.put_u64_le(*at);
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

impl State {
    fn push(&mut self, seq: u64, ordinal: u32) {
        // Commits end rows in the order of their numbers, replay may be behind a file.
        let at = match self.tail.last() {
            Some((last, _)) if *last > seq => self.tail_until(seq),
            _ => self.tail.len(),
        };
        self.tail.insert(at, (seq, ordinal));
        self.ended_at.insert(ordinal, seq);
    }

    /// Number of entries of the tail at or before `seq`.
    fn tail_until(&self, seq: u64) -> usize {
        self.tail.partition_point(|(at, _)| *at <= seq)
    }

    /// See [`DeleteVector::forget`].
    fn forget(&mut self, horizon: u64) {
        if horizon < self.horizon {
            return;
        }
        self.horizon = horizon;
        let forgotten = self.tail_until(horizon);
        let left = self.tail.len() - forgotten;
        if left < forgotten {
            self.tail.drain(..forgotten);
            self.ended_at = self.tail.iter().map(|(at, ordinal)| (*ordinal, *at)).collect();
        } else {
            for (_, ordinal) in self.tail.drain(..forgotten) {
                self.ended_at.remove(&ordinal);
            }
        }
        if left < self.tail.capacity() / 4 {
            self.tail.shrink_to(left * 2);
            self.ended_at.shrink_to(left * 2);
        }
    }
}

fn decode_state(mut payload: Bytes, rows: u64) -> Option<State> {
    let horizon = payload.try_get_u64_le().ok()?;
    let _applied_seq = payload.try_get_u64_le().ok()?;
    let count = payload.try_get_u64_le().ok()?;
    let mut tail = Vec::new();
    for _ in 0..count {
        let ordinal = payload.try_get_u32_le().ok()?;
        tail.push((payload.try_get_u64_le().ok()?, ordinal));
    }
    let mut ended = RoaringBitmap::deserialize_from(Cursor::new(payload)).ok()?;
    ended.extend(tail.iter().map(|(_, ordinal)| *ordinal));
    if ended.max().is_some_and(|ordinal| u64::from(ordinal) >= rows) {
        return None;
    }
    tail.sort_unstable();
    let ended_at = tail.iter().map(|(at, ordinal)| (*ordinal, *at)).collect();
    Some(State { ended: Arc::new(ended), horizon, tail, ended_at })
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
    fn rows_end_in_any_order() {
        let deletes = DeleteVector::default();
        deletes.end(1, 30);
        deletes.end_all([(2, 40), (3, 10), (1, 5), (3, 20), (4, 25)]);
        deletes.end_all([]);
        let at = |seq| deletes.at(seq).map(|rows| rows.iter().collect::<Vec<_>>());
        assert_eq!(at(9), None);
        assert_eq!(at(10), Some(vec![3]));
        assert_eq!(at(29), Some(vec![3, 4]));
        assert_eq!((at(30), at(40)), (Some(vec![1, 3, 4]), Some(vec![1, 2, 3, 4])));
        assert_eq!((deletes.count_at(25), deletes.ended(3), deletes.ended(1)), (2, 10, 30));
        assert_eq!(deletes.entries_after(25), [(1, 30), (2, 40)]);
    }

    #[test]
    fn what_is_forgotten_takes_no_memory() {
        let deletes = DeleteVector::default();
        deletes.end_all((0..100_000).map(|i| (i, u64::from(i))));
        let before = deletes.bytes();
        deletes.encode(FileIdentity::default(), 99_000, 99_000);
        assert_eq!((deletes.count_at(99_500), deletes.ended(99_001)), (99_501, 99_001));
        assert!(deletes.bytes() < before / 20, "{before} bytes, then {}", deletes.bytes());
        deletes.forget(100_000);
        assert_eq!((deletes.ended(99_001), deletes.entries_after(0).len()), (100_000, 0));
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
