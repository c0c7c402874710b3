//! Whether two answers are the same, in any order that the query allows.
//!
//! Both are sorted by the same columns, so these columns must agree position by
//! position, whatever the direction and wherever NULLs go. Rows that tie in them may
//! come in any order. Where a LIMIT cuts through a tie, which of the tied rows are in
//! the answer is open: they are counted, not compared.

use std::collections::HashMap;

use super::{Answer, Ordering, Value};

/// The outcome of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same, except for this many rows that tie at the limit.
    Same {
        /// Rows that were not compared.
        tied: usize,
    },
    /// Not the same: the first difference, in words.
    Different(String),
}

/// Compares an answer with the one that is known to be right.
pub fn differ(ordering: &Ordering, answer: &Answer, right: &Answer) -> Verdict {
    match compare(ordering, answer, right) {
        Ok(tied) => Verdict::Same { tied },
        Err(difference) => Verdict::Different(difference),
    }
}

type Row = Vec<Value>;

fn compare(ordering: &Ordering, answer: &Answer, right: &Answer) -> Result<usize, String> {
    let (columns, columns_right) = (answer.names.len(), right.names.len());
    if columns != columns_right {
        return Err(format!("{columns} columns instead of {columns_right}"));
    }
    let (rows, rows_right) = (&answer.rows, &right.rows);
    if rows.len() != rows_right.len() {
        return Err(format!("{} rows instead of {}", rows.len(), rows_right.len()));
    }
    if rows.iter().zip(rows_right).all(|(row, row_right)| agree(row, row_right)) {
        return Ok(0);
    }
    let keys_agree = |a: &Row, b: &Row| ordering.columns.iter().all(|c| a[*c].agrees(&b[*c]));
    if let Some(at) = (0..rows.len()).find(|at| !keys_agree(&rows[*at], &rows_right[*at])) {
        return Err(format!(
            "row {} is {} instead of {}",
            at + 1,
            text(&rows[at]),
            text(&rows_right[at])
        ));
    }
    let mut from = 0;
    while from < rows_right.len() {
        let first = &rows_right[from];
        let tied = rows_right[from..].iter().take_while(|row| keys_agree(row, first)).count();
        let to = from + tied;
        let matched = same_rows(&rows[from..to], &rows_right[from..to]);
        if let Err(difference) = matched {
            let is_cut = to == rows.len() && ordering.limit == Some(rows.len());
            return if is_cut { Ok(tied) } else { Err(difference) };
        }
        from = to;
    }
    Ok(0)
}

/// Whether both have the same rows in any order. Rows are looked up by what is exact in
/// them; numbers with a tolerance are then compared one by one.
fn same_rows(rows: &[Row], right: &[Row]) -> Result<(), String> {
    let columns = right.first().map_or(0, Vec::len);
    let is_approximate = |c: usize| rows.iter().chain(right).any(|row| row[c].is_approximate());
    let exact: Vec<usize> = (0..columns).filter(|c| !is_approximate(*c)).collect();
    let key = |row: &Row| -> Vec<String> { exact.iter().map(|c| row[*c].to_string()).collect() };
    let mut waiting: HashMap<Vec<String>, Vec<&Row>> = HashMap::new();
    for row in right {
        waiting.entry(key(row)).or_default().push(row);
    }
    for row in rows {
        let candidates = waiting.get_mut(&key(row));
        let found = candidates.and_then(|candidates| {
            let at = candidates.iter().position(|candidate| agree(row, candidate))?;
            Some(candidates.swap_remove(at))
        });
        if found.is_none() {
            return Err(format!("the row {} should not be there", text(row)));
        }
    }
    Ok(())
}

fn agree(a: &Row, b: &Row) -> bool {
    a.iter().zip(b).all(|(a, b)| a.agrees(b))
}

fn text(row: &Row) -> String {
    let cells: Vec<String> = row.iter().map(Value::to_string).collect();
    format!("({})", cells.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[(i128, &str, f64)]) -> Answer {
        let row = |(a, b, c): &(i128, &str, f64)| {
            vec![Value::Integer(*a), Value::Text((*b).to_owned()), Value::Float(*c)]
        };
        Answer {
            names: ["a", "b", "c"].map(str::to_owned).to_vec(),
            rows: rows.iter().map(row).collect(),
        }
    }

    fn by(columns: &[usize], limit: Option<usize>) -> Ordering {
        Ordering { columns: columns.to_vec(), limit }
    }

    fn is_different(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Different(_))
    }

    const RIGHT: [(i128, &str, f64); 3] = [(1, "x", 0.5), (1, "y", 1.5), (2, "z", 2.5)];
    const SAME: Verdict = Verdict::Same { tied: 0 };

    #[test]
    fn the_same_rows_are_the_same_and_floats_have_a_tolerance() {
        let other = answer(&[(1, "x", 0.5 + 1e-12), (1, "y", 1.5), (2, "z", 2.500_000_1)]);
        assert_eq!(differ(&by(&[0], None), &other, &answer(&RIGHT)), SAME);
        assert_eq!(differ(&by(&[], None), &other, &answer(&RIGHT)), SAME);
    }

    #[test]
    fn a_wrong_value_a_missing_row_and_a_doubled_row_are_found() {
        for other in [
            answer(&[(1, "x", 0.6), (1, "y", 1.5), (2, "z", 2.5)]),
            answer(&[(1, "x", 0.5), (1, "y", 1.5), (2, "w", 2.5)]),
            answer(&[(1, "x", 0.5), (1, "y", 1.5)]),
            answer(&[(1, "x", 0.5), (1, "x", 0.5), (2, "z", 2.5)]),
        ] {
            for columns in [&[][..], &[0], &[0, 1]] {
                let verdict = differ(&by(columns, None), &other, &answer(&RIGHT));
                assert!(is_different(&verdict), "{other:?} ordered by {columns:?}");
            }
        }
        let narrow = Answer { names: vec!["a".into()], rows: Vec::new() };
        assert!(is_different(&differ(&by(&[], None), &narrow, &answer(&RIGHT))));
    }

    #[test]
    fn order_matters_where_the_query_orders_and_ties_are_free() {
        let tie = answer(&[(1, "y", 1.5), (1, "x", 0.5), (2, "z", 2.5)]);
        assert_eq!(differ(&by(&[0], None), &tie, &answer(&RIGHT)), SAME);
        assert!(is_different(&differ(&by(&[0, 1], None), &tie, &answer(&RIGHT))));
        let wrong = answer(&[(2, "z", 2.5), (1, "x", 0.5), (1, "y", 1.5)]);
        assert!(is_different(&differ(&by(&[0], None), &wrong, &answer(&RIGHT))));
        assert_eq!(differ(&by(&[], None), &wrong, &answer(&RIGHT)), SAME);
    }

    #[test]
    fn a_limit_may_cut_through_a_tie_but_only_there() {
        let right = answer(&[(1, "x", 0.5), (2, "y", 1.5), (2, "z", 2.5)]);
        let other = answer(&[(1, "x", 0.5), (2, "y", 1.5), (2, "w", 9.5)]);
        assert_eq!(differ(&by(&[0], Some(3)), &other, &right), Verdict::Same { tied: 2 });
        assert!(is_different(&differ(&by(&[0], Some(4)), &other, &right)));
        let early = answer(&[(1, "w", 0.5), (2, "y", 1.5), (2, "z", 2.5)]);
        assert!(is_different(&differ(&by(&[0], Some(3)), &early, &right)));
    }
}
