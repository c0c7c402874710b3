//! What is left out: columns that do not fit, the ends of long values; and numbers
//! that are easy to read.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A text column is not made narrower than this to let others fit.
const TEXT_WIDTH_MIN: usize = 16;
/// Bars and spaces around one cell.
const CELL_FRAME: usize = 3;

/// A column's demand for space.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Width of its widest value, name or type.
    pub width: usize,
    /// Whether its values may be cut.
    pub may_shrink: bool,
}

/// A column that is shown, or the gap where some are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A column, by index, at this width.
    Column {
        /// Index in the result.
        index: usize,
        /// Width inside the cell.
        width: usize,
    },
    /// Stands for one or more columns.
    Gap,
}

/// Chooses columns and widths so that a row fits into `limit`. The first column is
/// always shown.
pub fn fit(demands: &[Demand], limit: Option<usize>) -> Vec<Slot> {
    let mut widths: Vec<usize> = demands.iter().map(|d| d.width).collect();
    let limit = limit.unwrap_or(usize::MAX);
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + CELL_FRAME * widths.len() + 1;
    while total(&widths) > limit {
        let widest = (0..widths.len())
            .filter(|&i| demands[i].may_shrink && widths[i] > TEXT_WIDTH_MIN)
            .max_by_key(|&i| widths[i]);
        let Some(widest) = widest else { break };
        let excess = total(&widths) - limit;
        let second = (0..widths.len())
            .filter(|&i| i != widest && demands[i].may_shrink)
            .map(|i| widths[i])
            .max()
            .unwrap_or(0);
        // Down to the next widest at most, so that equals shrink together.
        let floor = second.clamp(TEXT_WIDTH_MIN, widths[widest] - 1);
        widths[widest] = widths[widest].saturating_sub(excess).max(floor);
    }
    if total(&widths) <= limit {
        return widths
            .iter()
            .enumerate()
            .map(|(index, &width)| Slot::Column { index, width })
            .collect();
    }
    let (left, right) = ends(&widths, limit);
    let column = |index: usize| Slot::Column { index, width: widths[index] };
    (0..left)
        .map(column)
        .chain([Slot::Gap])
        .chain((widths.len() - right..widths.len()).map(column))
        .collect()
}

/// How many columns fit from the left and from the right, with a gap between.
fn ends(widths: &[usize], limit: usize) -> (usize, usize) {
    let (mut left, mut right) = (1, 0);
    let mut used = widths[0] + CELL_FRAME + (1 + CELL_FRAME) + 1;
    while left + right < widths.len() - 1 {
        let from_left = left <= right + 1;
        let next = if from_left { widths[left] } else { widths[widths.len() - 1 - right] };
        if used + next + CELL_FRAME > limit {
            break;
        }
        used += next + CELL_FRAME;
        if from_left { left += 1 } else { right += 1 }
    }
    (left, right)
}

/// `text` cut to `width` terminal columns, with `…` where something was cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// A count with a comma between thousands.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(width: usize) -> Demand {
        Demand { width, may_shrink: true }
    }

    fn shown(slots: &[Slot]) -> usize {
        slots
            .iter()
            .map(|s| match s {
                Slot::Column { width, .. } => width + CELL_FRAME,
                Slot::Gap => 1 + CELL_FRAME,
            })
            .sum::<usize>()
            + 1
    }

    #[test]
    fn everything_is_shown_without_a_limit() {
        let slots = fit(&[demand(500), demand(3)], None);
        assert_eq!(
            slots,
            [Slot::Column { index: 0, width: 500 }, Slot::Column { index: 1, width: 3 }]
        );
    }

    #[test]
    fn wide_text_is_cut_before_columns_are_dropped() {
        let slots = fit(&[demand(100), demand(90), demand(5)], Some(80));
        assert_eq!(slots.len(), 3);
        assert!(shown(&slots) <= 80);
        assert!(
            matches!((slots[0], slots[1]), (Slot::Column { width: a, .. }, Slot::Column { width: b, .. }) if a.abs_diff(b) <= 1)
        );
    }

    #[test]
    fn the_middle_is_dropped_when_nothing_else_helps() {
        let demands = vec![Demand { width: 10, may_shrink: false }; 30];
        let slots = fit(&demands, Some(80));
        assert!(shown(&slots) <= 80);
        assert_eq!(slots[0], Slot::Column { index: 0, width: 10 });
        assert_eq!(slots.last(), Some(&Slot::Column { index: 29, width: 10 }));
        assert!(slots.contains(&Slot::Gap));
    }

    #[test]
    fn one_column_is_shown_however_narrow_the_terminal() {
        let slots = fit(&[Demand { width: 50, may_shrink: false }, demand(5)], Some(20));
        assert_eq!(slots, [Slot::Column { index: 0, width: 50 }, Slot::Gap]);
    }

    #[test]
    fn cutting_counts_terminal_columns() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello", 4), "hel…");
        assert_eq!(cut("日本語", 4), "日…");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
