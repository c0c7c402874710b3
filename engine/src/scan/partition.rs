//! Parts to partitions: partition *i* reads exactly its own list of pieces.

/// Pieces are not made smaller than this: it is the granularity of zone maps.
const MIN_PIECE_ROWS: u64 = sheaf_formats::statistics::ZONE_ROWS as u64;
/// Rows below which another partition costs more than it gives.
const MIN_PARTITION_ROWS: u64 = 16_384;
/// A partition may be this much larger than the average before parts are split.
const MAX_IMBALANCE: f64 = 1.15;

/// A piece of a part: the `nth` of `of` equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Index of the part in the snapshot.
    pub(super) part: usize,
    pub(super) nth: usize,
    pub(super) of: usize,
    /// About so many rows.
    pub(super) rows: u64,
}

/// Divides `parts`, by index and number of rows, over at most `target` partitions
/// of about equal size. There is always one partition, even without parts.
pub(super) fn divide(parts: &[(usize, u64)], target: usize) -> Vec<Vec<Piece>> {
    let total: u64 = parts.iter().map(|(_, rows)| rows).sum();
    let useful = usize::try_from(total / MIN_PARTITION_ROWS).unwrap_or(usize::MAX);
    let count = target.min(useful).max(1);
    let whole = pieces(parts, u64::MAX);
    let assigned = assign(whole, count);
    let largest = assigned.iter().map(|p| p.iter().map(|piece| piece.rows).sum::<u64>()).max();
    let average = total as f64 / count as f64;
    if largest.unwrap_or(0) as f64 <= average * MAX_IMBALANCE {
        return assigned;
    }
    // A quarter of a partition at most: any mix of sizes then evens out, and one
    // large part becomes exactly one piece per partition when it is alone.
    let at_most =
        if parts.len() == 1 { total.div_ceil(count as u64) } else { total / (4 * count as u64) };
    assign(pieces(parts, at_most.max(MIN_PIECE_ROWS.min(total.div_ceil(count as u64)))), count)
}

fn pieces(parts: &[(usize, u64)], at_most: u64) -> Vec<Piece> {
    parts
        .iter()
        .flat_map(|&(part, rows)| {
            let of = usize::try_from(rows.div_ceil(at_most)).unwrap_or(usize::MAX).max(1);
            (0..of).map(move |nth| Piece { part, nth, of, rows: rows / of as u64 })
        })
        .collect()
}

/// The largest piece goes to the emptiest partition, and so on; then each partition
/// reads its pieces in the order of the table.
fn assign(mut pieces: Vec<Piece>, count: usize) -> Vec<Vec<Piece>> {
    pieces.sort_by(|a, b| b.rows.cmp(&a.rows).then((a.part, a.nth).cmp(&(b.part, b.nth))));
    let mut partitions = vec![(0u64, Vec::new()); count];
    for piece in pieces {
        if let Some((rows, list)) = partitions.iter_mut().min_by_key(|(rows, _)| *rows) {
            *rows += piece.rows;
            list.push(piece);
        }
    }
    partitions
        .into_iter()
        .map(|(_, mut list)| {
            list.sort_by_key(|piece| (piece.part, piece.nth));
            list
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_part_is_read_once_and_evenly(
            rows in prop::collection::vec(0u64..3_000_000, 0..20),
            target in 1usize..9,
        ) {
            let parts: Vec<(usize, u64)> = rows.iter().copied().enumerate().collect();
            let partitions = divide(&parts, target);
            prop_assert!((1..=target).contains(&partitions.len()));
            let mut read = vec![vec![]; parts.len()];
            for piece in partitions.iter().flatten() {
                read[piece.part].push((piece.nth, piece.of));
            }
            for mut pieces in read {
                pieces.sort();
                let of = pieces.len();
                let want: Vec<_> = (0..of).map(|nth| (nth, of)).collect();
                prop_assert_eq!(pieces, want);
            }
            let total: u64 = rows.iter().sum();
            let largest = partitions.iter().map(|p| p.iter().map(|x| x.rows).sum::<u64>()).max().unwrap_or(0);
            prop_assert!(largest <= total / partitions.len() as u64 * 3 / 2 + 2 * MIN_PIECE_ROWS);
        }
    }

    #[test]
    fn one_large_part_is_split_and_a_small_one_is_not() {
        let split = divide(&[(0, 1_000_000)], 2);
        assert_eq!(
            split,
            [
                [Piece { part: 0, nth: 0, of: 2, rows: 500_000 }],
                [Piece { part: 0, nth: 1, of: 2, rows: 500_000 }],
            ]
        );
        assert_eq!(divide(&[(0, 1_000)], 2).len(), 1);
        assert_eq!(divide(&[], 2), [[]]);
    }
}
