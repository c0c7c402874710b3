//! Appending to the log, one group at a time.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use sheaf_formats::envelope::FileIdentity;

use super::format::{FrameKind, HEADER_LEN, encode_header, file_path, push_frame};
use super::{Record, SpareFiles};
use crate::catalog::TableId;
use crate::vfs::{Vfs, WriteFile};
use crate::{Error, Result};

/// A file grows by as many zeros as it holds, within these bounds. The records that are
/// then written over them change neither its length nor its blocks, so that a sync has
/// nothing but their bytes to write.
const RESERVE_MIN: u64 = 16 << 10;
const RESERVE_MAX: u64 = 1 << 20;

/// A larger group is followed by no zeros: it changes the file's blocks anyway.
const RESERVED_GROUP_MAX: u64 = 256 << 10;

/// What one log file holds, so that it can be deleted once it is not needed (I6).
#[derive(Clone, Debug, Default)]
pub(crate) struct LogFileInfo {
    pub path: String,
    pub bytes: u64,
    /// The largest sequence number per table.
    pub tables: HashMap<TableId, u64>,
}

impl LogFileInfo {
    pub(crate) fn note(&mut self, record: &Record) {
        for change in &record.changes {
            let seq = self.tables.entry(change.table).or_default();
            *seq = record.seq.max(*seq);
        }
    }
}

/// The end of the log. Used by the committer alone.
pub(crate) struct LogWriter {
    vfs: Arc<dyn Vfs>,
    file: Box<dyn WriteFile>,
    spares: SpareFiles,
    info: LogFileInfo,
    file_id: u128,
    first_seq: u64,
    /// Where the next frame goes.
    offset: u64,
    /// Everything before this offset is on stable storage.
    durable: u64,
    /// The length of the file: zeros, or what is left of an older file, from `offset` on.
    reserved: u64,
    group: Vec<u8>,
}

impl LogWriter {
    /// Starts the file for records from `first_seq` on.
    pub(crate) fn create(
        vfs: Arc<dyn Vfs>,
        mut spares: SpareFiles,
        identity: FileIdentity,
        first_seq: u64,
    ) -> Result<Self> {
        let path = file_path(first_seq);
        let (file, reserved) = start_file(vfs.as_ref(), &mut spares, identity, first_seq)?;
        Ok(Self {
            vfs,
            file,
            spares,
            info: LogFileInfo { path, bytes: HEADER_LEN, ..LogFileInfo::default() },
            file_id: identity.file_id,
            first_seq,
            offset: HEADER_LEN,
            durable: HEADER_LEN,
            reserved,
            group: Vec::new(),
        })
    }

    /// Adds a record to the group that [`Self::write_group`] will write.
    pub(crate) fn push(&mut self, record: &Record) {
        if self.group.is_empty() {
            let mark = self.durable.to_le_bytes();
            push_frame(&mut self.group, self.file_id, self.offset, FrameKind::Mark, |out| {
                out.extend_from_slice(&mark);
            });
        }
        // The larger the record, the dearer it is to move it while it grows.
        self.group.reserve(record.payload_bytes());
        let at = self.offset + self.group.len() as u64;
        push_frame(&mut self.group, self.file_id, at, FrameKind::Record, |out| {
            record.encode(out);
        });
        self.info.note(record);
    }

    /// Bytes of the group so far.
    pub(crate) fn group_bytes(&self) -> usize {
        self.group.len()
    }

    /// Hands the group to the operating system.
    pub(crate) fn write_group(&mut self) -> Result<()> {
        let bytes = self.group.len() as u64;
        let end = self.offset + bytes;
        if end > self.reserved {
            let room = if bytes > RESERVED_GROUP_MAX { 0 } else { RESERVE_MAX };
            self.reserved = end + end.clamp(RESERVE_MIN.min(room), room);
            self.group.resize((self.reserved - self.offset) as usize, 0);
        }
        let written = self.file.write_at(self.offset, &self.group);
        // Also after a failure: nothing writes it again, and nobody waits for it.
        self.group.clear();
        // One huge group should not hold its memory for ever.
        self.group.shrink_to(1 << 20);
        written.map_err(|source| Error::Io { path: self.info.path.clone(), source })?;
        self.offset = end;
        self.info.bytes = self.offset;
        Ok(())
    }

    /// Makes everything written so far durable: one fdatasync.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if self.durable < self.offset {
            let path = &self.info.path;
            self.file.sync().map_err(|source| Error::Io { path: path.clone(), source })?;
            self.durable = self.offset;
        }
        Ok(())
    }

    /// Whether something written is not durable yet.
    pub(crate) fn is_dirty(&self) -> bool {
        self.durable < self.offset
    }

    /// First sequence number of the file and the offset up to which it is durable.
    pub(crate) fn durable_position(&self) -> (u64, u64) {
        (self.first_seq, self.durable)
    }

    /// Bytes of the current file.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.offset
    }

    /// Syncs the current file and goes on in a new one; returns what the old holds.
    /// Names ascend also when a file saw no record at all.
    pub(crate) fn rotate(&mut self, identity: FileIdentity, next_seq: u64) -> Result<LogFileInfo> {
        // Whatever comes after the records of a file that another follows is damage.
        let cut = self.file.set_len(self.offset).and_then(|()| self.file.sync());
        cut.map_err(|source| Error::Io { path: self.info.path.clone(), source })?;
        self.durable = self.offset;
        let first_seq = next_seq.max(self.first_seq + 1);
        let next = start_file(self.vfs.as_ref(), &mut self.spares, identity, first_seq)?;
        (self.file, self.reserved) = next;
        (self.file_id, self.first_seq) = (identity.file_id, first_seq);
        (self.offset, self.durable) = (HEADER_LEN, HEADER_LEN);
        let path = file_path(first_seq);
        let info = LogFileInfo { path, bytes: HEADER_LEN, ..LogFileInfo::default() };
        Ok(std::mem::replace(&mut self.info, info))
    }

    /// Takes a file that nothing needs any more out of the log.
    pub(crate) fn retire(&mut self, info: &LogFileInfo) -> Result<()> {
        self.spares.retire(info)
    }

    /// Makes everything durable and clears up.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.sync()?;
        self.spares.delete_all()
    }

    /// What the current file holds.
    pub(crate) fn info(&self) -> &LogFileInfo {
        &self.info
    }
}

/// A file that has a header and its name, durably, and its length.
fn start_file(
    vfs: &dyn Vfs,
    spares: &mut SpareFiles,
    identity: FileIdentity,
    first_seq: u64,
) -> Result<(Box<dyn WriteFile>, u64)> {
    let path = file_path(first_seq);
    let fail = |source: io::Error| Error::Io { path: path.clone(), source };
    let header = encode_header(identity, first_seq);
    debug_assert_eq!(header.len() as u64, HEADER_LEN);
    let reused = spares.take()?;
    let (mut file, spare, reserved) = match reused {
        Some(reused) => (reused.file, Some(reused.path), reused.bytes),
        None => (vfs.create(&path).map_err(fail)?, None, HEADER_LEN),
    };
    file.write_at(0, &header).map_err(fail)?;
    file.sync().map_err(fail)?;
    if let Some(spare) = spare {
        vfs.rename(&spare, &path).map_err(fail)?;
    }
    vfs.sync_dir("wal").map_err(fail)?;
    Ok((file, reserved))
}
