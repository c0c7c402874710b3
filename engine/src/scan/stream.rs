//! Reads one partition: its pieces one after the other, in batches of about the
//! session's size.
//!
//! Dynamic filters are looked at when a piece is opened. While one of them can still
//! change, a piece is read in *windows*, so that a TopK that has found its rows
//! early spares the rest of a large segment. Dropping the stream stops the work:
//! nothing runs ahead of it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::BatchCoalescer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::RecordBatchStream;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::DynamicFilterTracking;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder,
};
use futures::{Stream, StreamExt};
use sheaf_core::PartScan;
use sheaf_formats::predicate::Predicate;
use sheaf_formats::segment::BatchStream;

use super::convert;
use super::dynamic::DynamicFilter;
use super::partition::Piece;
use super::table::ScannedTable;

/// Rows between two looks at dynamic filters that can still change.
const WINDOW_ROWS: u64 = 4 * sheaf_formats::statistics::ZONE_ROWS as u64;

/// What to read.
pub(super) struct PartitionScan {
    pub(super) table: Arc<ScannedTable>,
    pub(super) projection: Vec<usize>,
    pub(super) schema: SchemaRef,
    pub(super) predicate: Option<Predicate>,
    pub(super) dynamic: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) limit: Option<usize>,
    pub(super) pieces: Vec<Piece>,
}

/// The rows of one partition.
pub(super) struct ScanStream {
    scan: PartitionScan,
    dynamic: Vec<DynamicFilter>,
    pieces: VecDeque<Piece>,
    open: Option<BatchStream>,
    /// Makes batches of the session's size out of small ones; large ones pass
    /// through. Without columns there is nothing to copy, so nothing to gather.
    coalescer: Option<BatchCoalescer>,
    /// Rows that may still be read.
    remaining: usize,
    metrics: ScanMetrics,
}

struct ScanMetrics {
    baseline: BaselineMetrics,
    pieces_read: Count,
    pieces_pruned: Count,
    rows_pruned: Count,
}

impl ScanMetrics {
    fn new(partition: usize, metrics: &ExecutionPlanMetricsSet) -> Self {
        let count = |name: &'static str| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            baseline: BaselineMetrics::new(metrics, partition),
            pieces_read: count("pieces_read"),
            pieces_pruned: count("pieces_pruned"),
            rows_pruned: count("rows_pruned"),
        }
    }
}

impl ScanStream {
    pub(super) fn new(
        scan: PartitionScan,
        batch_size: usize,
        partition: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Self {
        let coalescer = (!scan.schema.fields().is_empty()).then(|| {
            BatchCoalescer::new(Arc::clone(&scan.schema), batch_size)
                .with_biggest_coalesce_batch_size(Some(batch_size / 2))
        });
        Self {
            dynamic: scan.dynamic.iter().cloned().map(DynamicFilter::new).collect(),
            pieces: scan.pieces.iter().copied().collect(),
            open: None,
            coalescer,
            remaining: scan.limit.unwrap_or(usize::MAX),
            metrics: ScanMetrics::new(partition, metrics),
            scan,
        }
    }

    /// What rows must satisfy now: the filters, and what dynamic filters say.
    fn predicate(&self) -> Option<Predicate> {
        let schema = &self.scan.table.schema;
        let dynamic = self.dynamic.iter().filter_map(|filter| filter.predicate(schema));
        convert::all(self.scan.predicate.iter().cloned().chain(dynamic))
    }

    /// Opens the next piece that may hold rows; false when there is none.
    fn open_next(&mut self) -> Result<bool> {
        while let Some(piece) = self.pieces.pop_front() {
            let piece = self.first_window(piece);
            let part = &self.scan.table.parts[piece.part];
            let predicate = self.predicate();
            if !part.may_match(predicate.as_ref()) {
                self.metrics.pieces_pruned.add(1);
                self.metrics.rows_pruned.add(usize::try_from(piece.rows).unwrap_or(usize::MAX));
                continue;
            }
            self.metrics.pieces_read.add(1);
            let limit = (self.remaining < usize::MAX).then_some(self.remaining as u64);
            let request = PartScan {
                projection: self.scan.projection.clone(),
                predicate,
                limit,
                piece: (piece.of > 1).then_some((piece.nth, piece.of)),
                ordered: false,
            };
            self.open = Some(part.part.scan(request).map_err(crate::Error::from)?);
            return Ok(true);
        }
        Ok(false)
    }

    /// The first window of `piece`, or all of it when no dynamic filter can change
    /// any more; the other windows come next.
    fn first_window(&mut self, piece: Piece) -> Piece {
        let changing = |filter: &Arc<dyn PhysicalExpr>| {
            matches!(DynamicFilterTracking::classify(filter), DynamicFilterTracking::Watching(_))
        };
        let windows = usize::try_from(piece.rows.div_ceil(WINDOW_ROWS)).unwrap_or(1);
        if windows < 2 || !self.scan.dynamic.iter().any(changing) {
            return piece;
        }
        let window = |nth: usize| Piece {
            part: piece.part,
            nth: piece.nth * windows + nth,
            of: piece.of * windows,
            rows: piece.rows / windows as u64,
        };
        for nth in (1..windows).rev() {
            self.pieces.push_front(window(nth));
        }
        window(0)
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        loop {
            if let Some(batch) =
                self.coalescer.as_mut().and_then(BatchCoalescer::next_completed_batch)
            {
                return Poll::Ready(Some(Ok(batch)));
            }
            if self.remaining == 0 {
                self.open = None;
                self.pieces.clear();
            }
            let Some(open) = &mut self.open else {
                if self.open_next()? {
                    continue;
                }
                match &mut self.coalescer {
                    Some(coalescer) if !coalescer.is_empty() => {
                        coalescer.finish_buffered_batch()?
                    }
                    _ => return Poll::Ready(None),
                }
                continue;
            };
            match ready!(open.poll_next_unpin(context)) {
                Some(Ok(batch)) => {
                    if let Some(batch) = self.accept(batch)? {
                        return Poll::Ready(Some(Ok(batch)));
                    }
                }
                Some(Err(error)) => {
                    self.pieces.clear();
                    self.open = None;
                    self.coalescer = None;
                    return Poll::Ready(Some(Err(crate::Error::from(error).into())));
                }
                None => self.open = None,
            }
        }
    }

    /// Cuts a batch to the limit and hands it to the coalescer, or back when there
    /// is none.
    fn accept(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let batch =
            if batch.num_rows() > self.remaining { batch.slice(0, self.remaining) } else { batch };
        if self.scan.limit.is_some() {
            self.remaining -= batch.num_rows();
        }
        match &mut self.coalescer {
            Some(coalescer) => {
                coalescer.push_batch(batch)?;
                Ok(None)
            }
            None => Ok(Some(batch)),
        }
    }
}

impl Stream for ScanStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let timer = self.metrics.baseline.elapsed_compute().clone();
        let _timed = timer.timer();
        let poll = self.poll_batch(context);
        self.metrics.baseline.record_poll(poll)
    }
}

impl RecordBatchStream for ScanStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.scan.schema)
    }
}
