//! Encodings for segments that are written again soon.

use std::sync::{Arc, LazyLock};

use vortex::compressor::{BtrBlocksCompressorBuilder, CompressionSessionExt};
use vortex::file::WriteStrategyBuilder;
use vortex::layout::LayoutStrategy;
use vortex_btrblocks::SchemeExt;

use super::runtime::session;

/// What costs one pass over the values: no samples of texts, no dictionaries, no runs.
const CHEAP: [&str; 7] = [
    "vortex.int.bitpacking",
    "vortex.int.for",
    "vortex.int.zigzag",
    "vortex.int.sequence",
    "vortex.ext.temporal",
    "vortex.decimal.byte_parts",
    "vortex.float.alp",
];

static STRATEGY: LazyLock<Arc<dyn LayoutStrategy>> = LazyLock::new(|| {
    let compression = session().compression();
    let costly = compression.schemes().iter().filter(|s| !CHEAP.contains(&s.scheme_name()));
    let compressor = BtrBlocksCompressorBuilder::from_session(session())
        .exclude_schemes(costly.map(|scheme| scheme.id()));
    WriteStrategyBuilder::from_session(session()).with_btrblocks_builder(compressor).build()
});

/// Lays out columns with cheap encodings.
pub(super) fn strategy() -> Arc<dyn LayoutStrategy> {
    Arc::clone(&STRATEGY)
}
