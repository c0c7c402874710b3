//! What a distance is.

use crate::kernel;

/// A way to say how far apart two vectors are: smaller is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Euclidean distance.
    L2,
    /// Negative inner product, so that the largest product is nearest.
    NegativeInnerProduct,
    /// One minus the cosine of the angle; NaN when a vector has no length.
    Cosine,
    /// Sum of absolute differences.
    L1,
}

impl Metric {
    /// The distance of two vectors of equal length.
    pub fn distance(self, a: &[f32], b: &[f32]) -> f64 {
        let rank = match self {
            Self::L2 => f64::from(kernel::squared_l2(a, b)),
            Self::NegativeInnerProduct => -f64::from(kernel::dot(a, b)),
            Self::L1 => f64::from(kernel::l1(a, b)),
            Self::Cosine => {
                let (dot, square) = kernel::dot_and_square(a, b);
                cosine(dot, kernel::dot(a, a), square)
            }
        };
        self.distance_of_rank(rank)
    }

    /// Calls `each` with the row's number and its *rank* against `query` for each
    /// row of `rows`, which lie end to end. Ranks order like distances and cost
    /// less; [`Self::distance_of_rank`] turns one into the other.
    #[inline]
    pub(crate) fn ranks(self, query: &[f32], rows: &[f32], mut each: impl FnMut(usize, f64)) {
        match self {
            Self::L2 => kernel::squared_l2_rows(query, rows, |row, d| each(row, f64::from(d))),
            Self::NegativeInnerProduct => {
                kernel::dot_rows(query, rows, |row, d| each(row, -f64::from(d)))
            }
            Self::L1 => kernel::l1_rows(query, rows, |row, d| each(row, f64::from(d))),
            Self::Cosine => {
                let square = kernel::dot(query, query);
                kernel::dot_and_square_rows(query, rows, |row, (dot, row_square)| {
                    each(row, cosine(dot, square, row_square));
                });
            }
        }
    }

    /// The distance that a rank stands for.
    #[inline]
    pub(crate) fn distance_of_rank(self, rank: f64) -> f64 {
        match self {
            Self::L2 => rank.sqrt(),
            Self::NegativeInnerProduct | Self::Cosine | Self::L1 => rank,
        }
    }
}

/// Rounding may take a cosine out of [-1, 1]: it is brought back, as pgvector does.
#[inline]
fn cosine(dot: f32, a_square: f32, b_square: f32) -> f64 {
    let cosine = f64::from(dot) / (f64::from(a_square) * f64::from(b_square)).sqrt();
    1.0 - cosine.clamp(-1.0, 1.0)
}
