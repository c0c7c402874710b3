//! Reads the pieces of files on several threads, and gives their batches in order.
//!
//! ```text
//!   Pieces --(one at a time)--> worker ─┐  slot k     [batch batch …]  <- the reader
//!                               worker ─┘  slot k+1   [batch …]
//! ```
//!
//! Each piece has a slot of bounded size, and there is a bounded number of slots: a
//! reader that does not come stops the workers, whatever the size of the files.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;

use super::Batches;
use crate::{Error, Result};

/// Takes a batch; false when nobody wants more.
pub(super) type Emit<'a> = &'a mut dyn FnMut(RecordBatch) -> bool;

/// Some rows of a file, ready to be parsed on any thread.
pub(super) type Piece = Box<dyn FnOnce(Emit<'_>) -> Result<()> + Send>;

/// Cuts files into pieces. Called by one thread at a time, whichever is free.
pub(super) trait Pieces: Send {
    /// The next piece in the order of the rows.
    fn next_piece(&mut self) -> Result<Option<Piece>>;
}

/// Bytes of batches that may wait in a slot.
const SLOT_BYTES_MAX: usize = 32 << 20;

struct Slot {
    batches: VecDeque<RecordBatch>,
    bytes: usize,
    /// Set when the piece has been read.
    result: Option<Result<()>>,
}

#[derive(Default)]
struct State {
    /// Slots of the pieces that are being read or wait to be taken, in order.
    slots: VecDeque<Slot>,
    /// Number of the first slot.
    first: usize,
    /// There are no more pieces.
    ended: bool,
    /// Nobody wants more batches.
    stopped: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pieces: Mutex<Box<dyn Pieces>>,
    slots_max: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece and the number of its slot, when there is room for one.
    fn next_piece(&self) -> Option<(usize, Piece)> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        while state.slots.len() >= self.slots_max && !state.stopped {
            state = self.wait(state);
        }
        if state.ended || state.stopped {
            return None;
        }
        drop(state);
        let next = guarded(|| pieces.next_piece());
        let mut state = self.state();
        let mut slot = Slot { batches: VecDeque::new(), bytes: 0, result: None };
        let piece = match next {
            Ok(Some(piece)) => Some(piece),
            Ok(None) => {
                state.ended = true;
                self.changed.notify_all();
                return None;
            }
            Err(error) => {
                state.ended = true;
                slot.result = Some(Err(error));
                None
            }
        };
        state.slots.push_back(slot);
        let number = state.first + state.slots.len() - 1;
        self.changed.notify_all();
        piece.map(|piece| (number, piece))
    }

    fn emit(&self, number: usize, batch: RecordBatch) -> bool {
        if batch.num_rows() == 0 {
            return !self.state().stopped;
        }
        let bytes = batch.get_array_memory_size();
        let mut state = self.state();
        loop {
            if state.stopped {
                return false;
            }
            let index = number - state.first;
            if state.slots[index].bytes == 0 || state.slots[index].bytes + bytes <= SLOT_BYTES_MAX {
                let slot = &mut state.slots[index];
                slot.bytes += bytes;
                slot.batches.push_back(batch);
                self.changed.notify_all();
                return true;
            }
            state = self.wait(state);
        }
    }

    fn work(&self) {
        while let Some((number, piece)) = self.next_piece() {
            let result = guarded(|| piece(&mut |batch| self.emit(number, batch)));
            let mut state = self.state();
            if state.stopped {
                return;
            }
            let index = number - state.first;
            state.slots[index].result = Some(result);
            self.changed.notify_all();
        }
    }
}

/// The rows of all pieces in their order. After an error there are no more.
pub(super) fn read(pieces: Box<dyn Pieces>, threads: usize) -> Batches {
    let threads = threads.max(1);
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        changed: Condvar::new(),
        pieces: Mutex::new(pieces),
        slots_max: threads + 1,
    });
    for _ in 0..threads {
        let shared = Arc::clone(&shared);
        let work = move || shared.work();
        if let Err(source) = std::thread::Builder::new().name("sheaf-files".into()).spawn(work) {
            let error = Error::Io { file: "a thread to read files".to_owned(), source };
            return Box::new(std::iter::once(Err(error)));
        }
    }
    Box::new(Ordered { shared })
}

struct Ordered {
    shared: Arc<Shared>,
}

impl Iterator for Ordered {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut state = self.shared.state();
        loop {
            if state.stopped {
                return None;
            }
            let ended = state.ended;
            let Some(slot) = state.slots.front_mut() else {
                if ended {
                    return None;
                }
                state = self.shared.wait(state);
                continue;
            };
            if let Some(batch) = slot.batches.pop_front() {
                slot.bytes -= batch.get_array_memory_size().min(slot.bytes);
                self.shared.changed.notify_all();
                return Some(Ok(batch));
            }
            match slot.result.take() {
                Some(Ok(())) => {
                    state.slots.pop_front();
                    state.first += 1;
                    self.shared.changed.notify_all();
                    continue;
                }
                Some(Err(error)) => {
                    state.stopped = true;
                    self.shared.changed.notify_all();
                    return Some(Err(error));
                }
                None => {}
            }
            state = self.shared.wait(state);
        }
    }
}

impl Drop for Ordered {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.changed.notify_all();
    }
}

/// A decoder that panics on bytes from outside is an error like any other.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let panic: &(dyn Any + Send) = &*panic;
        let message = panic
            .downcast_ref::<&str>()
            .map(|message| (*message).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(Error::Invalid(format!("a file does not decode: {message}")))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    /// Piece `n` has `n % 5` batches of one row that say `n`.
    struct Counting {
        next: i64,
        count: i64,
        fails_at: i64,
        made: Arc<AtomicUsize>,
    }

    impl Pieces for Counting {
        fn next_piece(&mut self) -> Result<Option<Piece>> {
            if self.next == self.count {
                return Ok(None);
            }
            let (number, fails) = (self.next, self.next == self.fails_at);
            self.next += 1;
            self.made.fetch_add(1, Ordering::Relaxed);
            Ok(Some(Box::new(move |emit| {
                for _ in 0..number % 5 {
                    let column: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![number]));
                    if !emit(RecordBatch::try_from_iter([("n", column)])?) {
                        return Ok(());
                    }
                }
                match fails {
                    true => panic!("bad bytes"),
                    false => Ok(()),
                }
            })))
        }
    }

    fn counting(count: i64, fails_at: i64) -> (Box<Counting>, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        (Box::new(Counting { next: 0, count, fails_at, made: Arc::clone(&made) }), made)
    }

    fn number(batch: &RecordBatch) -> i64 {
        batch.column(0).as_primitive::<Int64Type>().value(0)
    }

    #[test]
    fn batches_come_in_order_whatever_the_threads() {
        for threads in [1, 2, 7] {
            let numbers: Vec<i64> =
                read(counting(200, -1).0, threads).map(|b| number(&b.unwrap())).collect();
            let expected: Vec<i64> =
                (0..200).flat_map(|n| std::iter::repeat_n(n, (n % 5) as usize)).collect();
            assert_eq!(numbers, expected);
        }
    }

    #[test]
    fn an_error_comes_after_the_rows_before_it_and_ends_all() {
        let results: Vec<Result<RecordBatch>> = read(counting(200, 7).0, 3).collect();
        assert_eq!(results.iter().filter(|r| r.is_err()).count(), 1);
        assert!(results.last().unwrap().as_ref().unwrap_err().to_string().contains("bad bytes"));
        assert_eq!(results.len(), (0..=7).map(|n| n % 5).sum::<usize>() + 1);
    }

    #[test]
    fn a_reader_that_does_not_come_stops_the_workers() {
        let (pieces, made) = counting(1_000_000, -1);
        let mut batches = read(pieces, 2);
        assert_eq!(number(&batches.next().unwrap().unwrap()), 1);
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(made.load(Ordering::Relaxed) < 10);
    }
}
