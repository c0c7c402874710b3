//! Sums over pairs of `f32` slices, with the fastest code the CPU has.
//!
//! Every function takes slices of equal length (asserted in debug builds; the
//! shorter length counts otherwise). The order of summation differs between
//! implementations, so results agree to rounding, not to the bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
pub mod portable;

macro_rules! dispatch {
    ($(#[$doc:meta])* $name:ident -> $out:ty, rows $rows:ident) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(a: &[f32], b: &[f32]) -> $out {
            debug_assert_eq!(a.len(), b.len());
            #[cfg(target_arch = "x86_64")]
            if avx2::available() {
                // SAFETY: `available` has found AVX2 and FMA on this CPU.
                return unsafe { avx2::$name(a, b) };
            }
            portable::$name(a, b)
        }

        /// The same for each row of `rows`, which lie end to end, each as long as
        /// `query`; calls `each` with the row's number and its result. A query of
        /// no dimensions has no rows.
        #[inline]
        pub fn $rows(query: &[f32], rows: &[f32], mut each: impl FnMut(usize, $out)) {
            if query.is_empty() {
                return;
            }
            #[cfg(target_arch = "x86_64")]
            if avx2::available() {
                // SAFETY: `available` has found AVX2 and FMA on this CPU.
                unsafe { avx2::$rows(query, rows, each) };
                return;
            }
            for (row, vector) in rows.chunks_exact(query.len()).enumerate() {
                each(row, portable::$name(query, vector));
            }
        }
    };
}

dispatch!(
    /// Sum of squared differences: the square of the Euclidean distance.
    squared_l2 -> f32, rows squared_l2_rows
);
dispatch!(
    /// Inner product.
    dot -> f32, rows dot_rows
);
dispatch!(
    /// Sum of absolute differences.
    l1 -> f32, rows l1_rows
);
dispatch!(
    /// Inner product, and the inner product of `b` with itself, in one pass: what
    /// the cosine against a fixed `a` needs.
    dot_and_square -> (f32, f32), rows dot_and_square_rows
);
