//! What a statement gave: rows as they come, or what it did.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use sheafdb::RowStream;
use sheafdb::core::cast_rows;

use crate::batches::{self, Batches};
use crate::errors::programming_error;
use crate::wait::Handle;

/// What a statement gave. Its rows can be taken once.
#[pyclass(frozen, module = "sheafdb._sheafdb")]
pub struct Output {
    handle: Handle,
    schema: Option<SchemaRef>,
    rows: Mutex<Taking>,
    /// As PostgreSQL says what was done: `INSERT 0 5`.
    #[pyo3(get)]
    tag: Option<String>,
    /// How many rows were changed, where that is counted.
    #[pyo3(get)]
    count: Option<u64>,
    /// What the user should know about it.
    #[pyo3(get)]
    notice: Option<String>,
}

/// What became of the rows.
enum Taking {
    /// They are to be had.
    Ready(RowStream),
    /// Somebody waits for the next, or took all.
    Taken,
    /// There are no more.
    Over,
    /// They ended with an error, which was raised.
    Failed,
}

impl Output {
    /// Takes what the engine gave.
    pub fn new(handle: Handle, output: sheafdb::Output) -> Self {
        let (schema, rows, tag, count, notice) = match output {
            sheafdb::Output::Rows { schema, stream } => {
                (Some(schema), Taking::Ready(stream), None, None, None)
            }
            sheafdb::Output::Done { tag, notice } => {
                (None, Taking::Over, Some(tag.to_string()), tag.rows, notice)
            }
        };
        Self { handle, schema, rows: Mutex::new(rows), tag, count, notice }
    }

    /// The rows that are left; `None` after the last.
    fn take(&self, py: Python<'_>) -> PyResult<Option<RowStream>> {
        let mut rows = self.rows.lock();
        match std::mem::replace(&mut *rows, Taking::Taken) {
            Taking::Ready(stream) => Ok(Some(stream)),
            Taking::Taken => Err(programming_error(py, "the rows are being taken already")),
            Taking::Over => {
                *rows = Taking::Over;
                Ok(None)
            }
            Taking::Failed => {
                *rows = Taking::Failed;
                let what = "the statement ended with an error before all of its rows had come";
                Err(programming_error(py, what))
            }
        }
    }

    /// The rows that are left, for whoever reads a stream of them with this schema.
    fn rows(&self, py: Python<'_>, schema: SchemaRef) -> PyResult<Rows> {
        let (handle, rows) = (self.handle.clone(), self.take(py)?);
        Ok(Rows { handle, rows, schema, ready: VecDeque::new() })
    }

    /// The columns of its rows.
    fn columns(&self) -> SchemaRef {
        self.schema.clone().unwrap_or_else(|| Arc::new(Schema::empty()))
    }
}

#[pymethods]
impl Output {
    /// Whether it gives rows.
    #[getter]
    fn has_rows(&self) -> bool {
        self.schema.is_some()
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        batches::names(&self.columns()).into_iter().map(str::to_owned).collect()
    }

    /// The SQL names of the columns' types.
    #[getter]
    fn types(&self) -> Vec<String> {
        batches::types(&self.columns())
    }

    /// All rows that were not taken; with `plain`, in the types of `__arrow_c_stream__`.
    #[pyo3(signature = (plain = false))]
    fn collect(&self, py: Python<'_>, plain: bool) -> PyResult<Batches> {
        let columns = self.columns();
        let schema = if plain { batches::given(&columns, None)? } else { Arc::clone(&columns) };
        let Some(rows) = self.take(py)? else { return Ok(Batches::new(schema, vec![])) };
        let batches = self.handle.wait(py, rows.try_collect());
        *self.rows.lock() = if batches.is_ok() { Taking::Over } else { Taking::Failed };
        Batches::new(columns, batches?).cast(py, schema)
    }

    /// The next rows; `None` after the last.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Batches>> {
        let Some(mut rows) = self.take(py)? else { return Ok(None) };
        let next = self.handle.wait(py, async { rows.next().await.transpose() });
        *self.rows.lock() = match &next {
            Ok(Some(_)) => Taking::Ready(rows),
            Ok(None) => Taking::Over,
            Err(_) => Taking::Failed,
        };
        Ok(next?.map(|batch| Batches::new(self.columns(), vec![batch])))
    }

    /// Ends the statement, if rows are still to come.
    fn close(&self, py: Python<'_>) {
        let rows = std::mem::replace(&mut *self.rows.lock(), Taking::Over);
        py.detach(|| drop(rows));
    }

    /// Text and bytes are plain, unless other types are asked for.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = batches::given(&self.columns(), requested_schema)?;
        batches::capsule(py, &schema, self.rows(py, Arc::clone(&schema))?)
    }

    /// The same stream, with text and bytes as the engine has them.
    fn views<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = self.columns();
        batches::capsule(py, &schema, self.rows(py, Arc::clone(&schema))?)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        batches::schema_capsule(py, &self.columns())
    }
}

/// Rows for whoever reads the stream, with the GIL or without.
struct Rows {
    handle: Handle,
    rows: Option<RowStream>,
    schema: SchemaRef,
    /// Those that came with others.
    ready: VecDeque<RecordBatch>,
}

impl Rows {
    fn fetch(&mut self) -> Option<Result<(), ArrowError>> {
        let rows = self.rows.as_mut()?;
        let next = async { rows.next().await.transpose() };
        let next = self.handle.wait_for_reader(next).transpose()?;
        Some(match next {
            Ok(rows) => cast_rows(&rows, &self.schema)
                .map(|rows| self.ready.extend(rows))
                .map_err(|error| ArrowError::ExternalError(Box::new(error))),
            Err(error) => Err(ArrowError::ExternalError(Box::new(error))),
        })
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(rows) = self.ready.pop_front() {
                return Some(Ok(rows));
            }
            match self.fetch() {
                Some(Ok(())) => {}
                // Nobody reads on after an error.
                ended => {
                    self.rows = None;
                    return ended?.err().map(Err);
                }
            }
        }
    }
}
