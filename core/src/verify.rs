//! The integrity check: reads everything, believes nothing.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use sheaf_formats::segment::collect;

use crate::inspect::VerifyReport;
use crate::log::{self, LogPosition};
use crate::row::key_hash;
use crate::segment::{SegmentHandle, Target, adapt};
use crate::snapshot::{Columns, Snapshot};
use crate::state::TableState;
use crate::vfs::Vfs;
use crate::{Error, Result, manifest};

/// Checks manifest, log and every file that the snapshot names.
pub(crate) fn verify(vfs: &dyn Vfs, snapshot: &Snapshot) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    match manifest::verify(vfs) {
        Ok((files, bytes)) => {
            report.files += files;
            report.bytes += bytes;
        }
        Err(error) => report.problems.push(error.to_string()),
    }
    check_log(vfs, &mut report)?;
    for table in snapshot.tables() {
        for segment in &table.segments {
            if let Err(error) = check_segment(table, segment, &mut report) {
                report.problems.push(error.to_string());
            }
        }
        if table.def.is_keyed()
            && let Err(error) =
                snapshot.resolve(table.def.id).and_then(|()| check_live_keys(table, snapshot.seq()))
        {
            report.problems.push(error.to_string());
        }
    }
    Ok(report)
}

fn check_log(vfs: &dyn Vfs, report: &mut VerifyReport) -> Result<()> {
    let files = log::list_files(vfs)?;
    for (i, first_seq) in files.iter().enumerate() {
        let from = LogPosition { first_seq: *first_seq, offset: 0 };
        let mut last = 0;
        let mut problem = None;
        let read = log::read_from(vfs, from, None, |record| {
            if record.seq <= last {
                problem = Some(format!("record {} follows record {last}", record.seq));
            }
            last = record.seq;
            Ok(())
        });
        report.files += 1;
        match read {
            Ok(outcome) => {
                report.bytes += outcome.end;
                // The last file may be written to while it is read.
                if outcome.after > 0 && i + 1 < files.len() {
                    problem = Some(format!("damaged at byte {}", outcome.end));
                }
            }
            Err(error) => problem = Some(error.to_string()),
        }
        if let Some(problem) = problem {
            report.problems.push(format!("{}: {problem}", log::file_path(*first_seq)));
        }
    }
    Ok(())
}

fn check_segment(
    table: &TableState,
    segment: &Arc<SegmentHandle>,
    report: &mut VerifyReport,
) -> Result<()> {
    report.files += segment.paths().len() as u64;
    report.bytes += segment.verify()?;
    let schema = segment.physical_schema();
    let request = sheaf_formats::segment::ScanRequest {
        projection: (0..schema.fields().len()).collect(),
        ordered: true,
        ..Default::default()
    };
    let batches = collect(segment.reader()?.scan(request)?)?;
    let rows: u64 = batches.iter().map(|b| b.num_rows() as u64).sum();
    report.rows += rows;
    if rows != segment.meta.rows {
        return Err(corrupt(segment, format!("it has {rows} rows, not {}", segment.meta.rows)));
    }
    if table.def.is_keyed() {
        check_key_index(table, segment, &batches)?;
        check_row_file(table, segment, &batches)?;
    }
    Ok(())
}

/// Every row's key leads back to the row.
fn check_key_index(
    table: &TableState,
    segment: &Arc<SegmentHandle>,
    batches: &[RecordBatch],
) -> Result<()> {
    let target = Target::new(Arc::clone(&table.def), Columns::Visible);
    let codec = table.def.key_codec()?;
    let mut ordinal = 0;
    for batch in batches {
        let rows = adapt(&target, segment.meta.version, batch)?;
        for key in codec.of_rows(&rows)?.iter() {
            if !segment.find_key(key, key_hash(key))?.contains(&ordinal) {
                let key = codec.describe(&table.def, key);
                return Err(corrupt(
                    segment,
                    format!("row {ordinal} is not in its key index: {key}"),
                ));
            }
            ordinal += 1;
        }
    }
    Ok(())
}

/// Rows beside the columns say what the columns say.
fn check_row_file(
    table: &TableState,
    segment: &Arc<SegmentHandle>,
    batches: &[RecordBatch],
) -> Result<()> {
    let Some(rows) = segment.rows()? else { return Ok(()) };
    if segment.meta.version != table.def.version {
        // The columns of then may be gone; their keys were checked.
        return Ok(());
    }
    let target = Target::new(Arc::clone(&table.def), Columns::Visible);
    let layout = table.def.row_layout()?;
    let mut ordinal = 0;
    for batch in batches {
        let columns = adapt(&target, segment.meta.version, batch)?;
        let (keys, packed) = layout.encode(&columns)?;
        for (key, packed) in keys.iter().zip(packed.iter()) {
            let (row, key_len) = rows.row(ordinal)?;
            if row.split_at(key_len) != (key, packed) {
                return Err(corrupt(
                    segment,
                    format!("row {ordinal} differs between columns and row file"),
                ));
            }
            ordinal += 1;
        }
    }
    Ok(())
}

/// No key is live twice among the segments.
fn check_live_keys(table: &TableState, seq: u64) -> Result<()> {
    let mut live = HashSet::new();
    for segment in &table.segments {
        let ended = segment.deletes.at(seq);
        for (key, ordinal) in segment.all_keys()? {
            if ended.as_ref().is_some_and(|e| e.contains(ordinal)) {
                continue;
            }
            if !live.insert(key.clone()) {
                let key = table.def.key_codec()?.describe(&table.def, &key);
                return Err(corrupt(segment, format!("a key is live twice: {key}")));
            }
        }
    }
    Ok(())
}

fn corrupt(segment: &SegmentHandle, what: String) -> Error {
    Error::Corrupt { file: segment.path(), what }
}
