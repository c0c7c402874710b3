//! Cuts a stream of batches into groups that are worth a job of their own.

use arrow::array::RecordBatch;

use crate::batch_bytes;

/// Groups of exactly so many rows, or fewer when they are large, or the last.
#[derive(Debug)]
pub(super) struct Gather {
    rows_max: usize,
    bytes_max: usize,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Gather {
    pub(super) fn new(rows_max: usize, bytes_max: usize) -> Self {
        Self { rows_max: rows_max.max(1), bytes_max, batches: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Takes a batch; `full` gets each group that it completes.
    pub(super) fn push<E>(
        &mut self,
        batch: RecordBatch,
        mut full: impl FnMut(Vec<RecordBatch>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while at < batch.num_rows() {
            let rows = (batch.num_rows() - at).min(self.rows_max - self.rows);
            let part = batch.slice(at, rows);
            at += rows;
            self.rows += rows;
            // Many batches may share one buffer.
            self.bytes += batch_bytes(&part);
            self.batches.push(part);
            if self.rows >= self.rows_max || self.bytes >= self.bytes_max {
                full(self.take())?;
            }
        }
        Ok(())
    }

    /// What has gathered.
    pub(super) fn take(&mut self) -> Vec<RecordBatch> {
        (self.rows, self.bytes) = (0, 0);
        std::mem::take(&mut self.batches)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn groups_have_the_rows_that_are_asked_for() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let groups = |rows, bytes| {
            let mut gather = Gather::new(rows, bytes);
            let mut groups: Vec<usize> = Vec::new();
            let count =
                |group: Vec<RecordBatch>| group.iter().map(RecordBatch::num_rows).sum::<usize>();
            for _ in 0..3 {
                gather
                    .push(batch.clone(), |group| {
                        groups.push(count(group));
                        Ok::<_, Infallible>(())
                    })
                    .unwrap();
            }
            groups.push(count(gather.take()));
            groups
        };
        assert_eq!(groups(7, usize::MAX), [7, 7, 7, 7, 2]);
        assert_eq!(groups(100, usize::MAX), [30]);
        assert_eq!(groups(100, 100), [20, 10]);
    }
}
