//! A file system in memory that knows what a power cut would leave.
//!
//! Every file has a *live* image, which reads see, and a *durable* one, which
//! follows at [`WriteFile::sync`]; names likewise follow at [`Vfs::sync_dir`].
//! [`MemoryVfs::power_cut`] returns the durable world. [`MemoryVfs::fail_after`]
//! makes a coming write or sync fail once, and the next succeed: the behaviour of
//! Linux that makes a retried fsync a lie.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sheaf_formats::io::{MemoryFile, ReadAt};

use super::{FileLock, LockOutcome, Vfs, WriteFile, parent};

#[derive(Debug, Default)]
struct Node {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// What immutable readers share, made at the first open.
    opened: Option<Bytes>,
    /// Where the durable image may differ from the live one.
    unsynced: Range<usize>,
}

impl Node {
    fn new(live: Vec<u8>, durable: Vec<u8>) -> Self {
        let unsynced = 0..live.len();
        Self { live, durable, opened: None, unsynced }
    }

    fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        self.live[offset..end].copy_from_slice(bytes);
        self.unsynced = match self.unsynced.is_empty() {
            true => offset..end,
            false => self.unsynced.start.min(offset)..self.unsynced.end.max(end),
        };
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        let changed = std::mem::take(&mut self.unsynced);
        self.durable[changed.clone()].copy_from_slice(&self.live[changed]);
    }
}

type NodeRef = Arc<Mutex<Node>>;

#[derive(Debug, Default)]
struct World {
    live: BTreeMap<String, NodeRef>,
    durable: BTreeMap<String, NodeRef>,
    locks: BTreeSet<String>,
    /// Counts down at each write, sync and rename; the operation that reaches zero fails.
    fail_in: Option<u64>,
    operations: u64,
}

impl World {
    fn operation(&mut self) -> io::Result<()> {
        self.operations += 1;
        match &mut self.fail_in {
            Some(0) => {
                self.fail_in = None;
                Err(io::Error::other("injected failure"))
            }
            Some(n) => {
                *n -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// See the module's documentation. Clones share the same world.
#[derive(Clone, Debug, Default)]
pub struct MemoryVfs(Arc<Mutex<World>>);

impl MemoryVfs {
    /// An empty world.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new world that holds what stable storage would hold after a power cut now.
    pub fn power_cut(&self) -> Self {
        let world = self.0.lock();
        let durable: BTreeMap<_, _> = world
            .durable
            .iter()
            .map(|(path, node)| {
                let bytes = node.lock().durable.clone();
                let node = Node::new(bytes.clone(), bytes);
                (path.clone(), Arc::new(Mutex::new(node)))
            })
            .collect();
        let live = durable.clone();
        Self(Arc::new(Mutex::new(World { live, durable, ..World::default() })))
    }

    /// A new world in which every process was killed: what was written is still there,
    /// and what was not synced is still not durable.
    pub fn kill(&self) -> Self {
        let world = self.0.lock();
        let mut live = BTreeMap::new();
        let mut durable = BTreeMap::new();
        for (path, node) in &world.live {
            let before = node.lock();
            let copy = Node::new(before.live.clone(), before.durable.clone());
            let copy = Arc::new(Mutex::new(copy));
            if world.durable.contains_key(path) {
                durable.insert(path.clone(), Arc::clone(&copy));
            }
            live.insert(path.clone(), copy);
        }
        Self(Arc::new(Mutex::new(World { live, durable, ..World::default() })))
    }

    /// Makes the write, sync or rename after the next `operations` ones fail, once.
    pub fn fail_after(&self, operations: u64) {
        self.0.lock().fail_in = Some(operations);
    }

    /// Number of writes, syncs and renames so far.
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// Flips bits of a file in both images: damage on the medium.
    pub fn damage(&self, path: &str, offset: usize, mask: u8) -> io::Result<()> {
        let node = self.node(path)?;
        let mut node = node.lock();
        node.opened = None;
        let byte = node.live.get_mut(offset).ok_or(ErrorKind::UnexpectedEof)?;
        *byte ^= mask;
        node.durable = node.live.clone();
        Ok(())
    }

    fn node(&self, path: &str) -> io::Result<NodeRef> {
        self.0.lock().live.get(path).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Vfs for MemoryVfs {
    fn create_dir_all(&self, _dir: &str) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        let mut world = self.0.lock();
        world.operation()?;
        if world.live.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let node = NodeRef::default();
        world.live.insert(path.to_owned(), Arc::clone(&node));
        Ok(Box::new(MemoryWriter { world: Arc::clone(&self.0), node }))
    }

    fn reopen(&self, path: &str) -> io::Result<Box<dyn WriteFile>> {
        let node = self.node(path)?;
        self.0.lock().operation()?;
        Ok(Box::new(MemoryWriter { world: Arc::clone(&self.0), node }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.0.lock();
        world.operation()?;
        if world.live.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let node = world.live.remove(from).ok_or(ErrorKind::NotFound)?;
        world.live.insert(to.to_owned(), node);
        Ok(())
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn ReadAt>> {
        let node = self.node(path)?;
        let mut node = node.lock();
        let bytes = match &node.opened {
            Some(bytes) => bytes.clone(),
            None => {
                let bytes = Bytes::from(node.live.clone());
                node.opened = Some(bytes.clone());
                bytes
            }
        };
        Ok(Arc::new(MemoryFile::new(path, bytes)))
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        Ok(Bytes::from(self.node(path)?.lock().live.clone()))
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<bool> {
        let mut world = self.0.lock();
        world.operation()?;
        if world.live.contains_key(path) {
            return Ok(false);
        }
        let node = Node::new(bytes.to_vec(), bytes.to_vec());
        let node = Arc::new(Mutex::new(node));
        world.live.insert(path.to_owned(), Arc::clone(&node));
        world.durable.insert(path.to_owned(), node);
        Ok(true)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let world = self.0.lock();
        let names: BTreeSet<String> = world
            .live
            .range(prefix.clone()..)
            .map_while(|(path, _)| path.strip_prefix(&prefix))
            .filter_map(|rest| rest.split('/').next().map(str::to_owned))
            .collect();
        Ok(names.into_iter().collect())
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        self.0.lock().live.remove(path);
        Ok(())
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.0.lock().operation()?;
        let node = self.node(path)?;
        let mut node = node.lock();
        node.live.truncate(len as usize);
        node.durable = node.live.clone();
        node.unsynced = 0..0;
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut world = self.0.lock();
        world.operation()?;
        let in_dir = |path: &String| parent(path) == dir;
        let World { live, durable, .. } = &mut *world;
        durable.retain(|path, _| !in_dir(path) || live.contains_key(path));
        for (path, node) in live.iter().filter(|(path, _)| in_dir(path)) {
            durable.insert(path.clone(), Arc::clone(node));
        }
        Ok(())
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let world = self.0.lock();
        let folder = format!("{path}/");
        let inside = world.live.range(folder.clone()..).next();
        Ok(world.live.contains_key(path) || inside.is_some_and(|(p, _)| p.starts_with(&folder)))
    }

    fn lock(&self, path: &str) -> io::Result<LockOutcome> {
        let mut world = self.0.lock();
        let node = Arc::clone(world.live.entry(path.to_owned()).or_default());
        if !world.locks.insert(path.to_owned()) {
            return Ok(LockOutcome::Held(Bytes::from(node.lock().live.clone())));
        }
        let lock = MemoryLock { world: Arc::clone(&self.0), path: path.to_owned(), node };
        Ok(LockOutcome::Acquired(Box::new(lock)))
    }

    fn holder(&self, path: &str) -> io::Result<Option<Bytes>> {
        let world = self.0.lock();
        let held = world.locks.contains(path).then(|| world.live.get(path)).flatten();
        Ok(held.map(|node| Bytes::from(node.lock().live.clone())))
    }
}

struct MemoryWriter {
    world: Arc<Mutex<World>>,
    node: NodeRef,
}

impl Write for MemoryWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.world.lock().operation()?;
        let mut node = self.node.lock();
        let end = node.live.len();
        node.write_at(end, buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for MemoryWriter {
    fn sync(&mut self) -> io::Result<()> {
        self.world.lock().operation()?;
        self.node.lock().sync();
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.world.lock().operation()?;
        let mut node = self.node.lock();
        node.live.truncate(len as usize);
        let end = node.unsynced.end.min(len as usize);
        node.unsynced = node.unsynced.start.min(end)..end;
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.world.lock().operation()?;
        self.node.lock().write_at(offset as usize, bytes);
        Ok(())
    }
}

struct MemoryLock {
    world: Arc<Mutex<World>>,
    path: String,
    node: NodeRef,
}

impl FileLock for MemoryLock {
    fn publish(&self, bytes: &[u8]) -> io::Result<()> {
        let mut node = self.node.lock();
        if node.live.len() < bytes.len() {
            node.live.resize(bytes.len(), 0);
        }
        node.live[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.world.lock().locks.remove(&self.path);
    }
}
