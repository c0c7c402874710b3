//! Encodings for segments that stay.

use std::sync::{Arc, LazyLock};

use vortex::compressor::BtrBlocksCompressorBuilder;
use vortex::file::WriteStrategyBuilder;
use vortex::layout::LayoutStrategy;

use super::runtime::session;
use super::sampled::sampled;

static STRATEGY: LazyLock<Arc<dyn LayoutStrategy>> = LazyLock::new(|| {
    let compressor = sampled(BtrBlocksCompressorBuilder::from_session(session()));
    WriteStrategyBuilder::from_session(session()).with_btrblocks_builder(compressor).build()
});

/// Lays out columns with what takes least room, of all that Vortex has.
pub(super) fn strategy() -> Arc<dyn LayoutStrategy> {
    Arc::clone(&STRATEGY)
}
