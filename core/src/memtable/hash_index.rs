//! Finds the newest version of a key in a memtable: one slot, one node.
//!
//! Open addressing with linear probing; a slot is a pointer to a node with sixteen bits
//! of the key's hash above it, so that another key is seldom looked at. One writer, any
//! readers. A table that is half full is followed by a larger one; the old one stays for
//! readers that are in it.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};

use parking_lot::Mutex;

use super::node::{Node, NodeRef};

/// Slots of the first table.
const SLOTS_MIN: usize = 256;

/// Bits of a pointer; the tag is above them.
const POINTER_BITS: u32 = 48;

struct Table {
    /// A power of two of them.
    slots: Box<[AtomicPtr<Node>]>,
}

/// See the module's documentation.
pub(super) struct HashIndex {
    current: AtomicPtr<Table>,
    writer: Mutex<Writer>,
}

struct Writer {
    /// All tables that ever were, the current one last.
    tables: Vec<NonNull<Table>>,
    keys: usize,
}

// SAFETY: the tables are the writer's own, and readers only read them.
unsafe impl Send for Writer {}

impl Writer {
    fn current(&self) -> &Table {
        let table = self.tables.last().expect("there is always one");
        // SAFETY: tables live as long as the writer.
        unsafe { table.as_ref() }
    }

    fn add(&mut self, table: Table) -> *mut Table {
        let table = Box::leak(Box::new(table));
        self.tables.push(NonNull::from(&mut *table));
        table
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        for table in self.tables.drain(..) {
            // SAFETY: it was leaked from a box, and readers are gone with the index.
            drop(unsafe { Box::from_raw(table.as_ptr()) });
        }
    }
}

impl Table {
    fn new(slots: usize) -> Self {
        let empty = || AtomicPtr::new(std::ptr::null_mut());
        Self { slots: std::iter::repeat_with(empty).take(slots).collect() }
    }

    /// The slot of `key`, or the empty one where it would be, and what is in it.
    fn slot(&self, key: &[u8], hash: u64) -> (&AtomicPtr<Node>, Option<NodeRef>) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = &self.slots[at];
            let tagged = slot.load(Ordering::Acquire);
            if tagged.is_null() {
                return (slot, None);
            }
            if tag_in(tagged) == tag_of(hash)
                && let Some(node) = NodeRef::from_ptr(untagged(tagged))
                && node.key() == key
            {
                return (slot, Some(node));
            }
            at = (at + 1) & mask;
        }
    }

    fn set(&self, slot: &AtomicPtr<Node>, node: NodeRef, hash: u64) {
        let pointer = node.as_ptr();
        assert!(pointer.addr() >> POINTER_BITS == 0, "an address of more than 48 bits");
        let tag = (tag_of(hash) as usize) << POINTER_BITS;
        slot.store(pointer.map_addr(|address| address | tag), Ordering::Release);
    }
}

fn tag_of(hash: u64) -> u16 {
    (hash >> POINTER_BITS) as u16
}

fn tag_in(tagged: *mut Node) -> u16 {
    (tagged.addr() >> POINTER_BITS) as u16
}

fn untagged(tagged: *mut Node) -> *mut Node {
    tagged.map_addr(|address| address & ((1 << POINTER_BITS) - 1))
}

impl HashIndex {
    /// With room for so many keys before it grows.
    pub(super) fn new(keys: usize) -> Self {
        let slots = (keys * 2).next_power_of_two().max(SLOTS_MIN);
        let mut writer = Writer { tables: Vec::new(), keys: 0 };
        let current = AtomicPtr::new(writer.add(Table::new(slots)));
        Self { current, writer: Mutex::new(writer) }
    }

    /// Bytes of all tables.
    pub(super) fn bytes(&self) -> usize {
        let writer = self.writer.lock();
        // SAFETY: tables live as long as the writer.
        let slots = writer.tables.iter().map(|table| unsafe { table.as_ref() }.slots.len());
        slots.sum::<usize>() * size_of::<AtomicPtr<Node>>()
    }

    /// The newest version of the key, whose hash is `hash`.
    pub(super) fn find(&self, key: &[u8], hash: u64) -> Option<NodeRef> {
        // SAFETY: tables live as long as the index.
        let table = unsafe { &*self.current.load(Ordering::Acquire) };
        table.slot(key, hash).1
    }

    /// Makes `node` the newest version of its key; returns the bytes that the index took for
    /// it. `all` are the nodes so far with their hashes, in the order in which they came.
    pub(super) fn insert<I>(&self, node: NodeRef, hash: u64, all: impl FnOnce() -> I) -> usize
    where
        I: Iterator<Item = (NodeRef, u64)>,
    {
        let mut writer = self.writer.lock();
        let table = writer.current();
        let (slot, before) = table.slot(node.key(), hash);
        table.set(slot, node, hash);
        if before.is_some() {
            return 0;
        }
        let slots = table.slots.len();
        writer.keys += 1;
        if writer.keys * 2 > slots {
            let larger = Table::new(slots * 4);
            for (node, hash) in all() {
                let (slot, _) = larger.slot(node.key(), hash);
                larger.set(slot, node, hash);
            }
            let (slot, _) = larger.slot(node.key(), hash);
            larger.set(slot, node, hash);
            let larger = writer.add(larger);
            self.current.store(larger, Ordering::Release);
            return slots * 4 * size_of::<AtomicPtr<Node>>();
        }
        0
    }

    /// Number of keys.
    pub(super) fn keys(&self) -> usize {
        self.writer.lock().keys
    }
}
