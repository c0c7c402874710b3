//! What the store tells about itself: sizes, files, jobs, integrity.

use std::sync::Arc;

use sheaf_formats::segment::Encoding;

use crate::Result;
use crate::catalog::TableId;
use crate::compaction;
use crate::partition::Bucket;
use crate::segment::SegmentHandle;
use crate::state::{State, TableState};

/// Sizes of one table.
#[derive(Clone, Debug, Default)]
pub struct TableInfo {
    /// The table.
    pub table: TableId,
    /// Rows visible now.
    pub rows: u64,
    /// Number of segments.
    pub segments: u64,
    /// Bytes of segments and their companions on disk.
    pub disk_bytes: u64,
    /// Rows in memtables.
    pub memtable_rows: u64,
    /// Bytes of memtables.
    pub memtable_bytes: u64,
    /// Rows in segments that are deleted but not yet compacted away.
    pub deleted_rows: u64,
    /// Rows in segments that compaction would rewrite now.
    pub compaction_debt_rows: u64,
}

/// One segment.
#[derive(Clone, Debug)]
pub struct SegmentInfo {
    /// The table.
    pub table: TableId,
    /// File name relative to the database.
    pub path: String,
    /// Start of its time bucket (microseconds UTC), where the table has buckets and the segment lies in one.
    pub bucket_start: Option<i64>,
    /// Rows, deleted ones included.
    pub rows: u64,
    /// Deleted rows.
    pub deleted_rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Smallest sequence number of its rows.
    pub min_seq: u64,
    /// Largest sequence number of its rows.
    pub max_seq: u64,
    /// 0 when flushed, 1 when merged in part, 2 when loaded or merged with all that overlapped it.
    pub level: u32,
    /// Encoding's name.
    pub encoding: &'static str,
}

/// One memtable.
#[derive(Clone, Debug)]
pub struct MemtableInfo {
    /// The table.
    pub table: TableId,
    /// `keyed` or `append`.
    pub kind: &'static str,
    /// True while it takes writes.
    pub active: bool,
    /// Row versions.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Smallest sequence number.
    pub min_seq: u64,
    /// Largest sequence number.
    pub max_seq: u64,
}

/// A finished or running background job.
#[derive(Clone, Debug)]
pub struct JobInfo {
    /// Counts jobs since the database was opened.
    pub id: u64,
    /// `flush`, `compact`, `collect` or `checkpoint`.
    pub kind: &'static str,
    /// The table, where it is about one.
    pub table: Option<TableId>,
    /// Start, microseconds since the Unix epoch.
    pub started_us: i64,
    /// Duration in microseconds; `None` while it runs.
    pub duration_us: Option<u64>,
    /// Why it was done; empty where there was no choice.
    pub reason: &'static str,
    /// Rows read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Bytes of files read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// What went wrong, if anything.
    pub error: Option<String>,
}

/// A time in which writers were slowed or had to wait. Stalls close to each other are one.
#[derive(Clone, Debug)]
pub struct StallInfo {
    /// `slow` or `wait`.
    pub kind: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Start, microseconds since the Unix epoch.
    pub started_us: i64,
    /// End, microseconds since the Unix epoch.
    pub ended_us: i64,
    /// Writes that were held up.
    pub writes: u64,
    /// Microseconds that they were held up for, added up.
    pub stalled_us: u64,
}

/// What [`crate::Store::verify`] looked at and found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Files that were read.
    pub files: u64,
    /// Bytes that were checked.
    pub bytes: u64,
    /// Rows that were decoded.
    pub rows: u64,
    /// Problems, each naming its file. Empty means that all is well.
    pub problems: Vec<String>,
}

pub(crate) fn tables(
    state: &State,
    seq: u64,
    policy: &compaction::Policy,
) -> Result<Vec<TableInfo>> {
    state
        .tables
        .values()
        .map(|table| {
            let mut info = TableInfo { table: table.def.id, ..TableInfo::default() };
            for segment in table.segments.iter().filter(|s| s.meta.min_seq <= seq) {
                let deleted = segment.deletes.count_at(seq);
                info.rows += segment.meta.rows - deleted;
                info.deleted_rows += deleted;
                info.segments += 1;
                info.disk_bytes += segment.disk_bytes();
            }
            for memtable in table.memtables() {
                info.memtable_bytes += memtable.bytes() as u64;
                info.memtable_rows += memtable.rows();
                info.rows += memtable.visible_rows(seq);
            }
            info.compaction_debt_rows = compaction::debt_rows(table, policy)?;
            Ok(info)
        })
        .collect()
}

pub(crate) fn segments(state: &State, seq: u64) -> Vec<SegmentInfo> {
    let of_table = |table: &TableState| {
        let width = table.def.partition.as_ref().map(|p| p.width);
        let info = |segment: &Arc<SegmentHandle>| SegmentInfo {
            table: table.def.id,
            path: segment.path(),
            bucket_start: match (segment.meta.bucket, width) {
                (Bucket::At(number), Some(width)) => Some(width.start_of(number)),
                _ => None,
            },
            rows: segment.meta.rows,
            deleted_rows: segment.deletes.count_at(seq),
            bytes: segment.disk_bytes(),
            min_seq: segment.meta.min_seq,
            max_seq: segment.meta.max_seq,
            level: segment.meta.level,
            encoding: match segment.meta.encoding {
                Encoding::Vortex => "vortex",
                Encoding::Parquet => "parquet",
            },
        };
        table.segments.iter().map(info).collect::<Vec<_>>()
    };
    state.tables.values().flat_map(|table| of_table(table)).collect()
}

pub(crate) fn memtables(state: &State) -> Vec<MemtableInfo> {
    let mut out = Vec::new();
    for table in state.tables.values() {
        for (i, memtable) in table.memtables().enumerate() {
            let (min_seq, max_seq) = memtable.seq_range();
            out.push(MemtableInfo {
                table: table.def.id,
                kind: if table.def.is_keyed() { "keyed" } else { "append" },
                active: i == 0,
                rows: memtable.rows(),
                bytes: memtable.bytes() as u64,
                min_seq: if memtable.is_empty() { 0 } else { min_seq },
                max_seq,
            });
        }
    }
    out
}
