//! The operator: takes the left side, and chooses.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, JoinType, Result, Statistics, internal_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::limit::LimitStream;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, SpillMetrics,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, EmptyRecordBatchStream, ExecutionPlan, ExecutionPlanProperties,
    PlanProperties,
};
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::Barrier;

use super::build::{Build, Taken};
use super::handed::{HandedExec, rows_of};
use super::lent::Lent;
use super::pairs::{Pairs, settling};
use super::parts::{PARTS, Part, Spills};

/// A hash join, which shows itself as the one that it does.
pub(crate) struct SpillingJoinExec {
    join: Arc<HashJoinExec>,
    running: OnceLock<Arc<Running>>,
    /// Of what is joined from files.
    metrics: ExecutionPlanMetricsSet,
}

impl SpillingJoinExec {
    /// The same join as `plan`; `None` when it is none, or has to stay as it is.
    pub(crate) fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let Some(join) = plan.downcast_ref::<HashJoinExec>() else { return Ok(None) };
        // What is joined from files comes in another order.
        if plan.output_ordering().is_some() {
            return Ok(None);
        }
        // NOT IN asks whether all of its right side has a NULL.
        let is_whole = *join.partition_mode() == PartitionMode::CollectLeft;
        if join.null_aware && (join.filter().is_some() || !is_whole) {
            return Ok(None);
        }
        Ok(Some(Self::new(join)?))
    }

    fn new(join: &HashJoinExec) -> Result<Self> {
        let join = Arc::new(join.builder().build()?);
        Ok(Self { join, running: OnceLock::new(), metrics: ExecutionPlanMetricsSet::new() })
    }
}

impl fmt::Debug for SpillingJoinExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpillingJoinExec").field(&self.join).finish()
    }
}

impl DisplayAs for SpillingJoinExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.join.fmt_as(format, f)
    }
}

impl ExecutionPlan for SpillingJoinExec {
    fn name(&self) -> &str {
        self.join.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.join.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.join.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.join.apply_expressions(f)
    }

    fn dynamic_expressions_produced(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        self.join.dynamic_expressions_produced()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let join = self.join.builder().with_new_children(children)?.build()?;
        Ok(Arc::new(Self::new(&join)?))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let join = self.join.builder().reset_state().build()?;
        Ok(Arc::new(Self::new(&join)?))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let running = match self.running.get() {
            Some(running) => running,
            None => {
                let running = Running::new(&self.join, &self.metrics, &context)?;
                self.running.get_or_init(|| running)
            }
        };
        let (running, metrics) = (Arc::clone(running), self.metrics.clone());
        let rows = async move { running.rows(partition, &metrics).await };
        let rows = stream::once(rows).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        let mut metrics = self.join.metrics()?;
        self.metrics.clone_inner().iter().for_each(|metric| metrics.push(Arc::clone(metric)));
        Some(metrics)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.join.child_stats_requests(partition)
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        self.join.statistics_from_inputs(inputs, args)
    }

    fn fetch(&self) -> Option<usize> {
        self.join.fetch()
    }
}

/// What the partitions of a join that runs have in common.
struct Running {
    inputs: Arc<Inputs>,
    /// The join of rows that are handed to it.
    in_memory: HashJoinExec,
    right: Arc<HandedExec>,
    /// The left side, where all partitions have the same one.
    left_side: OnceLock<Once<LeftSide>>,
    /// The right side in files, where all of it is asked for one left side.
    right_parts: OnceLock<Once<Vec<Part>>>,
    together: Option<Together>,
}

/// What is joined.
struct Inputs {
    join: Arc<HashJoinExec>,
    /// Where rows of the left side are handed over.
    left: Arc<HandedExec>,
    context: Arc<TaskContext>,
    pairs: Arc<Pairs>,
}

/// The left side of a join, or of one of its partitions.
enum LeftSide {
    /// It was handed over, and its table is built with this memory.
    InMemory(Arc<Lent>),
    InFiles(Vec<Part>),
}

/// Partitions that choose together: DataFusion's join tells its right side which rows its left
/// side has when it has heard of all partitions.
struct Together {
    barrier: Barrier,
    does_not_fit: AtomicBool,
}

/// Something that is made once for all who wait for it.
type Once<T> = Shared<BoxFuture<'static, Result<Arc<T>, Arc<DataFusionError>>>>;

fn once<T: Send + Sync + 'static>(
    making: impl Future<Output = Result<T>> + Send + 'static,
) -> Once<T> {
    async move { making.await.map(Arc::new).map_err(Arc::new) }.boxed().shared()
}

impl Running {
    fn new(
        join: &Arc<HashJoinExec>,
        metrics: &ExecutionPlanMetricsSet,
        context: &Arc<TaskContext>,
    ) -> Result<Arc<Self>> {
        let (left, right) = (HandedExec::of(join.left()), HandedExec::of(join.right()));
        let handed = vec![Arc::clone(&left) as _, Arc::clone(&right) as _];
        let tells = !join.dynamic_expressions_produced().is_empty();
        let spills =
            Spills { context: Arc::clone(context), metrics: SpillMetrics::new(metrics, 0) };
        let inputs = Inputs {
            join: Arc::clone(join),
            left,
            context: Arc::clone(context),
            pairs: Arc::new(Pairs::new(join, spills)),
        };
        let together = (tells && !inputs.has_one_left()).then(|| Together {
            barrier: Barrier::new(inputs.partitions()),
            does_not_fit: AtomicBool::new(false),
        });
        Ok(Arc::new(Self {
            inputs: Arc::new(inputs),
            in_memory: join.builder().with_new_children(handed)?.build()?,
            right,
            left_side: OnceLock::new(),
            right_parts: OnceLock::new(),
            together,
        }))
    }

    /// The rows of a partition.
    async fn rows(
        &self,
        partition: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<SendableRecordBatchStream> {
        let inputs = &self.inputs;
        let left = if inputs.has_one_left() {
            let of = Arc::clone(inputs);
            let left = self
                .left_side
                .get_or_init(|| once(async move { of.left_side(0, of.take_left(0).await?).await }));
            left.clone().await.map_err(DataFusionError::Shared)?
        } else {
            let taken = inputs.take_left(partition).await;
            let others_fit = match &self.together {
                Some(together) => together.fits(matches!(taken, Ok(Taken::All(_)))).await,
                None => true,
            };
            match taken? {
                Taken::All(build) if !others_fit => {
                    return inputs.pairs.table(build, inputs.right(partition)?);
                }
                taken => Arc::new(inputs.left_side(partition, taken).await?),
            }
        };
        let lefts = match left.as_ref() {
            LeftSide::InMemory(lent) => {
                self.right.put(partition, inputs.right(partition)?);
                let rows = self.in_memory.execute(partition, lent.context(&inputs.context))?;
                return Ok(settling(rows, Arc::clone(lent)));
            }
            LeftSide::InFiles(parts) => parts.iter().cloned(),
        };
        let mut joining = Arc::clone(&inputs.pairs);
        let pairs: Vec<_> = if inputs.asks_all_of_right() {
            let of = Arc::clone(inputs);
            let rights = self
                .right_parts
                .get_or_init(|| once(async move { of.divide_right(0..of.partitions()).await }));
            let rights = rights.clone().await.map_err(DataFusionError::Shared)?;
            if inputs.join.null_aware && rights.iter().any(|part| part.rows() > 0) {
                if rights.iter().any(Part::has_null_keys) {
                    return Ok(Box::pin(EmptyRecordBatchStream::new(inputs.join.schema())));
                }
                joining = Arc::new(joining.without_null_keys());
            }
            let pairs = lefts.zip(rights.iter().cloned());
            pairs.skip(partition).step_by(inputs.partitions()).collect()
        } else {
            lefts.zip(inputs.divide_right(partition..partition + 1).await?).collect()
        };
        let rows = stream::iter(pairs)
            .flat_map(move |(left, right)| Arc::clone(&joining).join(left, right, 1));
        let rows = Box::pin(RecordBatchStreamAdapter::new(inputs.join.schema(), rows));
        let baseline = BaselineMetrics::new(metrics, partition);
        Ok(Box::pin(LimitStream::new(rows, 0, inputs.join.fetch(), baseline)))
    }
}

impl Together {
    /// Says whether one partition fits; whether all do, when all have said it.
    async fn fits(&self, fits: bool) -> bool {
        self.does_not_fit.fetch_or(!fits, Ordering::AcqRel);
        self.barrier.wait().await;
        !self.does_not_fit.load(Ordering::Acquire)
    }
}

impl Inputs {
    fn partitions(&self) -> usize {
        self.join.right().output_partitioning().partition_count()
    }

    /// Whether all partitions have the same left side.
    fn has_one_left(&self) -> bool {
        *self.join.partition_mode() == PartitionMode::CollectLeft
    }

    /// Whether what becomes of a left row is known when all of the right side was seen, and not
    /// only a partition of it.
    fn asks_all_of_right(&self) -> bool {
        let of_left_rows = matches!(
            self.join.join_type(),
            JoinType::Left
                | JoinType::Full
                | JoinType::LeftSemi
                | JoinType::LeftAnti
                | JoinType::LeftMark
        );
        self.has_one_left() && of_left_rows
    }

    async fn take_left(&self, partition: usize) -> Result<Taken> {
        let rows = self.join.left().execute(partition, Arc::clone(&self.context))?;
        Build::take(rows, false, &self.context).await
    }

    /// Hands over what fits, and writes what does not into files.
    async fn left_side(&self, partition: usize, taken: Taken) -> Result<LeftSide> {
        match taken {
            Taken::All(build) => {
                let rows = rows_of(&self.join.left().schema(), build.batches, None);
                self.left.put(partition, rows);
                Ok(LeftSide::InMemory(Lent::new(self.context.memory_pool(), build.memory)))
            }
            Taken::TooMany(build, rest, rows) => {
                Ok(LeftSide::InFiles(self.pairs.divide_left(0, build, rest, rows).await?))
            }
        }
    }

    fn right(&self, partition: usize) -> Result<SendableRecordBatchStream> {
        self.join.right().execute(partition, Arc::clone(&self.context))
    }

    /// Partitions of the right side in files.
    async fn divide_right(&self, partitions: Range<usize>) -> Result<Vec<Part>> {
        let mut dividing = JoinSet::new();
        for partition in partitions {
            let (rows, pairs) = (self.right(partition)?, Arc::clone(&self.pairs));
            dividing.spawn(async move { pairs.divide_right(0, rows).await });
        }
        let mut all = vec![Part::empty(); PARTS];
        while let Some(divided) = dividing.join_next().await {
            let divided = divided.map_err(|error| internal_datafusion_err!("{error}"))??;
            all.iter_mut().zip(divided).for_each(|(part, more)| part.append(more));
        }
        Ok(all)
    }
}
