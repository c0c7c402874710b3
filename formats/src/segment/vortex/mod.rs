//! Segments as Vortex files.
//!
//! Columns lie in the file under their position (`c0`, `c1`, ...), so renaming a
//! column touches no file. Types that Vortex cannot hold are mapped, see
//! [`storage`](super::storage). What prunes and filters, in this order: our zone
//! maps and the delete vector (whole ranges never reach Vortex), Vortex's own
//! statistics per 8192 rows, its evaluation on encoded data, and at last Arrow's
//! kernels for what Vortex cannot say.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use vortex::arrow::ArrowSessionExt;
use vortex::error::VortexError;
use vortex::file::WriteOptionsSessionExt;

use super::storage::StorageMap;
use super::{Effort, Encoding, SegmentFormat, SegmentReader, footer};
use crate::statistics::{SegmentStatistics, StatisticsBuilder};
use crate::{Error, Result, envelope};

mod filter;
mod quick;
mod reader;
mod runtime;
mod sampled;
mod source;
mod thorough;

use reader::VortexSegment;
pub(super) use runtime::block_on;
use runtime::{blocking, session, shared};

/// The Vortex encoding.
pub(super) struct VortexFormat;

impl SegmentFormat for VortexFormat {
    fn check_schema(&self, schema: &SchemaRef) -> Result<()> {
        storage_map(schema).map(drop)
    }

    fn write(
        &self,
        schema: &SchemaRef,
        batches: &mut dyn Iterator<Item = Result<RecordBatch>>,
        effort: Effort,
        mut out: envelope::Writer<Box<dyn Write + Send>>,
    ) -> Result<SegmentStatistics> {
        let storage = storage_map(schema)?;
        let statistics = blocking(|| write_payload(&storage, batches, effort, &mut out))?;
        out.finish(&footer::encode(Encoding::Vortex, schema, &statistics)?)?;
        Ok(statistics)
    }

    fn open(&self, schema: SchemaRef, file: envelope::Reader) -> Result<Arc<dyn SegmentReader>> {
        Ok(Arc::new(open(&schema, file)?))
    }
}

fn open(schema: &SchemaRef, file: envelope::Reader) -> Result<VortexSegment> {
    let statistics = footer::decode(Encoding::Vortex, schema, &file)?;
    let storage = storage_map(schema)?;
    // The bytes passed their checksums, but a reader of files must not be able to end the
    // process.
    let opened = catch_unwind(AssertUnwindSafe(|| source::open(&file)));
    let opened = opened.map_err(|_| Error::Corrupt {
        file: file.name().to_owned(),
        offset: envelope::PAYLOAD_OFFSET,
        what: "the footer of the Vortex payload does not parse".to_owned(),
    })?;
    let vortex = opened.map_err(|e| source::decode_error(file.name(), &e))?;
    VortexSegment::new(file, vortex, storage, statistics)
}

fn storage_map(schema: &SchemaRef) -> Result<StorageMap> {
    StorageMap::new(Encoding::Vortex, schema, field_name)
}

/// The name of a column in the file.
fn field_name(index: usize) -> String {
    format!("c{index}")
}

fn write_payload(
    storage: &StorageMap,
    batches: &mut dyn Iterator<Item = Result<RecordBatch>>,
    effort: Effort,
    out: &mut envelope::Writer<Box<dyn Write + Send>>,
) -> Result<SegmentStatistics> {
    let failed = |error: VortexError| source::encode_error(&error);
    let mut statistics = StatisticsBuilder::new(&storage.logical);
    let dtype = session().arrow().from_arrow_schema(&storage.stored).map_err(failed)?;
    let options = match effort {
        Effort::Quick => session().write_options().with_strategy(quick::strategy()),
        Effort::Thorough => session().write_options().with_strategy(thorough::strategy()),
    };
    let mut writer = options.blocking(shared()).writer(out, dtype);
    for batch in batches {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        statistics.push(&batch)?;
        let stored = storage.to_stored(&batch)?;
        let array =
            session().arrow().from_arrow_record_batch(stored, &storage.stored).map_err(failed)?;
        writer.push(array).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    statistics.finish()
}

#[cfg(test)]
mod tests {
    use std::io;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;
    use crate::envelope::{FileIdentity, FileKind};

    /// Takes so many bytes and no more.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_an_error_of_the_disk() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..100_000).map(|n| n * n)));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let identity = FileIdentity { file_id: 7, ..FileIdentity::default() };
        let disk: Box<dyn Write + Send> = Box::new(Disk(64 << 10));
        let out = envelope::Writer::new(disk, FileKind::Segment, identity).unwrap();
        let batches = &mut std::iter::once(Ok(batch.clone()));
        let error =
            VortexFormat.write(&batch.schema(), batches, Effort::Thorough, out).unwrap_err();
        let Error::Io { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
}
