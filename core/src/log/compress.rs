//! Rows of large records, compressed: length u32, then one LZ4 block.
//!
//! The thread of the caller does it before its commit is led, so that several writers do
//! it side by side and the leader has less to copy and to write. Rows that would not be
//! halved stay as they are: a sample tells, and costs a sixteenth of what all would.

use bytes::Bytes;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

/// Smaller payloads stay as they are.
const BYTES_MIN: usize = 4 << 10;

/// A part in so many is tried first, in pieces of this size.
const SAMPLED_ONE_IN: usize = 16;
const SAMPLE_BYTES: usize = 4 << 10;

/// An LZ4 block makes no more than so many bytes out of one.
const RATIO_MAX: u64 = 255;

/// Bytes of the length.
const LEN: usize = 4;

/// What `parts` are, one after another, when they are small enough compressed.
pub(crate) fn compress(parts: &[&[u8]], join: impl FnOnce() -> Bytes) -> Option<Bytes> {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    if bytes < BYTES_MIN || !parts_shrink(parts) {
        return None;
    }
    let raw = join();
    let len = u32::try_from(raw.len()).ok()?;
    let mut out = vec![0; LEN + get_maximum_output_size(raw.len())];
    out[..LEN].copy_from_slice(&len.to_le_bytes());
    let end = LEN + compress_into(&raw, &mut out[LEN..]).ok()?;
    out.truncate(end);
    // It is kept until it is in the log.
    out.shrink_to_fit();
    (end <= raw.len() - raw.len() / 8).then(|| out.into())
}

/// Whether samples of `parts` are halved.
fn parts_shrink(parts: &[&[u8]]) -> bool {
    let mut out = vec![0; get_maximum_output_size(SAMPLE_BYTES)];
    let (mut before, mut after) = (0, 0);
    for part in parts {
        for sample in part.chunks(SAMPLE_BYTES).step_by(SAMPLED_ONE_IN) {
            before += sample.len();
            after += compress_into(sample, &mut out).unwrap_or(sample.len());
        }
    }
    after * 2 <= before
}

/// What [`compress`] was given; `None` when it cannot have made `bytes`.
pub(crate) fn decompress(bytes: &[u8]) -> Option<Bytes> {
    let (len, block) = bytes.split_at_checked(LEN)?;
    let len = u32::from_le_bytes(len.try_into().ok()?);
    // A length that the block cannot have is not worth an allocation.
    if u64::from(len) > block.len() as u64 * RATIO_MAX {
        return None;
    }
    let mut raw = vec![0; len as usize];
    let made = decompress_into(block, &mut raw).ok()?;
    (made == raw.len()).then(|| raw.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(raw: &[u8]) -> Option<Bytes> {
        compress(&[raw], || Bytes::copy_from_slice(raw))
    }

    #[test]
    fn what_shrinks_comes_back() {
        for len in [BYTES_MIN, 10_007, 1 << 20] {
            let raw: Vec<u8> = (0..len).map(|i| (i / 50) as u8).collect();
            let small = compressed(&raw).unwrap();
            assert!(small.len() < len / 2);
            assert_eq!(decompress(&small).unwrap(), raw);
        }
    }

    #[test]
    fn what_is_small_or_does_not_shrink_stays() {
        assert!(compressed(&vec![7; BYTES_MIN - 1]).is_none());
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        assert!(compressed(&noise.take(100_000).collect::<Vec<_>>()).is_none());
    }

    #[test]
    fn lengths_and_blocks_that_are_wrong_are_refused() {
        let small = compressed(&[7; 100_000]).unwrap();
        for at in 0..small.len() {
            assert!(decompress(&small[..at]).is_none(), "cut at {at}");
        }
        for len in [0, 1, 99_999, 100_001, u32::MAX] {
            let mut wrong = small.to_vec();
            wrong[..LEN].copy_from_slice(&len.to_le_bytes());
            assert!(decompress(&wrong).is_none(), "length {len}");
        }
        assert!(decompress(&[0xff, 0xff, 0xff, 0xff, 0, 0]).is_none());
    }
}
