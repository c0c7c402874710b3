//! Finds the bytes of a text that mean something, sixty-four at a time.

/// Bytes that are looked at together.
const STEP: usize = 64;

/// A bit per byte of `text` (sixty-four of them): whether it is one of `needles`.
#[cfg(target_arch = "x86_64")]
#[inline]
fn mask<const N: usize>(text: &[u8; STEP], needles: [u8; N]) -> u64 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
        _mm_setzero_si128,
    };

    #[target_feature(enable = "sse2")]
    #[inline]
    fn part<const N: usize>(bytes: [u8; 16], needles: [u8; N]) -> u64 {
        let value = u128::from_le_bytes(bytes);
        let bytes = _mm_set_epi64x((value >> 64) as i64, value as i64);
        let mut found = _mm_setzero_si128();
        for needle in needles {
            found = _mm_or_si128(found, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(needle as i8)));
        }
        u64::from(_mm_movemask_epi8(found) as u32)
    }

    let mut bits = 0;
    for (index, bytes) in text.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: all processors of this architecture have SSE2.
        bits |= unsafe { part(*bytes, needles) } << (index * 16);
    }
    bits
}

/// A bit per byte of `text` (sixty-four of them): whether it is one of `needles`.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn mask<const N: usize>(text: &[u8; STEP], needles: [u8; N]) -> u64 {
    let mut bits = 0;
    for (part, bytes) in text.as_chunks::<8>().0.iter().enumerate() {
        let mut found = 0u64;
        for (at, byte) in bytes.iter().enumerate() {
            found |= u64::from(needles.contains(byte)) << at;
        }
        bits |= found << (part * 8);
    }
    bits
}

/// The bits of the bytes from `base` on; those beyond the end are not set.
#[inline]
pub(super) fn mask_at<const N: usize>(text: &[u8], base: usize, needles: [u8; N]) -> u64 {
    match text.get(base..).and_then(|rest| rest.first_chunk::<STEP>()) {
        Some(step) => mask(step, needles),
        None => last_mask(text, base, needles),
    }
}

#[cold]
fn last_mask<const N: usize>(text: &[u8], base: usize, needles: [u8; N]) -> u64 {
    let rest = text.get(base..).unwrap_or_default();
    let mut step = [0; STEP];
    step[..rest.len()].copy_from_slice(rest);
    mask(&step, needles) & !(u64::MAX << rest.len())
}

/// Where in a text the needles are, from front to back.
pub(super) struct Finder<'a, const N: usize> {
    text: &'a [u8],
    needles: [u8; N],
    base: usize,
    /// Needles from `base` on that were not given yet.
    bits: u64,
}

impl<'a, const N: usize> Finder<'a, N> {
    pub(super) fn new(text: &'a [u8], from: usize, needles: [u8; N]) -> Self {
        Self { text, needles, base: from, bits: mask_at(text, from, needles) }
    }

    /// The next place.
    #[inline]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            self.base += STEP;
            if self.base >= self.text.len() {
                // Stays at the end, whatever is asked.
                self.base -= STEP;
                return None;
            }
            self.bits = mask_at(self.text, self.base, self.needles);
        }
        let at = self.base + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(at)
    }

    /// Gives none before `at` any more.
    #[inline]
    pub(super) fn skip_to(&mut self, at: usize) {
        if at < self.base + STEP {
            self.bits &= u64::MAX << at.saturating_sub(self.base);
        } else {
            self.base = at.min(self.text.len());
            self.bits = mask_at(self.text, self.base, self.needles);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_loop_finds() {
        let text: Vec<u8> =
            (0..1000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 27) as u8).collect();
        for len in [0, 1, 15, 63, 64, 65, 127, 128, 1000] {
            for from in [0, 1, 63, 64, len] {
                let text = &text[..len];
                let mut finder = Finder::new(text, from, [3, 7, 0]);
                let found: Vec<usize> = std::iter::from_fn(|| finder.next()).collect();
                let expected: Vec<usize> =
                    (from..len).filter(|&at| matches!(text[at], 3 | 7 | 0)).collect();
                assert_eq!(found, expected, "{len} {from}");
                assert_eq!(finder.next(), None);
            }
        }
    }

    #[test]
    fn skips() {
        let text = [b'x'; 300];
        let mut finder = Finder::new(&text, 0, [b'x']);
        for at in [0, 5, 63, 64, 65, 200, 299] {
            finder.skip_to(at);
            assert_eq!(finder.next(), Some(at));
        }
        finder.skip_to(300);
        assert_eq!(finder.next(), None);
        finder.skip_to(301);
        assert_eq!(finder.next(), None);
    }
}
