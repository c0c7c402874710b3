//! The kernels in plain Rust: eight independent sums, which compilers turn into
//! whatever vector instructions the target has.

const LANES: usize = 8;

#[inline]
fn fold<const N: usize>(a: &[f32], b: &[f32], step: impl Fn(&mut [f32; N], f32, f32)) -> [f32; N] {
    let mut sums = [[0f32; N]; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            step(&mut sums[lane], x[lane], y[lane]);
        }
    }
    for (x, y) in a_rest.iter().zip(b_rest) {
        step(&mut sums[0], *x, *y);
    }
    let mut total = [0f32; N];
    for lane in sums {
        for (t, s) in total.iter_mut().zip(lane) {
            *t += s;
        }
    }
    total
}

/// Sum of squared differences.
pub fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    let [sum] = fold(a, b, |[sum], x, y| *sum += (x - y) * (x - y));
    sum
}

/// Inner product.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let [sum] = fold(a, b, |[sum], x, y| *sum += x * y);
    sum
}

/// Sum of absolute differences.
pub fn l1(a: &[f32], b: &[f32]) -> f32 {
    let [sum] = fold(a, b, |[sum], x, y| *sum += (x - y).abs());
    sum
}

/// Inner product, and that of `b` with itself.
pub fn dot_and_square(a: &[f32], b: &[f32]) -> (f32, f32) {
    let [dot, square] = fold(a, b, |[dot, square], x, y| {
        *dot += x * y;
        *square += y * y;
    });
    (dot, square)
}
