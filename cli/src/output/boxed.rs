//! Results as a box: names, types, values, and a line that says how many.
//!
//! Memory stays bounded: only the first and the last rows are kept while a result
//! streams by.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use nu_ansi_term::Style;
use sheafdb::sql_name;
use unicode_width::UnicodeWidthStr;

use super::cell::{Cells, printable};
use super::elide::{Demand, Slot, cut, fit, grouped};
use super::{ResultSink, View};

const NULL: &str = "NULL";

/// A row's values; `None` is NULL.
type Row = Vec<Option<String>>;

/// Draws one result.
pub struct BoxSink<'a> {
    schema: SchemaRef,
    view: View,
    out: &'a mut dyn Write,
    rows: u64,
    head: Vec<Row>,
    head_max: usize,
    tail: VecDeque<RecordBatch>,
    tail_rows: usize,
    tail_max: usize,
}

impl<'a> BoxSink<'a> {
    /// Draws to `out` when it is finished.
    pub fn new(schema: SchemaRef, view: View, out: &'a mut dyn Write) -> Self {
        let (head_max, tail_max) = if view.max_rows == 0 {
            (usize::MAX, 0)
        } else {
            (view.max_rows.div_ceil(2), view.max_rows / 2)
        };
        Self {
            schema,
            view,
            out,
            rows: 0,
            head: Vec::new(),
            head_max,
            tail: VecDeque::new(),
            tail_rows: 0,
            tail_max,
        }
    }

    /// Drops rows of the tail that cannot be among the last any more.
    fn trim_tail(&mut self) {
        while self.tail_rows > self.tail_max {
            let excess = self.tail_rows - self.tail_max;
            let Some(front) = self.tail.pop_front() else { break };
            let dropped = excess.min(front.num_rows());
            if dropped < front.num_rows() {
                self.tail.push_front(front.slice(dropped, front.num_rows() - dropped));
            }
            self.tail_rows -= dropped;
        }
    }

    fn draw(&mut self, head: &[Row], tail: &[Row], elapsed: Duration) -> std::io::Result<()> {
        let names: Vec<String> = self.schema.fields().iter().map(|f| printable(f.name())).collect();
        let types: Vec<String> =
            self.schema.fields().iter().map(|f| sql_name(f.data_type())).collect();
        let demands: Vec<Demand> = (0..names.len())
            .map(|i| {
                let values = || head.iter().chain(tail).filter_map(|row| row[i].as_deref());
                let widest =
                    values().flat_map(str::lines).map(UnicodeWidthStr::width).max().unwrap_or(0);
                let null = if head.iter().chain(tail).any(|row| row[i].is_none()) {
                    NULL.len()
                } else {
                    0
                };
                Demand {
                    width: widest.max(null).max(names[i].width()).max(types[i].width()).max(1),
                    may_shrink: !is_number(self.schema.field(i).data_type())
                        && !values().any(|v| v.contains('\n')),
                }
            })
            .collect();
        if !demands.is_empty() {
            let slots = fit(&demands, self.view.width);
            let numbers: Vec<bool> =
                self.schema.fields().iter().map(|f| is_number(f.data_type())).collect();
            let mut grid = Grid {
                slots: &slots,
                numbers: &numbers,
                color: self.view.color,
                out: &mut *self.out,
            };
            grid.rule('┌', '┬', '┐')?;
            grid.line(&names.into_iter().map(Some).collect::<Row>(), Style::new().bold())?;
            grid.line(&types.into_iter().map(Some).collect::<Row>(), Style::new().dimmed())?;
            grid.rule('├', '┼', '┤')?;
            for row in head {
                grid.line(row, Style::new())?;
            }
            if self.rows > (head.len() + tail.len()) as u64 {
                grid.line(&vec![Some("⋮".to_owned()); demands.len()], Style::new().dimmed())?;
            }
            for row in tail {
                grid.line(row, Style::new())?;
            }
            grid.rule('└', '┴', '┘')?;
            self.footer(&slots, head.len() + tail.len(), elapsed)
        } else {
            self.footer(&[], head.len() + tail.len(), elapsed)
        }
    }

    fn footer(
        &mut self,
        slots: &[Slot],
        rows_shown: usize,
        elapsed: Duration,
    ) -> std::io::Result<()> {
        let columns = self.schema.fields().len();
        let columns_shown = slots.iter().filter(|s| matches!(s, Slot::Column { .. })).count();
        let count = |n: u64, what: &str, shown: usize| {
            let plural = if n == 1 { "" } else { "s" };
            let some = if (shown as u64) < n {
                format!(" ({} shown)", grouped(shown as u64))
            } else {
                String::new()
            };
            format!("{} {what}{plural}{some}", grouped(n))
        };
        let mut text = format!(
            "{} · {}",
            count(self.rows, "row", rows_shown),
            count(columns as u64, "column", columns_shown)
        );
        if self.view.timer {
            text.push_str(&format!(" · {:.3} s", elapsed.as_secs_f64()));
        }
        writeln!(self.out, "{}", paint(Style::new().dimmed(), self.view.color, &text))?;
        self.out.flush()
    }
}

impl ResultSink for BoxSink<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.rows += batch.num_rows() as u64;
        let to_head = batch.num_rows().min(self.head_max - self.head.len());
        if to_head > 0 {
            self.head.extend(rows_of(&batch.slice(0, to_head))?);
        }
        if to_head < batch.num_rows() && self.tail_max > 0 {
            self.tail_rows += batch.num_rows() - to_head;
            self.tail.push_back(batch.slice(to_head, batch.num_rows() - to_head));
            self.trim_tail();
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, elapsed: Duration) -> Result<(), ArrowError> {
        let mut tail = Vec::with_capacity(self.tail_rows);
        for batch in &self.tail {
            tail.extend(rows_of(batch)?);
        }
        let head = std::mem::take(&mut self.head);
        Ok(self.draw(&head, &tail, elapsed)?)
    }
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Row>, ArrowError> {
    let columns = batch.columns().iter().map(Cells::new).collect::<Result<Vec<_>, _>>()?;
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| Ok(c.text(row)?.as_deref().map(printable))).collect())
        .collect()
}

fn paint(style: Style, color: bool, text: &str) -> String {
    if color { style.paint(text).to_string() } else { text.to_owned() }
}

/// The lines of a box.
struct Grid<'a> {
    slots: &'a [Slot],
    numbers: &'a [bool],
    color: bool,
    out: &'a mut dyn Write,
}

impl Grid<'_> {
    fn rule(&mut self, left: char, middle: char, right: char) -> std::io::Result<()> {
        let parts: Vec<String> = self
            .slots
            .iter()
            .map(|slot| match slot {
                Slot::Column { width, .. } => "─".repeat(width + 2),
                Slot::Gap => "─".repeat(3),
            })
            .collect();
        writeln!(self.out, "{left}{}{right}", parts.join(&middle.to_string()))
    }

    /// One row: as many lines as its tallest value has.
    fn line(&mut self, row: &Row, style: Style) -> std::io::Result<()> {
        let height = row.iter().flatten().map(|v| v.lines().count()).max().unwrap_or(1).max(1);
        for y in 0..height {
            let cells: Vec<String> =
                self.slots.iter().map(|slot| self.cell(row, *slot, y, style)).collect();
            writeln!(self.out, "│ {} │", cells.join(" │ "))?;
        }
        Ok(())
    }

    fn cell(&self, row: &Row, slot: Slot, y: usize, style: Style) -> String {
        let Slot::Column { index, width } = slot else {
            return paint(Style::new().dimmed(), self.color, "…");
        };
        let (text, style) = match &row[index] {
            Some(value) => (cut(value.lines().nth(y).unwrap_or(""), width), style),
            None if y == 0 => (NULL.to_owned(), Style::new().dimmed().italic()),
            None => (String::new(), style),
        };
        let pad = " ".repeat(width.saturating_sub(text.width()));
        let text = paint(style, self.color, &text);
        if self.numbers[index] { pad + &text } else { text + &pad }
    }
}

/// Whether values of the type line up at their last digit.
fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_number(value),
        other => other.is_numeric(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn a_dictionary_of_numbers_is_a_number() {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int64));
        assert!(is_number(&dictionary));
        assert!(!is_number(&DataType::Utf8));
    }

    fn draw(batches: &[RecordBatch], width: Option<usize>, max_rows: usize) -> String {
        let view = View { color: false, width, max_rows, timer: true };
        let mut out = Vec::new();
        let mut sink = Box::new(BoxSink::new(batches[0].schema(), view, &mut out));
        for batch in batches {
            sink.push(batch).unwrap();
        }
        sink.finish(Duration::from_millis(12)).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn people() -> RecordBatch {
        let name: ArrayRef = Arc::new(StringArray::from(vec![Some("Ada"), None, Some("a\nb")]));
        let n: ArrayRef = Arc::new(Int64Array::from(vec![Some(36), Some(1_000), None]));
        let x: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 1.0, -2.25]));
        RecordBatch::try_from_iter_with_nullable([
            ("name", name, true),
            ("n", n, true),
            ("x", x, false),
        ])
        .unwrap()
    }

    #[test]
    fn names_types_values_and_counts() {
        let expected = "\
┌──────┬────────┬────────┐
│ name │      n │      x │
│ text │ bigint │ double │
├──────┼────────┼────────┤
│ Ada  │     36 │    0.5 │
│ NULL │   1000 │    1.0 │
│ a    │   NULL │  -2.25 │
│ b    │        │        │
└──────┴────────┴────────┘
3 rows · 3 columns · 0.012 s
";
        assert_eq!(draw(&[people()], None, 40), expected);
    }

    #[test]
    fn the_middle_rows_of_many_batches_are_left_out() {
        let batches: Vec<RecordBatch> = (0..100)
            .map(|i| {
                let n: ArrayRef = Arc::new(Int64Array::from_iter_values(i * 13..(i + 1) * 13));
                RecordBatch::try_from_iter([("n", n)]).unwrap()
            })
            .collect();
        let expected = "\
┌────────┐
│      n │
│ bigint │
├────────┤
│      0 │
│      1 │
│      2 │
│      ⋮ │
│   1298 │
│   1299 │
└────────┘
1,300 rows (5 shown) · 1 column · 0.012 s
";
        assert_eq!(draw(&batches, None, 5), expected);
        assert_eq!(draw(&batches, None, 0).lines().count(), 1_300 + 6);
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_and_counted() {
        let columns = (0..20)
            .map(|i| (format!("column_{i:02}"), Arc::new(Int64Array::from(vec![i])) as ArrayRef));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let text = draw(&[batch], Some(60), 40);
        assert!(text.lines().all(|line| line.width() <= 60), "{text}");
        assert!(text.contains("20 columns (4 shown)"), "{text}");
    }

    #[test]
    fn an_empty_result_still_shows_its_columns() {
        let text = draw(&[people().slice(0, 0)], None, 40);
        assert!(text.contains("│ name │"), "{text}");
        assert!(text.contains("0 rows · 3 columns"), "{text}");
    }
}
