//! The operator: takes the left side, and chooses.

use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{
    DataFusionError, JoinType, Result, Statistics, internal_datafusion_err, internal_err,
};
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
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use tokio::sync::oneshot;

use super::build::{Build, Taken};
use super::handed::{HandedExec, promised_rows, rows_of};
use super::lent::Lent;
use super::pairs::Pairs;
use super::parts::{PARTS, Part, Spills};
use super::together::{Arrival, Together};

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
        let rows = stream::once(running.start(partition, &self.metrics)?).try_flatten();
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
    left: Arc<HandedExec>,
    right: Arc<HandedExec>,
    /// Where all partitions have the same left side.
    one_left: Option<OneLeft>,
    together: Option<Arc<Together>>,
}

/// The left side of all partitions.
struct OneLeft {
    /// What its table is built with.
    lent: Arc<Lent>,
    side: Once<LeftSide>,
    /// The right side in files, for joins that ask all of it.
    right_parts: Once<Vec<Part>>,
}

/// What is joined.
struct Inputs {
    join: Arc<HashJoinExec>,
    context: Arc<TaskContext>,
    pairs: Arc<Pairs>,
}

/// The left side of a join, or of one of its partitions.
enum LeftSide {
    /// It was handed over.
    InMemory,
    InFiles(Vec<Part>),
}

/// Rows that will be there, and whoever gives them.
type Giver = oneshot::Sender<SendableRecordBatchStream>;

fn promised() -> (Giver, impl Future<Output = Result<SendableRecordBatchStream>> + Send) {
    let (giver, rows) = oneshot::channel();
    let never = |_| internal_datafusion_err!("the rows of a join were not handed over");
    (giver, rows.map_err(never))
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
        let spills =
            Spills { context: Arc::clone(context), metrics: SpillMetrics::new(metrics, 0) };
        let inputs = Arc::new(Inputs {
            join: Arc::clone(join),
            context: Arc::clone(context),
            pairs: Arc::new(Pairs::new(join, spills)),
        });
        let one_left = inputs.has_one_left().then(|| {
            let lent = Lent::new(context.memory_pool());
            let (giver, rows) = promised();
            left.put(0, promised_rows(join.left().schema(), rows));
            let (of_left, of_right) = (Arc::clone(&inputs), Arc::clone(&inputs));
            let memory = Arc::clone(&lent);
            let side = once(async move {
                let taken = of_left.take_left(of_left.left(0)?).await?;
                of_left.left_side(taken, giver, &memory).await
            });
            let right_parts = once(async move {
                let all = (0..of_right.partitions()).map(|partition| of_right.right(partition));
                of_right.divide_right(all.collect::<Result<_>>()?).await
            });
            OneLeft { lent, side, right_parts }
        });
        let together = match one_left.is_none() && tells_its_right_side(join)? {
            true => Some(Arc::new(Together::new(inputs.partitions()))),
            false => None,
        };
        let in_memory = join.builder().with_new_children(handed)?.build()?;
        Ok(Arc::new(Self { inputs, in_memory, left, right, one_left, together }))
    }

    /// Begins with a partition. DataFusion's join has it at once: with what it promises to others
    /// it goes on without it when it is dropped. So have the joins below, which wait for all of
    /// their partitions too: both sides begin here, and end when nobody asks for this one.
    fn start(
        self: &Arc<Self>,
        partition: usize,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<impl Future<Output = Result<SendableRecordBatchStream>> + Send + use<>> {
        let (context, join) = (&self.inputs.context, &self.inputs.join);
        // Whoever divides all of the right side begins with all of its partitions.
        let right = match self.inputs.asks_all_of_right() {
            true => None,
            false => Some(self.inputs.right(partition)?),
        };
        let mut own_left = None;
        let lent = match &self.one_left {
            Some(left) => Arc::clone(&left.lent),
            None => {
                let (giver, rows) = promised();
                self.left.put(partition, promised_rows(join.left().schema(), rows));
                own_left = Some((giver, self.inputs.left(partition)?));
                Lent::new(context.memory_pool())
            }
        };
        let (give_right, rows) = promised();
        self.right.put(partition, lent.settled_by(join.right().schema(), rows));
        let config = context.session_config().clone();
        let in_memory = self.in_memory.execute(partition, lent.context(context, config))?;
        let arrival = self.together.as_ref().map(|together| Arrival::new(Arc::clone(together)));
        let baseline = BaselineMetrics::new(metrics, partition);
        let (this, inputs) = (Arc::clone(self), Arc::clone(&self.inputs));
        Ok(async move {
            let right = || right.map_or_else(|| inputs.right(partition), Ok);
            let left = match (&this.one_left, own_left) {
                (Some(left), _) => left.side.clone().await.map_err(DataFusionError::Shared)?,
                (None, None) => return internal_err!("a partition has no left side"),
                (None, Some((give_left, rows))) => {
                    let taken = inputs.take_left(rows).await;
                    let all_fit = match arrival {
                        Some(arrival) => arrival.fits(matches!(taken, Ok(Taken::All(_)))).await,
                        None => true,
                    };
                    match taken? {
                        Taken::All(build) if !all_fit => {
                            return inputs.pairs.table(build, right()?);
                        }
                        taken => Arc::new(inputs.left_side(taken, give_left, &lent).await?),
                    }
                }
            };
            let LeftSide::InFiles(lefts) = left.as_ref() else {
                // Who takes them is there: it is polled next.
                let _ = give_right.send(right()?);
                return Ok(in_memory);
            };
            drop(in_memory);
            let rows = this.of_files(partition, lefts, right).await?;
            Ok(Box::pin(LimitStream::new(rows, 0, inputs.join.fetch(), baseline)) as _)
        })
    }

    /// The rows of a partition whose left side is in files.
    async fn of_files(
        &self,
        partition: usize,
        lefts: &[Part],
        right: impl FnOnce() -> Result<SendableRecordBatchStream>,
    ) -> Result<SendableRecordBatchStream> {
        let (inputs, lefts) = (&self.inputs, lefts.iter().cloned());
        let mut joining = Arc::clone(&inputs.pairs);
        let pairs: Vec<_> = match &self.one_left {
            Some(left) if inputs.asks_all_of_right() => {
                let rights = left.right_parts.clone().await.map_err(DataFusionError::Shared)?;
                if inputs.join.null_aware && rights.iter().any(|part| part.rows() > 0) {
                    if rights.iter().any(Part::has_null_keys) {
                        return Ok(Box::pin(EmptyRecordBatchStream::new(inputs.join.schema())));
                    }
                    joining = Arc::new(joining.without_null_keys());
                }
                let pairs = lefts.zip(rights.iter().cloned());
                pairs.skip(partition).step_by(inputs.partitions()).collect()
            }
            _ => lefts.zip(inputs.divide_right(vec![right()?]).await?).collect(),
        };
        let rows = stream::iter(pairs)
            .flat_map(move |(left, right)| Arc::clone(&joining).join(left, right, 1));
        Ok(Box::pin(RecordBatchStreamAdapter::new(inputs.join.schema(), rows)))
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

    async fn take_left(&self, rows: SendableRecordBatchStream) -> Result<Taken> {
        Build::take(rows, &self.pairs.left, false, &self.context).await
    }

    /// Hands over what fits, and writes what does not into files.
    async fn left_side(&self, taken: Taken, giver: Giver, lent: &Lent) -> Result<LeftSide> {
        match taken {
            Taken::All(build) => {
                lent.fill(build.memory);
                let _ = giver.send(rows_of(&self.pairs.left.schema, build.batches, None));
                Ok(LeftSide::InMemory)
            }
            Taken::TooMany(build, rest, rows) => {
                Ok(LeftSide::InFiles(self.pairs.divide_left(0, build, rest, rows).await?))
            }
        }
    }

    fn left(&self, partition: usize) -> Result<SendableRecordBatchStream> {
        self.join.left().execute(partition, Arc::clone(&self.context))
    }

    fn right(&self, partition: usize) -> Result<SendableRecordBatchStream> {
        self.join.right().execute(partition, Arc::clone(&self.context))
    }

    /// Partitions of the right side in files.
    async fn divide_right(&self, partitions: Vec<SendableRecordBatchStream>) -> Result<Vec<Part>> {
        let mut dividing = JoinSet::new();
        for rows in partitions {
            let pairs = Arc::clone(&self.pairs);
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

/// Whether the right side of a join looks at what its left side has.
fn tells_its_right_side(join: &HashJoinExec) -> Result<bool> {
    let told = join.dynamic_expressions_produced();
    let is_told = |expr: &Arc<dyn PhysicalExpr>| {
        let id = expr.expression_id();
        id.is_some() && told.iter().any(|told| told.expression_id() == id)
    };
    join.right().exists(|node| {
        let mut found = false;
        node.apply_expressions(&mut |root| {
            found |= root.exists(|expr| Ok(is_told(expr)))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    })
}
