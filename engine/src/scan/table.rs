//! A table at a snapshot, as DataFusion's planner sees it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraint, Constraints, DFSchema, Result, Statistics, internal_err};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::physical_plan::ExecutionPlan;
use sheaf_core::{Part, TableSnapshot};
use sheaf_formats::predicate::Predicate;
use sheaf_formats::statistics::SegmentStatistics;

use super::convert;
use super::source::SheafSource;
use super::statistics::TableStatistics;

/// What every scan of one table at one snapshot shares.
pub(super) struct ScannedTable {
    /// Name for EXPLAIN.
    pub(super) name: String,
    pub(super) schema: SchemaRef,
    pub(super) parts: Arc<[ScannedPart]>,
    pub(super) statistics: TableStatistics,
}

/// A part, and its statistics once somebody has asked for them.
pub(super) struct ScannedPart {
    pub(super) part: Part,
    statistics: OnceLock<Option<Arc<SegmentStatistics>>>,
}

impl ScannedPart {
    /// Statistics over all rows of a segment, deleted ones included.
    pub(super) fn statistics(&self) -> Option<&SegmentStatistics> {
        self.statistics.get_or_init(|| self.part.statistics()).as_deref()
    }

    /// False only when no row can satisfy the predicate.
    pub(super) fn may_match(&self, predicate: Option<&Predicate>) -> bool {
        match (predicate, self.statistics()) {
            (Some(predicate), Some(statistics)) => predicate.may_match(statistics),
            (Some(Predicate::Literal(value)), None) => *value,
            _ => true,
        }
    }
}

impl fmt::Debug for ScannedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScannedTable")
            .field("name", &self.name)
            .field("parts", &self.parts.len())
            .finish()
    }
}

/// A table at a snapshot: immutable, cheap to clone, and worth keeping as long as
/// the snapshot is, because it caches merged statistics.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotTable {
    table: Arc<ScannedTable>,
    constraints: Constraints,
}

impl SnapshotTable {
    /// The table of `snapshot`, called `name` in EXPLAIN, with the columns that the
    /// snapshot was told to show.
    pub(crate) fn new(
        name: impl Into<String>,
        snapshot: &TableSnapshot,
    ) -> sheaf_core::Result<Self> {
        let key = snapshot.def().key_indices();
        let constraints = if key.is_empty() { vec![] } else { vec![Constraint::PrimaryKey(key)] };
        let scanned = |part: &Part| ScannedPart { part: part.clone(), statistics: OnceLock::new() };
        let parts: Arc<[ScannedPart]> = snapshot.parts()?.iter().map(scanned).collect();
        let schema = Arc::clone(snapshot.schema());
        Ok(Self {
            table: Arc::new(ScannedTable {
                name: name.into(),
                statistics: TableStatistics::new(Arc::clone(&schema), Arc::clone(&parts)),
                schema,
                parts,
            }),
            constraints: Constraints::new_unverified(constraints),
        })
    }

    /// Statistics of all rows, and of those that are expected to pass `filters`, both
    /// with all columns of the table.
    pub(crate) fn expected(&self, filters: &[Expr]) -> Result<(Statistics, Statistics)> {
        let columns: Vec<usize> = (0..self.table.schema.fields().len()).collect();
        let all = self.table.statistics.of(&columns);
        let kept = self.source(columns, filters, None, 1)?.partition_statistics(None)?;
        Ok((all, Arc::unwrap_or_clone(kept)))
    }

    /// A scan with filters that it has said it takes.
    fn source(
        &self,
        columns: Vec<usize>,
        filters: &[Expr],
        limit: Option<usize>,
        partitions: usize,
    ) -> Result<SheafSource> {
        let mut taken = Vec::with_capacity(filters.len());
        for filter in filters {
            let physical = self.physical(filter)?;
            let Some(predicate) = convert::exact(&physical, &self.table.schema) else {
                return internal_err!("the scan was given a filter it does not take: {filter}");
            };
            taken.push((physical, predicate));
        }
        SheafSource::try_new(Arc::clone(&self.table), columns, taken, limit, partitions)
    }

    /// A filter of this table with column indices instead of names.
    fn physical(&self, filter: &Expr) -> Result<Arc<dyn PhysicalExpr>> {
        let schema = DFSchema::try_from(Arc::clone(&self.table.schema))?;
        create_physical_expr(
            &unnormalize_col(filter.clone()),
            &schema,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        )
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// A filter is taken when all of it can be said as a predicate; then the scan
    /// evaluates it to the row, and nothing has to check it again.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| {
                // A filter that cannot be planned here, such as one with a subquery
                // or an outer column, is not for the scan.
                let taken = self
                    .physical(filter)
                    .is_ok_and(|filter| convert::exact(&filter, &self.table.schema).is_some());
                if taken {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.table.schema.fields().len()).collect(),
        };
        let source = self.source(projection, filters, limit, state.config().target_partitions())?;
        Ok(DataSourceExec::from_data_source(source))
    }

    fn statistics(&self) -> Option<Statistics> {
        let columns: Vec<usize> = (0..self.table.schema.fields().len()).collect();
        Some(self.table.statistics.of(&columns))
    }
}
