//! The last chapter: what is on disk, and that it is sound.

use std::path::Path;
use std::time::Instant;

use crate::message::Failure;
use crate::output::grouped;
use crate::tour::guide::Guide;
use crate::verify::write_report;

const TABLES: &str = "\
SELECT table_name, kind, rows, segments, disk_bytes, memtable_rows
FROM sheaf.tables
ORDER BY disk_bytes DESC";

/// Runs the chapter.
pub fn run(guide: &Guide, folder: &Path) -> Result<(), Failure> {
    guide.chapter(
        "7 · on disk",
        "Memtables are flushed, small segments merged, every file read again and checked.",
    );
    guide.code("store.flush(None)?; store.compact(None)?; store.verify()?");
    guide.store().flush(None)?;
    guide.store().compact(None)?;
    guide.query(TABLES, None)?;
    let (files, bytes) = size(folder)?;
    guide.measured(
        "the folder, log and manifest included",
        &format!("{files} files · {} bytes", grouped(bytes)),
    );
    let started = Instant::now();
    let report = guide.store().verify()?;
    write_report(&report, started.elapsed(), &mut std::io::stdout())?;
    if report.problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Other("the database is damaged".into()))
    }
}

/// Files below a folder, and their bytes.
fn size(folder: &Path) -> Result<(u64, u64), Failure> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            let (f, b) = size(&entry.path())?;
            files += f;
            bytes += b;
        } else {
            files += 1;
            bytes += metadata.len();
        }
    }
    Ok((files, bytes))
}
