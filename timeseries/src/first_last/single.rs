//! The winner of one group.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;

use super::{End, times};

/// The best time so far, and its value.
#[derive(Debug)]
pub(super) struct Winner {
    end: End,
    time: Option<i64>,
    value: ScalarValue,
}

impl Winner {
    pub(super) fn new(end: End, value: &DataType) -> Result<Self> {
        Ok(Self { end, time: None, value: ScalarValue::try_new_null(value)? })
    }
}

impl Accumulator for Winner {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values, column] = values else {
            return internal_err!("first and last take a value and a time");
        };
        let times = times(column)?;
        let mut best = None;
        for (row, time) in times.iter().enumerate() {
            let Some(time) = time else { continue };
            if self.time.is_none_or(|other| self.end.beats(time, other)) {
                self.time = Some(time);
                best = Some(row);
            }
        }
        if let Some(row) = best {
            self.value = ScalarValue::try_from_array(values, row)?;
            // A view or a list element would keep the whole batch alive.
            self.value.compact();
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::Int64(self.time)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) - size_of_val(&self.value) + self.value.size()
    }
}
