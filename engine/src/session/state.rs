//! What DataFusion is told at the start of a session: dialect, functions, types.

use std::sync::Arc;

use datafusion::config::ConfigNonZeroUsize;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::context::SessionConfig;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};

use crate::error::Result;
use crate::functions;
use crate::optimizer::{logical_rules, physical_rules};
use crate::sql::{
    CATALOG, CheckedIntegers, FloatsWin, FunctionRelations, SheafTypes, UuidCasts, UuidLiterals,
};

/// The schema that unqualified names are looked up and created in.
pub(super) const DEFAULT_SCHEMA: &str = "public";

/// The state that sessions of a database start with.
pub(crate) fn initial_state(runtime: Arc<RuntimeEnv>) -> Result<SessionState> {
    let physical_rules = physical_rules(&runtime.memory_pool);
    let mut config = SessionConfig::new()
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    // 0.1 + 0.2 is 0.3, as in PostgreSQL.
    options.sql_parser.parse_float_as_decimal = true;
    // now() and to_timestamp() have a zone, as in PostgreSQL.
    options.execution.time_zone = Some("UTC".to_owned());
    // The pattern of a glob is about the whole path.
    options.execution.listing_table_ignore_subdirectory = false;
    options.sql_parser.map_string_types_to_utf8view = true;
    // Building a join's table on one thread costs less than sending both sides through
    // a repartition, up to millions of rows; and keys are mostly numbers without large
    // gaps, which an array finds faster than a hash table.
    options.optimizer.hash_join_single_partition_threshold = 128 << 20;
    options.optimizer.hash_join_single_partition_threshold_rows = 4_000_000;
    options.execution.perfect_hash_join_min_key_density = 0.05;
    // One batch in each file that a repartition spills: with more, whoever takes the rows may
    // wait for a batch of a file whose writer waits for the batches of another to be taken, for
    // ever (apache/datafusion#24883, mended after 55).
    options.execution.max_spill_file_size_bytes = ConfigNonZeroUsize::try_new(1)?;
    // Each thread of a sort keeps so much free for its merges. With more, the merge of what the
    // threads have sorted finds nothing where queries may hold some 80 MB.
    options.execution.sort_spill_reservation_bytes = 4 << 20;
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_type_planner(Arc::new(SheafTypes))
        .with_optimizer_rules(logical_rules())
        .with_physical_optimizer_rules(physical_rules)
        .build();
    functions::register(&mut state)?;
    state.register_expr_planner(Arc::new(UuidLiterals))?;
    state.register_function_rewrite(Arc::new(UuidCasts))?;
    state.register_function_rewrite(Arc::new(FloatsWin))?;
    state.register_relation_planner(Arc::new(FunctionRelations))?;
    state.add_analyzer_rule(Arc::new(CheckedIntegers));
    Ok(state)
}
