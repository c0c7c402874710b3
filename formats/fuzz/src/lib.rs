//! What the fuzz targets share: bytes as a file, read to its end.
//!
//! A reader must not panic, must not hang, and must not allocate what a header claims:
//! libFuzzer's limits on time and memory watch over the latter two. Panics of the
//! libraries below count only when a reader lets them through.

use std::io::{self, Cursor, Read};
use std::panic;
use std::sync::{Arc, Once};

use bytes::Bytes;
use sheaf_formats::external::{Dataset, Format, Input, ReadOptions, Rejects, Source};

/// Rows after which a file has shown enough.
const ROWS_MAX: usize = 1 << 20;

/// Reads `bytes` as a file of a format. The first byte chooses options, so that the
/// fuzzer finds them too.
pub fn read(format: Format, bytes: &[u8]) {
    static HOOK: Once = Once::new();
    HOOK.call_once(pass_over_panics_of_libraries);
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let has = |bit: u8| choice & 1 << bit != 0;
    let mut options = ReadOptions {
        format: Some(format),
        threads: 1,
        batch_rows: if has(0) { 3 } else { 1_000 },
        rejects: has(1).then(|| Arc::new(Rejects::new(100))),
        ..ReadOptions::default()
    };
    options.csv.header = has(2).then_some(has(3));
    options.csv.null_padding = has(4);
    options.csv.comment = has(5).then_some(b'#');
    options.csv.escape = has(6).then_some(b'\\');
    let file: Arc<dyn Source> = Arc::new(Memory(Bytes::copy_from_slice(bytes)));
    let Ok(dataset) = Dataset::open(vec![Input::new(file)], &options) else { return };
    let Ok(batches) = dataset.read(None) else { return };
    let mut rows = 0;
    for batch in batches {
        let Ok(batch) = batch else { return };
        assert!(batch.num_rows() <= options.batch_rows);
        rows += batch.num_rows();
        if rows > ROWS_MAX {
            return;
        }
    }
}

/// libFuzzer's hook ends the process at every panic, before anybody can catch it. What
/// is not caught ends the process still.
fn pass_over_panics_of_libraries() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.location().is_none_or(|place| !place.file().contains("/registry/src/")) {
            hook(info);
        }
    }));
}

/// A file in memory.
#[derive(Debug)]
struct Memory(Bytes);

impl Source for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn stream(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0.clone())))
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(len).filter(|&end| end <= self.0.len());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(self.0.slice(start..end))
    }
}
