//! Joins files in pairs: the rows of a part of the left side find those that they are joined
//! with in the part of the right side that has the same number.
//!
//! A part of the left side that is too large is divided by another hash. One in which all rows
//! have the same hash stays too large; it is joined piece by piece, each with all of the right
//! part, where what is said of a left row does not depend on other left rows.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::{DataFusionError, JoinType, NullEquality, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::build::{Build, Taken};
use super::handed::{HandedExec, rows_of};
use super::lent::Lent;
use super::parts::{Part, Side, Spills, Writer};

/// How often a part is divided at most.
const LEVELS_MAX: usize = 5;

/// How parts are joined.
#[derive(Clone)]
pub(super) struct Pairs {
    join: Arc<HashJoinExec>,
    /// Rows of the left side whose key is NULL are left out.
    without_null_keys: bool,
    pub(super) left: Side,
    right: Side,
    spills: Spills,
}

/// Rows that come when they are asked for.
pub(super) type Rows = BoxStream<'static, Result<RecordBatch>>;

impl Pairs {
    /// Parts of what `join` joins.
    pub(super) fn new(join: &Arc<HashJoinExec>, spills: Spills) -> Self {
        let (left, right) = join.on().iter().cloned().unzip();
        // They are equal to nothing, and gone like others that are not.
        let without_null_keys = join.null_equality() == NullEquality::NullEqualsNothing
            && !has_all_of_left(join.join_type());
        Self {
            join: Arc::clone(join),
            without_null_keys,
            left: Side { schema: join.left().schema(), keys: left },
            right: Side { schema: join.right().schema(), keys: right },
            spills,
        }
    }

    /// The same without rows of the left side whose key is NULL.
    pub(super) fn without_null_keys(&self) -> Self {
        Self { without_null_keys: true, ..self.clone() }
    }

    /// The rows of two parts, which were divided so often.
    pub(super) fn join(self: Arc<Self>, left: Part, right: Part, level: usize) -> Rows {
        stream::once(self.joined(left, right, level)).try_flatten().boxed()
    }

    async fn joined(self: Arc<Self>, left: Part, right: Part, level: usize) -> Result<Rows> {
        let join_type = self.join.join_type();
        if (left.rows() == 0 && !has_all_of_right(join_type))
            || (right.rows() == 0 && !has_all_of_left(join_type))
        {
            return Ok(stream::empty().boxed());
        }
        let rows = match self.without_null_keys {
            true => left.read_keyed(&self.left, &self.spills),
            false => left.read(&self.left, &self.spills),
        };
        let (build, rest, rows) = match self.take(rows).await? {
            Taken::All(build) => {
                return Ok(self.table(build, right.read(&self.right, &self.spills))?.boxed());
            }
            Taken::TooMany(build, rest, rows) => (build, rest, rows),
        };
        if level >= LEVELS_MAX {
            return self.in_pieces(build, rest, rows, right);
        }
        let lefts = self.divide_left(level, build, rest, rows).await?;
        let rights = self.divide_right(level, right.read(&self.right, &self.spills)).await?;
        let is_divided = lefts.iter().all(|part| part.rows() < left.rows());
        let level = if is_divided { level + 1 } else { LEVELS_MAX };
        let pairs = stream::iter(lefts.into_iter().zip(rights));
        Ok(pairs.flat_map(move |(left, right)| Arc::clone(&self).join(left, right, level)).boxed())
    }

    async fn take(&self, rows: SendableRecordBatchStream) -> Result<Taken> {
        Build::take(rows, &self.left, true, &self.spills.context).await
    }

    /// Rows of the left side in parts: those in memory, the `rest` of those that were taken, and
    /// those that come.
    pub(super) async fn divide_left(
        &self,
        level: usize,
        build: Build,
        rest: Vec<RecordBatch>,
        rows: SendableRecordBatchStream,
    ) -> Result<Vec<Part>> {
        let mut writer = Writer::new(&self.left, level, &self.spills);
        let Build { batches, memory, .. } = build;
        for batch in batches.into_iter().chain(rest) {
            writer.write(batch)?;
            // There may be many, and somebody may want to end them.
            tokio::task::yield_now().await;
        }
        drop(memory);
        writer.write_all(rows).await?;
        writer.finish()
    }

    /// Rows of the right side in parts.
    pub(super) async fn divide_right(
        &self,
        level: usize,
        rows: SendableRecordBatchStream,
    ) -> Result<Vec<Part>> {
        let mut writer = Writer::new(&self.right, level, &self.spills);
        writer.write_all(rows).await?;
        writer.finish()
    }

    /// Rows of the right side beside those of the left one in memory.
    pub(super) fn table(
        &self,
        build: Build,
        right: SendableRecordBatchStream,
    ) -> Result<SendableRecordBatchStream> {
        let context = &self.spills.context;
        let lent = Lent::new(context.memory_pool());
        lent.fill(build.memory);
        let left = HandedExec::new(rows_of(&self.left.schema, build.batches, None));
        let right = lent.settled_by(right.schema(), std::future::ready(Ok(right)));
        let join = self
            .join
            .builder()
            .reset_state()
            .with_null_aware(false)
            .recompute_properties()
            .with_partition_mode(PartitionMode::CollectLeft)
            .with_new_children(vec![left, HandedExec::new(right)])?
            .build()?;
        let mut config = context.session_config().clone();
        // Each part has keys of the whole range: an array of them would be mostly empty.
        let options = &mut config.options_mut().execution;
        options.perfect_hash_join_small_build_threshold = 0;
        options.perfect_hash_join_min_key_density = f64::INFINITY;
        join.execute(0, lent.context(context, config))
    }

    /// The rows that fit with all of the right part, then the next ones.
    fn in_pieces(
        self: Arc<Self>,
        build: Build,
        rest: Vec<RecordBatch>,
        rows: SendableRecordBatchStream,
        right: Part,
    ) -> Result<Rows> {
        let join_type = *self.join.join_type();
        let of_left_rows = matches!(
            join_type,
            JoinType::Inner
                | JoinType::Left
                | JoinType::LeftSemi
                | JoinType::LeftAnti
                | JoinType::LeftMark
        );
        let too_large = move |build: &Build| {
            DataFusionError::ResourcesExhausted(format!(
                "a {join_type} join found {} and more equal rows, which do not fit",
                build.rows()
            ))
        };
        if !of_left_rows {
            return Err(too_large(&build));
        }
        let Build { batches, .. } = build;
        let all = rows_of(&self.left.schema, batches.into_iter().chain(rest), Some(rows));
        let pieces = stream::try_unfold(Some(all), move |rows| {
            let (this, right) = (Arc::clone(&self), right.clone());
            async move {
                let Some(rows) = rows else { return Ok(None) };
                let (build, others) = match this.take(rows).await? {
                    Taken::All(build) => (build, None),
                    Taken::TooMany(build, ..) if build.rows() == 0 => {
                        return Err(too_large(&build));
                    }
                    Taken::TooMany(build, rest, rows) => {
                        (build, Some(rows_of(&this.left.schema, rest, Some(rows))))
                    }
                };
                let piece = this.table(build, right.read(&this.right, &this.spills))?;
                Ok(Some((piece, others)))
            }
        });
        Ok(pieces.try_flatten().boxed())
    }
}

/// Whether each row of the left side comes out that is equal to none of the right one.
fn has_all_of_left(join_type: &JoinType) -> bool {
    matches!(join_type, JoinType::Left | JoinType::Full | JoinType::LeftAnti | JoinType::LeftMark)
}

/// Whether each row of the right side comes out that is equal to none of the left one.
fn has_all_of_right(join_type: &JoinType) -> bool {
    matches!(
        join_type,
        JoinType::Right | JoinType::Full | JoinType::RightAnti | JoinType::RightMark
    )
}
