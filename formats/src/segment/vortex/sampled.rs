//! Schemes that look at a sample before they count.
//!
//! To know whether one value is nearly all of a chunk, or whether numbers come again, Vortex
//! counts all distinct values of each chunk in a hash map: in a load of columns of large numbers
//! that was a quarter of the processors' time. Where a thousand values show neither, nobody counts.

use std::sync::Arc;

use vortex::array::arrays::Primitive;
use vortex::array::{ArrayId, ArrayRef, Canonical, ExecutionCtx};
use vortex::error::VortexResult;
use vortex_btrblocks::schemes::float::FloatDictScheme;
use vortex_btrblocks::schemes::integer::SparseScheme;
use vortex_btrblocks::{
    ArrayAndStats, BtrBlocksCompressorBuilder, CascadingCompressor, CompressorContext,
    GenerateStatsOptions, Scheme, SchemeExt,
};
use vortex_compressor::scheme::{
    AncestorExclusion, CompressionEstimate, DescendantExclusion, EstimateVerdict,
};

/// Values of a chunk that are looked at, of 131,072 in a column of eight bytes.
const SAMPLE: usize = 2048;

/// One value is at least nine tenths of those that it is for.
static SPARSE: Sampled = Sampled { scheme: &SparseScheme, may_be_of_use: one_is_most };
/// Each value comes twice at least on average.
static FLOAT_DICT: Sampled = Sampled { scheme: &FloatDictScheme, may_be_of_use: some_repeat };

/// The schemes of a compressor, with samples where they count.
pub(super) fn sampled(schemes: BtrBlocksCompressorBuilder) -> BtrBlocksCompressorBuilder {
    let schemes = schemes.exclude_schemes([SPARSE.id(), FLOAT_DICT.id()]);
    schemes.with_new_scheme(&SPARSE).with_new_scheme(&FLOAT_DICT)
}

/// A scheme under its own name, for chunks whose sample, sorted, is as it needs it.
#[derive(Debug)]
struct Sampled {
    scheme: &'static dyn Scheme,
    may_be_of_use: fn(&[u64]) -> bool,
}

impl Sampled {
    /// The chunk with the count that the scheme asks for, once.
    fn counted(&self, data: &ArrayAndStats) -> Arc<ArrayAndStats> {
        data.get_or_insert_with(|| {
            ArrayAndStats::new(data.array().clone(), self.scheme.stats_options())
        })
    }
}

impl Scheme for Sampled {
    fn scheme_name(&self) -> &'static str {
        self.scheme.scheme_name()
    }

    fn matches(&self, canonical: &Canonical) -> bool {
        self.scheme.matches(canonical)
    }

    fn produced_encodings(&self) -> Vec<ArrayId> {
        self.scheme.produced_encodings()
    }

    /// No count: the scheme gets its own.
    fn stats_options(&self) -> GenerateStatsOptions {
        GenerateStatsOptions::default()
    }

    fn num_children(&self) -> usize {
        self.scheme.num_children()
    }

    fn descendant_exclusions(&self) -> Vec<DescendantExclusion> {
        self.scheme.descendant_exclusions()
    }

    fn ancestor_exclusions(&self) -> Vec<AncestorExclusion> {
        self.scheme.ancestor_exclusions()
    }

    fn expected_compression_ratio(
        &self,
        data: &ArrayAndStats,
        compress_ctx: CompressorContext,
        exec_ctx: &mut ExecutionCtx,
    ) -> CompressionEstimate {
        match sample(data, exec_ctx) {
            Some(sample) if !(self.may_be_of_use)(&sample) => {
                CompressionEstimate::Verdict(EstimateVerdict::Skip)
            }
            _ => {
                let counted = self.counted(data);
                self.scheme.expected_compression_ratio(&counted, compress_ctx, exec_ctx)
            }
        }
    }

    fn compress(
        &self,
        compressor: &CascadingCompressor,
        data: &ArrayAndStats,
        compress_ctx: CompressorContext,
        exec_ctx: &mut ExecutionCtx,
    ) -> VortexResult<ArrayRef> {
        self.scheme.compress(compressor, &self.counted(data), compress_ctx, exec_ctx)
    }
}

/// The bits of values from all over a chunk, sorted. `None` for a chunk that is counted as soon,
/// and one of NULLs.
fn sample(data: &ArrayAndStats, ctx: &mut ExecutionCtx) -> Option<Vec<u64>> {
    let numbers = data.array().as_opt::<Primitive>()?;
    let (bytes, width) = (numbers.buffer_handle().as_host_opt()?, numbers.ptype().byte_width());
    let len = bytes.len() / width;
    if len < 4 * SAMPLE {
        return None;
    }
    let is_there = data.array().validity().ok()?.execute_mask(len, ctx).ok()?;
    let place = |index| ((u128::from(noise(index)) * len as u128) >> 64) as usize;
    let mut sample: Vec<u64> = (0..SAMPLE as u64)
        .map(place)
        .filter(|&place| is_there.value(place))
        .map(|place| {
            let mut bits = [0; 8];
            bits[..width].copy_from_slice(&bytes[place * width..(place + 1) * width]);
            u64::from_le_bytes(bits)
        })
        .collect();
    if sample.len() < SAMPLE / 4 {
        return None;
    }
    sample.sort_unstable();
    Some(sample)
}

/// A number for each number, as if thrown (SplitMix64). Places that keep apart, as those of the
/// golden ratio do, would miss what comes again near itself.
fn noise(index: u64) -> u64 {
    let bits = (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Whether one value may be nine tenths of all: it is then hardly ever less than three quarters
/// of a sample.
fn one_is_most(sample: &[u64]) -> bool {
    sample.chunk_by(|a, b| a == b).any(|alike| 4 * alike.len() >= 3 * sample.len())
}

/// Whether values may come twice on average: of a sample of a chunk of 131,072, some thirty do
/// then, whether the same values are far apart or side by side.
fn some_repeat(sample: &[u64]) -> bool {
    sample.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vortex::array::IntoArray;
    use vortex::array::VortexSessionExecute;
    use vortex::array::arrays::PrimitiveArray;
    use vortex_btrblocks::{BtrBlocksCompressor, BtrBlocksCompressorBuilder};

    use super::super::runtime::session;
    use super::*;

    fn compressors() -> [BtrBlocksCompressor; 2] {
        let all = BtrBlocksCompressorBuilder::from_session(session());
        [all.clone().build(), sampled(all).build()]
    }

    /// The encodings that both choose.
    fn chosen(numbers: &PrimitiveArray) -> [String; 2] {
        compressors().map(|compressor| {
            let mut ctx = session().create_execution_ctx();
            let array = compressor.compress(&numbers.clone().into_array(), &mut ctx).unwrap();
            array.encoding_id().to_string()
        })
    }

    /// The bits of values of eight bytes.
    fn values(numbers: &PrimitiveArray, ctx: &mut ExecutionCtx) -> Vec<Option<u64>> {
        let bytes = numbers.buffer_handle().to_host_sync();
        let is_there = numbers.as_ref().validity().unwrap();
        let is_there = is_there.execute_mask(bytes.len() / 8, ctx).unwrap();
        let bits = bytes.chunks_exact(8).map(|bits| u64::from_le_bytes(bits.try_into().unwrap()));
        bits.enumerate().map(|(row, bits)| is_there.value(row).then_some(bits)).collect()
    }

    #[test]
    fn samples_choose_as_counts_do() {
        let rare = |one_in: u64| {
            PrimitiveArray::from_iter(
                (0..65_536)
                    .map(|i| if noise(i).is_multiple_of(one_in) { noise(i) as i64 } else { 7 }),
            )
        };
        let [counted, sampled] = chosen(&rare(20));
        assert_eq!(counted, "vortex.sparse");
        assert_eq!(sampled, counted);
        let nulls = PrimitiveArray::from_option_iter(
            (0..65_536).map(|i| noise(i).is_multiple_of(50).then(|| noise(i) as i64)),
        );
        let few = PrimitiveArray::from_iter((0..65_536).map(|i| (noise(i) % 900) as f64 / 7.0));
        let many = PrimitiveArray::from_iter((0..65_536).map(|i| noise(i) as f64 / 7.0));
        let words = PrimitiveArray::from_iter((0..65_536).map(|i| noise(i) % 100_000));
        let fraction = |i: u64| (noise(i) >> 11) as f64 / 7.0;
        let runs = PrimitiveArray::from_iter((0..131_072).map(|i| fraction(i / 3)));
        let period = PrimitiveArray::from_iter((0..131_072).map(|i| fraction(i % 10_000)));
        let pairs = PrimitiveArray::from_iter((0..131_072).map(|i| fraction(i % 65_000)));
        let [counted, _] = chosen(&runs);
        assert_eq!(counted, "vortex.dict");
        for numbers in [nulls, few, many, words, rare(5), rare(2), runs, period, pairs] {
            let [counted, sampled] = chosen(&numbers);
            assert_eq!(sampled, counted);
        }
    }

    proptest! {
        #[test]
        fn samples_lose_no_value(
            distinct in 1..100_000_u64,
            len in 1..20_000_u64,
            null_in in prop::option::of(1..100_u64),
        ) {
            let ctx = &mut session().create_execution_ctx();
            let there = |i: u64| null_in.is_none_or(|n| !noise(i).is_multiple_of(n));
            let floats = (0..len).map(|i| there(i).then(|| (noise(i) % distinct) as f64 * 0.37));
            let floats: Vec<Option<f64>> = floats.collect();
            let integers = floats.iter().map(|f| f.map(|f| f as i64));
            for numbers in [
                PrimitiveArray::from_option_iter(integers),
                PrimitiveArray::from_option_iter(floats.clone()),
            ] {
                let [_, sampled] = compressors();
                let compressed = sampled.compress(&numbers.clone().into_array(), ctx).unwrap();
                let back = compressed.execute::<PrimitiveArray>(ctx).unwrap();
                prop_assert_eq!(values(&back, ctx), values(&numbers, ctx));
            }
        }
    }
}
