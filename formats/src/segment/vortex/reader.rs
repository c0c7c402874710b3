//! Scans and takes rows from an open Vortex segment.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef as ArrowArrayRef, BooleanArray, RecordBatch, RecordBatchOptions,
    new_empty_array,
};
use arrow::compute::{concat_batches, filter, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use roaring::{RoaringBitmap, RoaringTreemap};
use rustc_hash::FxHashMap;
use vortex::array::arrays::StructArray;
use vortex::array::arrays::struct_::StructArrayExt;
use vortex::array::builders::builder_with_capacity_in;
use vortex::array::{ArrayRef, ExecutionCtx, VortexSessionExecute};
use vortex::arrow::ArrowSessionExt;
use vortex::buffer::Buffer;
use vortex::dtype::{DType, Nullability};
use vortex::error::VortexResult;
use vortex::expr::{BoundExpression, Expression, col, pack};
use vortex::file::VortexFile;
use vortex::layout::LayoutReader;
use vortex::layout::scan::scan_builder::ScanBuilder;
use vortex::mask::Mask;
use vortex::scan::selection::Selection;
use vortex::scan::strict_sorted_buffer::StrictSortedBuffer;

use super::field_name;
use super::filter::split;
use super::runtime::{drive, session};
use super::source::{decode_error, into_vortex};
use crate::predicate::Predicate;
use crate::segment::selection::{RowSelection, check_ordinals, check_projection};
use crate::segment::storage::StorageMap;
use crate::segment::{BatchStream, ScanRequest, SegmentReader};
use crate::statistics::SegmentStatistics;
use crate::{Error, Result, envelope};

/// Rows per batch where only their number is asked for.
const COUNT_BATCH_ROWS: u64 = 1 << 20;

/// So many expressions may be evaluated by one tree of readers.
const EXPRESSIONS_MAX: usize = 256;

/// An open segment. The tree of readers, with decoded dictionaries and Vortex's
/// own zone maps, is shared by scans.
pub(super) struct VortexSegment {
    file: envelope::Reader,
    vortex: VortexFile,
    readers: Mutex<Readers>,
    storage: Arc<StorageMap>,
    statistics: Arc<SegmentStatistics>,
}

/// A tree of readers. It keeps something of every expression that it has seen, by the identity
/// of the bound expression and for as long as it lives: so projections are bound once, and after
/// many expressions another tree is built.
struct Readers {
    layout: Arc<dyn LayoutReader>,
    /// By the columns that they pack.
    projections: FxHashMap<Vec<usize>, BoundExpression>,
    /// Expressions that the tree has seen.
    seen: usize,
}

impl Readers {
    fn new(vortex: &VortexFile) -> VortexResult<Self> {
        let layout = vortex.layout_reader()?;
        Ok(Self { layout, projections: FxHashMap::default(), seen: 0 })
    }
}

impl VortexSegment {
    pub(super) fn new(
        file: envelope::Reader,
        vortex: VortexFile,
        storage: StorageMap,
        statistics: Arc<SegmentStatistics>,
    ) -> Result<Self> {
        let refuse = |what: String| Error::Incompatible { file: file.name().to_owned(), what };
        let expected = session()
            .arrow()
            .from_arrow_schema(&storage.stored)
            .map_err(|e| refuse(e.to_string()))?;
        if !expected.eq_ignore_nullability(vortex.dtype()) {
            return Err(refuse(format!(
                "its columns are {} where the table has {expected}",
                vortex.dtype()
            )));
        }
        if vortex.row_count() != statistics.rows {
            return Err(Error::Corrupt {
                file: file.name().to_owned(),
                offset: envelope::PAYLOAD_OFFSET,
                what: format!(
                    "the payload has {} rows and the footer says {}",
                    vortex.row_count(),
                    statistics.rows
                ),
            });
        }
        let readers = Readers::new(&vortex).map_err(|e| decode_error(file.name(), &e))?;
        let readers = Mutex::new(readers);
        Ok(Self { file, vortex, readers, storage: Arc::new(storage), statistics })
    }

    /// What scans the stored columns `columns`; with a filter, of rows that pass it.
    fn scan_of(
        &self,
        columns: &[usize],
        filter: Option<BoundExpression>,
    ) -> VortexResult<ScanBuilder<ArrayRef>> {
        let mut readers = self.readers.lock();
        if readers.seen >= EXPRESSIONS_MAX {
            *readers = Readers::new(&self.vortex)?;
        }
        readers.seen += usize::from(filter.is_some());
        let projection = match readers.projections.get(columns) {
            Some(projection) => projection.clone(),
            None => {
                let bound = packed(columns).bind(self.vortex.dtype())?.optimize_recursive()?;
                readers.seen += 1;
                readers.projections.insert(columns.to_vec(), bound.clone());
                bound
            }
        };
        Ok(ScanBuilder::new(session().clone(), Arc::clone(&readers.layout))
            .with_projection(projection)
            .with_some_filter(filter))
    }

    fn error(&self, error: &vortex::error::VortexError) -> Error {
        decode_error(self.file.name(), error)
    }

    fn count_only(&self, selection: &RowSelection, limit: Option<u64>) -> Result<BatchStream> {
        let schema = self.storage.projected(&[])?;
        let rows = selection.len().min(limit.unwrap_or(u64::MAX));
        let batches = (0..rows.div_ceil(COUNT_BATCH_ROWS)).map(move |index| {
            let len = (rows - index * COUNT_BATCH_ROWS).min(COUNT_BATCH_ROWS) as usize;
            let options = RecordBatchOptions::new().with_row_count(Some(len));
            Ok(RecordBatch::try_new_with_options(schema.clone(), Vec::new(), &options)?)
        });
        Ok(stream::iter(batches).boxed())
    }
}

impl SegmentReader for VortexSegment {
    fn schema(&self) -> &SchemaRef {
        &self.storage.logical
    }

    fn rows(&self) -> u64 {
        self.statistics.rows
    }

    fn statistics(&self) -> &Arc<SegmentStatistics> {
        &self.statistics
    }

    fn scan(&self, request: ScanRequest) -> Result<BatchStream> {
        check_projection(&request.projection, self.storage.logical.fields().len())?;
        let selection = RowSelection::of(&request, &self.statistics);
        if selection.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let Some(predicate) = request.predicate else {
            if request.projection.is_empty() {
                return self.count_only(&selection, request.limit);
            }
            return self.decode(
                selection,
                &request.projection,
                None,
                None,
                request.limit,
                request.ordered,
            );
        };
        let split = split(predicate, &self.storage, self.vortex.dtype());
        let (native, residual) = (split.native, split.residual);
        self.decode(
            selection,
            &request.projection,
            native,
            residual,
            request.limit,
            request.ordered,
        )
    }

    fn take(&self, ordinals: &[u64], projection: &[usize]) -> Result<RecordBatch> {
        check_projection(projection, self.storage.logical.fields().len())?;
        check_ordinals(ordinals, self.statistics.rows)?;
        let output = Output::new(&self.storage, projection, None)?;
        if ordinals.is_empty() {
            return Ok(RecordBatch::new_empty(output.schema));
        }
        if projection.is_empty() {
            let options = RecordBatchOptions::new().with_row_count(Some(ordinals.len()));
            return Ok(RecordBatch::try_new_with_options(output.schema, Vec::new(), &options)?);
        }
        let schema = output.schema.clone();
        let read = || -> VortexResult<Vec<RecordBatch>> {
            let scan = self.scan_of(&output.columns, None)?;
            // A range, as of one row, is cut out of its chunk without looking at the others.
            let scan = match neighbours(ordinals) {
                Some(range) => scan.with_row_range(range),
                None => {
                    scan.with_row_indices(StrictSortedBuffer::try_new(Buffer::copy_from(ordinals))?)
                }
            };
            // Nothing is spawned: the tasks are driven one after the other right here.
            let tasks = scan.map(move |chunk| output.batch(chunk)).build()?;
            drive(async {
                let mut batches = Vec::with_capacity(tasks.len());
                for task in tasks {
                    batches.extend(task.await?);
                }
                Ok(batches)
            })
        };
        let mut batches = read().map_err(|e| self.error(&e))?;
        let batch = match batches.len() {
            1 => batches.remove(0),
            _ => concat_batches(&schema, &batches)?,
        };
        if batch.num_rows() != ordinals.len() {
            return Err(Error::Corrupt {
                file: self.file.name().to_owned(),
                offset: envelope::PAYLOAD_OFFSET,
                what: format!("{} rows were found of {}", batch.num_rows(), ordinals.len()),
            });
        }
        Ok(batch)
    }

    fn verify(&self) -> Result<u64> {
        let checked = self.file.verify_all()?;
        // Checksums say that the bytes are what was written; decoding them all says
        // that what was written makes sense.
        let projection = (0..self.storage.logical.fields().len()).collect();
        let request = ScanRequest { projection, ..ScanRequest::default() };
        let rows = super::block_on(
            self.scan(request)?
                .try_fold(0, |sum, batch| async move { Ok(sum + batch.num_rows() as u64) }),
        )?;
        if rows != self.statistics.rows {
            return Err(Error::Corrupt {
                file: self.file.name().to_owned(),
                offset: envelope::PAYLOAD_OFFSET,
                what: format!("{rows} rows decode where {} were written", self.statistics.rows),
            });
        }
        Ok(checked)
    }
}

impl VortexSegment {
    fn decode(
        &self,
        selection: RowSelection,
        projection: &[usize],
        native: Option<BoundExpression>,
        residual: Option<Predicate>,
        limit: Option<u64>,
        ordered: bool,
    ) -> Result<BatchStream> {
        let has_residual = residual.is_some();
        let output = Output::new(&self.storage, projection, residual)?;
        let builder = self.scan_of(&output.columns, native).map_err(|e| self.error(&e))?;
        let mut builder = builder.with_ordered(ordered);
        let hull = selection.hull();
        if hull != (0..self.statistics.rows) {
            builder = builder.with_row_range(hull);
        }
        if let Some(excluded) = excluded(&selection) {
            builder = builder.with_selection(Selection::ExcludeRoaring(excluded));
        }
        // Rows that only the residual drops must not use up the limit.
        if !has_residual {
            builder = builder.with_some_limit(limit);
        }
        let name = self.file.name().to_owned();
        let batches = builder
            .map(move |chunk| output.batch(chunk))
            .into_stream()
            .map_err(|e| self.error(&e))?
            .map_err(move |e| decode_error(&name, &e))
            .try_filter(|batch| std::future::ready(batch.num_rows() > 0));
        Ok(match limit {
            Some(limit) if has_residual => limited(batches.boxed(), limit),
            _ => batches.boxed(),
        })
    }
}

/// The range that ascending ordinals are, if nothing is missing between them.
fn neighbours(ordinals: &[u64]) -> Option<Range<u64>> {
    let (&first, &last) = (ordinals.first()?, ordinals.last()?);
    (last - first == ordinals.len() as u64 - 1).then_some(first..last + 1)
}

/// The stored columns `columns`, and nothing else.
fn packed(columns: &[usize]) -> Expression {
    let fields = columns.iter().map(|&column| (field_name(column), col(field_name(column))));
    pack(fields, Nullability::NonNullable)
}

/// The delete vector and what zone maps left out between the first and the last row.
fn excluded(selection: &RowSelection) -> Option<RoaringTreemap> {
    let mut gaps = selection.gaps().peekable();
    if selection.excluded.is_none() && gaps.peek().is_none() {
        return None;
    }
    let bitmap = selection.excluded.as_deref().cloned().unwrap_or_else(RoaringBitmap::new);
    let mut all = RoaringTreemap::from_bitmaps([(0, bitmap)]);
    for gap in gaps {
        all.insert_range(gap);
    }
    Some(all)
}

fn limited(batches: BatchStream, limit: u64) -> BatchStream {
    stream::try_unfold((batches, limit), |(mut batches, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let Some(batch) = batches.try_next().await? else {
            return Ok(None);
        };
        let take = left.min(batch.num_rows() as u64);
        Ok(Some((batch.slice(0, take as usize), (batches, left - take))))
    })
    .boxed()
}

/// Texts, decoded by appending them to an empty builder. To decode an array of them, Vortex
/// unpacks the codes of the whole chunk that it was cut out of; to append it, only its own.
fn appended(texts: &ArrayRef, context: &mut ExecutionCtx) -> VortexResult<ArrayRef> {
    let mut builder = builder_with_capacity_in(texts.dtype(), texts.len(), context.allocator());
    texts.append_to_builder(builder.as_mut(), context)?;
    Ok(builder.finish())
}

/// Turns chunks as they lie in the file into batches of the exact types.
struct Output {
    storage: Arc<StorageMap>,
    schema: SchemaRef,
    /// Columns that are read, each once.
    columns: Vec<usize>,
    /// Where each output column lies among those that are read.
    positions: Vec<usize>,
    residual: Option<Residual>,
}

/// What Vortex could not evaluate.
struct Residual {
    /// Where its columns lie among those that are read.
    positions: Vec<usize>,
    schema: SchemaRef,
    /// Over its own columns.
    predicate: Predicate,
}

/// Above this share of rows, decoding them all and copying those that are wanted is
/// cheaper than decoding only those.
const SPARSE_MAX: f64 = 0.4;

/// Up to so many texts are decoded by themselves.
const FEW: usize = 64;

impl Output {
    fn new(
        storage: &Arc<StorageMap>,
        projection: &[usize],
        residual: Option<Predicate>,
    ) -> Result<Self> {
        let filtered = residual.as_ref().map(Predicate::columns).unwrap_or_default();
        let columns: BTreeSet<usize> = projection.iter().copied().chain(filtered.clone()).collect();
        let columns: Vec<usize> = columns.into_iter().collect();
        check_projection(&columns, storage.logical.fields().len())?;
        let position = |column: usize| columns.partition_point(|&other| other < column);
        let residual = residual
            .map(|predicate| -> Result<_> {
                let own: Vec<usize> = filtered.into_iter().collect();
                Ok(Residual {
                    positions: own.iter().map(|&column| position(column)).collect(),
                    schema: storage.projected(&own)?,
                    predicate: predicate
                        .map_columns(&|column| own.partition_point(|&other| other < column)),
                })
            })
            .transpose()?;
        Ok(Self {
            storage: storage.clone(),
            schema: storage.projected(projection)?,
            positions: projection.iter().map(|&column| position(column)).collect(),
            residual,
            columns,
        })
    }

    /// Decodes a chunk. Columns of the residual come first; of the others only what
    /// it lets pass is decoded.
    fn batch(&self, chunk: ArrayRef) -> VortexResult<RecordBatch> {
        let rows = chunk.len();
        if self.columns.is_empty() {
            return self.finish(Vec::new(), rows);
        }
        let mut context = session().create_execution_ctx();
        let chunk = chunk.execute::<StructArray>(&mut context)?;
        let mut decode = |position: usize, kept: Option<&Mask>| {
            let array = chunk.unmasked_field(position);
            let array =
                kept.map_or_else(|| Ok(array.clone()), |kept| array.filter(kept.clone()))?;
            let column = self.columns[position];
            let target = &self.storage.stored.fields()[column];
            let array = match array.dtype() {
                DType::Utf8(_) | DType::Binary(_) if array.len() <= FEW => {
                    appended(&array, &mut context)?
                }
                _ => array,
            };
            let decoded = session().arrow().execute_arrow(array, Some(target), &mut context)?;
            self.storage.to_logical(column, &decoded).map_err(into_vortex)
        };
        let Some(residual) = &self.residual else {
            let columns = self.positions.iter().map(|&position| decode(position, None));
            return self.finish(columns.collect::<VortexResult<_>>()?, rows);
        };
        let own: Vec<ArrowArrayRef> = residual
            .positions
            .iter()
            .map(|&position| decode(position, None))
            .collect::<VortexResult<_>>()?;
        let passes = residual.passes(&own, rows).map_err(into_vortex)?;
        let kept = passes.true_count();
        let sparse = (kept as f64) < rows as f64 * SPARSE_MAX;
        let mask = Mask::from_buffer(passes.values().clone().into());
        let columns = self.positions.iter().map(|&position| {
            if kept == 0 {
                let data_type = self.storage.logical.field(self.columns[position]).data_type();
                return Ok(new_empty_array(data_type));
            }
            let decoded = match residual.positions.iter().position(|&own| own == position) {
                Some(at) => own[at].clone(),
                None if sparse => return decode(position, Some(&mask)),
                None => decode(position, None)?,
            };
            match kept == rows {
                true => Ok(decoded),
                false => filter(&decoded, &passes).map_err(|error| into_vortex(error.into())),
            }
        });
        self.finish(columns.collect::<VortexResult<_>>()?, kept)
    }

    fn finish(&self, columns: Vec<ArrowArrayRef>, rows: usize) -> VortexResult<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| into_vortex(error.into()))
    }
}

impl Residual {
    /// Which rows pass; never NULL.
    fn passes(&self, columns: &[ArrowArrayRef], rows: usize) -> Result<BooleanArray> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch =
            RecordBatch::try_new_with_options(self.schema.clone(), columns.to_vec(), &options)?;
        let passes = self.predicate.evaluate(&batch)?;
        Ok(if passes.null_count() > 0 { prep_null_mask_filter(&passes) } else { passes })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use arrow::array::{AsArray, Int64Array, Scalar};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::envelope::{FileIdentity, FileKind};
    use crate::io::MemoryFile;
    use crate::predicate::CompareOp;
    use crate::segment::vortex::{VortexFormat, open};
    use crate::segment::{Effort, SegmentFormat, collect};

    /// The numbers from 0 on, in two columns.
    fn segment() -> VortexSegment {
        let numbers: ArrowArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
        let batch = RecordBatch::try_from_iter([("a", numbers.clone()), ("b", numbers)]).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let out: Box<dyn Write + Send> = Box::new(file.try_clone().unwrap());
        let out = envelope::Writer::new(out, FileKind::Segment, FileIdentity::default()).unwrap();
        let batches = &mut std::iter::once(Ok(batch.clone()));
        VortexFormat.write(&batch.schema(), batches, Effort::Quick, out).unwrap();
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        let file = Arc::new(MemoryFile::new("s", bytes));
        let file = envelope::Reader::open(file, FileKind::Segment, None).unwrap();
        open(&batch.schema(), file).unwrap()
    }

    #[test]
    fn readers_do_not_grow_with_what_is_asked() {
        let segment = segment();
        for row in 0..1000 {
            let taken = segment.take(&[row], &[1]).unwrap();
            assert_eq!(taken.column(0).as_primitive::<Int64Type>().value(0), row as i64);
        }
        assert_eq!(segment.readers.lock().seen, 1);
        let first = Arc::clone(&segment.readers.lock().layout);
        for row in 0..3 * EXPRESSIONS_MAX as i64 {
            let value: ArrowArrayRef = Arc::new(Int64Array::from(vec![row]));
            let predicate =
                Predicate::Compare { column: 0, op: CompareOp::Eq, value: Scalar::new(value) };
            let request = ScanRequest {
                projection: vec![1],
                predicate: Some(predicate),
                ..ScanRequest::default()
            };
            let found = collect(segment.scan(request).unwrap()).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].column(0).as_primitive::<Int64Type>().values(), &[row]);
            assert!(segment.readers.lock().seen <= EXPRESSIONS_MAX + 1);
        }
        assert!(!Arc::ptr_eq(&first, &segment.readers.lock().layout));
    }
}
