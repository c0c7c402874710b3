//! Tells most keys that a segment does not hold, at the cost of one cache line.
//!
//! A split block Bloom filter: a key's hash chooses a block of 256 bits and sets one bit
//! in each of its eight words. With ten bits per key about one absent key in a hundred
//! passes. After F. Putze, P. Sanders and J. Singler, "Cache-, Hash- and Space-Efficient
//! Bloom Filters", in the form of the Parquet specification.

use bytes::Bytes;

const BLOCK_LEN: usize = 32;

/// Bits of filter per key.
const BITS_PER_KEY: u64 = 10;

/// One odd number per word of a block.
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct KeyFilter {
    blocks: Bytes,
}

impl KeyFilter {
    /// Bytes of the filter over so many keys.
    pub(crate) fn len(keys: u64) -> usize {
        (keys * BITS_PER_KEY).div_ceil(8 * BLOCK_LEN as u64).max(1) as usize * BLOCK_LEN
    }

    /// The bytes of the filter over keys with these hashes.
    pub(crate) fn build(hashes: impl ExactSizeIterator<Item = u64>) -> Vec<u8> {
        let mut bytes = vec![0; Self::len(hashes.len() as u64)];
        for hash in hashes {
            let block = block_of(hash, bytes.len());
            for (word, mask) in bytes[block..block + BLOCK_LEN].chunks_exact_mut(4).zip(masks(hash))
            {
                let bits = u32::from_le_bytes([word[0], word[1], word[2], word[3]]) | mask;
                word.copy_from_slice(&bits.to_le_bytes());
            }
        }
        bytes
    }

    /// A filter that [`Self::build`] made.
    pub(crate) fn new(blocks: Bytes) -> Self {
        Self { blocks }
    }

    /// False when no key has this hash.
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        let block = block_of(hash, self.blocks.len());
        let words = self.blocks[block..block + BLOCK_LEN].chunks_exact(4);
        words.zip(masks(hash)).all(|(word, mask)| {
            u32::from_le_bytes([word[0], word[1], word[2], word[3]]) & mask == mask
        })
    }
}

/// Offset of the block: the hash's upper half, scaled to their number.
fn block_of(hash: u64, len: usize) -> usize {
    let blocks = (len / BLOCK_LEN) as u64;
    (((hash >> 32) * blocks) >> 32) as usize * BLOCK_LEN
}

/// One bit per word, from the hash's lower half.
fn masks(hash: u64) -> impl Iterator<Item = u32> {
    SALTS.into_iter().map(move |salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::key_hash;

    #[test]
    fn it_holds_its_keys_and_few_others() {
        let hash = |i: u32| key_hash(&i.to_be_bytes());
        for keys in [0_u32, 1, 100, 50_000] {
            let filter = KeyFilter::new(
                KeyFilter::build((0..keys).map(hash).collect::<Vec<_>>().into_iter()).into(),
            );
            assert!((0..keys).all(|i| filter.may_hold(hash(i))));
            let others = (1_000_000..1_010_000).filter(|i| filter.may_hold(hash(*i))).count();
            assert!(others < 250, "{others} of 10,000 other keys pass with {keys} keys");
        }
    }
}
