//! Nodes in key order: one thread at a time links them, any number reads.
//!
//! After W. Pugh, "Skip lists: a probabilistic alternative to balanced trees", with the
//! towers in the nodes, as in the memtables of LevelDB and RocksDB.

use std::cmp::Ordering as CmpOrdering;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::node::{HEIGHT_MAX, Node, NodeRef, Target};

/// See the module's documentation. Its nodes are of one arena that outlives it.
pub(super) struct SkipList {
    head: NodeRef,
    /// Levels in use.
    height: AtomicUsize,
    /// The last node of each level: keys often ascend.
    last: [AtomicPtr<Node>; HEIGHT_MAX],
}

impl SkipList {
    /// `head` has all levels.
    pub(super) fn new(head: NodeRef) -> Self {
        let last = std::array::from_fn(|_| AtomicPtr::new(head.as_ptr()));
        Self { head, height: AtomicUsize::new(1), last }
    }

    fn last_of(&self, level: usize) -> NodeRef {
        NodeRef::from_ptr(self.last[level].load(Ordering::Relaxed)).unwrap_or(self.head)
    }

    /// Whether `node` comes after all that are linked.
    pub(super) fn is_after_all(&self, node: NodeRef) -> bool {
        let last = self.last_of(0);
        last == self.head || last.cmp(&node.place()) == CmpOrdering::Less
    }

    /// Links a node that is not linked yet. Only one thread at a time may do so.
    pub(super) fn link(&self, node: NodeRef) {
        let mut before = [self.head; HEIGHT_MAX];
        if self.is_after_all(node) {
            for (level, before) in before.iter_mut().enumerate() {
                *before = self.last_of(level);
            }
        } else {
            self.search(&node.place(), Some(&mut before));
        }
        let height = node.height();
        self.height.fetch_max(height, Ordering::AcqRel);
        for (level, before) in before.iter().enumerate().take(height) {
            let next = before.next(level).load(Ordering::Relaxed);
            node.next(level).store(next, Ordering::Relaxed);
            // Readers that see the pointer see all of the node.
            before.next(level).store(node.as_ptr(), Ordering::Release);
            if next.is_null() {
                self.last[level].store(node.as_ptr(), Ordering::Relaxed);
            }
        }
    }

    /// The first node that does not come before `target`.
    pub(super) fn seek(&self, target: &Target<'_>) -> Option<NodeRef> {
        NodeRef::from_ptr(self.search(target, None))
    }

    /// The last node that comes before `target`.
    pub(super) fn seek_before(&self, target: &Target<'_>) -> Option<NodeRef> {
        let mut before = [self.head; HEIGHT_MAX];
        self.search(target, Some(&mut before));
        Some(before[0]).filter(|node| *node != self.head)
    }

    /// The last node of all.
    pub(super) fn last(&self) -> Option<NodeRef> {
        let mut node = self.head;
        for level in (0..self.height.load(Ordering::Acquire)).rev() {
            while let Some(next) = NodeRef::from_ptr(node.next(level).load(Ordering::Acquire)) {
                node = next;
            }
        }
        Some(node).filter(|node| *node != self.head)
    }

    /// The first node that does not come before `target`, or null, and per level the
    /// last that does.
    fn search(
        &self,
        target: &Target<'_>,
        mut before: Option<&mut [NodeRef; HEIGHT_MAX]>,
    ) -> *mut Node {
        let mut node = self.head;
        let mut after: *mut Node = std::ptr::null_mut();
        for level in (0..self.height.load(Ordering::Acquire)).rev() {
            loop {
                let next = node.next(level).load(Ordering::Acquire);
                // What came after at the level above was compared there.
                if next == after {
                    break;
                }
                match NodeRef::from_ptr(next) {
                    Some(next) if next.cmp(target) == CmpOrdering::Less => node = next,
                    _ => {
                        after = next;
                        break;
                    }
                }
            }
            if let Some(before) = &mut before {
                before[level] = node;
            }
        }
        after
    }
}
