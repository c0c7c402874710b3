//! The kernels with AVX2 and FMA intrinsics: the only `unsafe` code of this crate.
//!
//! Each loop keeps four sums of eight lanes, enough to hide the latency of a
//! fused multiply-add; the last few elements come in through a masked load.

use std::arch::x86_64::*;

/// Whether this CPU has what the functions of this module need. The answer is
/// cached by the standard library.
#[inline]
pub fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

const LANES: usize = 8;
const UNROLL: usize = 4;

/// A mask whose first `n` lanes are set.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn mask(n: usize) -> __m256i {
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lanes)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum(v: __m256) -> f32 {
    let quad = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let pair = _mm_add_ps(quad, _mm_movehl_ps(quad, quad));
    _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn step_squared_l2([acc]: [__m256; 1], x: __m256, y: __m256) -> [__m256; 1] {
    let d = _mm256_sub_ps(x, y);
    [_mm256_fmadd_ps(d, d, acc)]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn step_dot([acc]: [__m256; 1], x: __m256, y: __m256) -> [__m256; 1] {
    [_mm256_fmadd_ps(x, y, acc)]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn step_l1([acc]: [__m256; 1], x: __m256, y: __m256) -> [__m256; 1] {
    let magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
    [_mm256_add_ps(acc, _mm256_and_ps(_mm256_sub_ps(x, y), magnitude))]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn step_dot_and_square([dot, square]: [__m256; 2], x: __m256, y: __m256) -> [__m256; 2] {
    [_mm256_fmadd_ps(x, y, dot), _mm256_fmadd_ps(y, y, square)]
}

macro_rules! kernel {
    ($name:ident -> $out:ty, rows $rows:ident, $step:ident, sums $n:literal, $finish:expr) => {
        /// See the function of the same name one module up.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub fn $name(a: &[f32], b: &[f32]) -> $out {
            let len = a.len().min(b.len());
            let mut acc = [[_mm256_setzero_ps(); $n]; UNROLL];
            let mut at = 0;
            while at + UNROLL * LANES <= len {
                for (unroll, acc) in acc.iter_mut().enumerate() {
                    // SAFETY: lanes `at + 8 * unroll ..+ 8` end at or before `len`,
                    // which neither slice is shorter than; the loads are unaligned.
                    let (x, y) = unsafe {
                        (
                            _mm256_loadu_ps(a.as_ptr().add(at + LANES * unroll)),
                            _mm256_loadu_ps(b.as_ptr().add(at + LANES * unroll)),
                        )
                    };
                    *acc = $step(*acc, x, y);
                }
                at += UNROLL * LANES;
            }
            while at < len {
                let mask = mask(len - at);
                // SAFETY: `at < len`, and the masked load touches only lanes below
                // `len - at`; the others read as zero and add nothing.
                let (x, y) = unsafe {
                    (
                        _mm256_maskload_ps(a.as_ptr().add(at), mask),
                        _mm256_maskload_ps(b.as_ptr().add(at), mask),
                    )
                };
                acc[0] = $step(acc[0], x, y);
                at += LANES;
            }
            let mut totals = [0f32; $n];
            for (i, total) in totals.iter_mut().enumerate() {
                *total = sum(_mm256_add_ps(
                    _mm256_add_ps(acc[0][i], acc[1][i]),
                    _mm256_add_ps(acc[2][i], acc[3][i]),
                ));
            }
            $finish(totals)
        }

        /// See the function of the same name one module up.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub fn $rows(query: &[f32], rows: &[f32], mut each: impl FnMut(usize, $out)) {
            for (row, vector) in rows.chunks_exact(query.len()).enumerate() {
                each(row, $name(query, vector));
            }
        }
    };
}

kernel!(squared_l2 -> f32, rows squared_l2_rows, step_squared_l2, sums 1, |[s]: [f32; 1]| s);
kernel!(dot -> f32, rows dot_rows, step_dot, sums 1, |[s]: [f32; 1]| s);
kernel!(l1 -> f32, rows l1_rows, step_l1, sums 1, |[s]: [f32; 1]| s);
kernel!(dot_and_square -> (f32, f32), rows dot_and_square_rows, step_dot_and_square, sums 2,
    |[d, s]: [f32; 2]| (d, s));
