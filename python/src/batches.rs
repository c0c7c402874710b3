//! Rows in memory: what Arrow's consumers take without copying, and what becomes Python objects.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StructArray};
use arrow::compute::{can_cast_types, concat, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use pyo3::exceptions::{PyIndexError, PyMemoryError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyTuple};
use pyo3_arrow::PySchema;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};
use pyo3_arrow::input::{AnyArray, AnyRecordBatch};
use rayon::prelude::*;
use sheafdb::core::{cast_rows, plain_schema, without_views};

use crate::errors::exception;
use crate::numpy::{self, Buffer};
use crate::{objects, parameters};

/// Rows in memory.
#[pyclass(frozen, module = "sheafdb._sheafdb")]
pub struct Batches {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl Batches {
    /// Batches of this schema.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        Self { schema, batches, rows }
    }

    /// The batches.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// All rows in one batch.
    pub fn whole(&self, py: Python<'_>) -> PyResult<RecordBatch> {
        match self.batches.as_slice() {
            [only] => Ok(only.clone()),
            batches => {
                concat_batches(&self.schema, batches).map_err(|error| exception(py, &error.into()))
            }
        }
    }

    /// The columns.
    pub fn arrow_schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A column in one piece.
    fn column(&self, index: usize) -> PyResult<ArrayRef> {
        let Some(field) = self.schema.fields().get(index) else {
            return Err(PyIndexError::new_err(format!("there is no column {index}")));
        };
        let pieces: Vec<&dyn Array> =
            self.batches.iter().map(|batch| batch.column(index).as_ref()).collect();
        match pieces.as_slice() {
            [] => Ok(arrow::array::new_empty_array(field.data_type())),
            [_] => Ok(Arc::clone(self.batches[0].column(index))),
            pieces => concat(pieces).map_err(|error| PyMemoryError::new_err(error.to_string())),
        }
    }

    /// The same rows in the types of a schema. What each batch was is let go of when it is cast.
    pub fn cast(self, py: Python<'_>, schema: SchemaRef) -> PyResult<Self> {
        if self.schema == schema {
            return Ok(self);
        }
        let parts = py.detach(|| {
            let parts = self.batches.into_par_iter().map(|rows| cast_rows(&rows, &schema));
            parts.collect::<Result<Vec<_>, _>>()
        });
        let parts = parts.map_err(|error| exception(py, &error.into()))?;
        Ok(Self::new(schema, parts.into_iter().flatten().collect()))
    }
}

#[pymethods]
impl Batches {
    /// Rows from columns: lists of Python's values, or Arrow data.
    #[staticmethod]
    fn of_columns(py: Python<'_>, columns: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut fields = Vec::with_capacity(columns.len());
        let mut arrays = Vec::with_capacity(columns.len());
        for (name, values) in columns {
            let (data_type, array) = one_column(&values)?;
            fields.push(Field::new(name.extract::<String>()?, data_type, true));
            arrays.push(array);
        }
        let schema = Arc::new(Schema::new(fields));
        let options = RecordBatchOptions::new().with_row_count(arrays.is_empty().then_some(0));
        let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options);
        let batch = batch.map_err(|error| exception(py, &error.into()))?;
        Ok(Self::new(schema, vec![batch]))
    }

    /// The rows of Arrow data.
    #[staticmethod]
    fn read(py: Python<'_>, data: AnyRecordBatch) -> PyResult<Self> {
        let reader = data.into_reader()?;
        let schema = reader.schema();
        let batches = py.detach(|| reader.collect::<Result<Vec<_>, _>>());
        Ok(Self::new(schema, batches.map_err(|error| exception(py, &error.into()))?))
    }

    /// The rows of several; of none, no rows of this schema.
    #[staticmethod]
    fn joined(no_parts: PySchema, parts: Vec<PyRef<'_, Self>>) -> Self {
        let schema = parts.first().map(|part| Arc::clone(&part.schema));
        let batches = parts.iter().flat_map(|part| part.batches.clone()).collect();
        Self::new(schema.unwrap_or(no_parts.into_inner()), batches)
    }

    fn __len__(&self) -> usize {
        self.rows
    }

    #[getter]
    fn names(&self) -> Vec<&str> {
        names(&self.schema)
    }

    /// The SQL names of the columns' types.
    #[getter]
    fn types(&self) -> Vec<String> {
        types(&self.schema)
    }

    /// The rows from `start` on, `count` at most, as tuples.
    #[pyo3(signature = (start = 0, count = usize::MAX))]
    fn rows<'py>(
        &self,
        py: Python<'py>,
        start: usize,
        count: usize,
    ) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let mut rows = Vec::new();
        let (mut skip, mut left) = (start, count);
        for batch in &self.batches {
            let from = skip.min(batch.num_rows());
            let length = left.min(batch.num_rows() - from);
            skip -= from;
            left -= length;
            if length > 0 {
                rows.extend(objects::rows(py, &batch.slice(from, length))?);
            }
        }
        Ok(rows)
    }

    /// The values of a column as Python objects.
    fn objects<'py>(&self, py: Python<'py>, column: usize) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let mut values = Vec::with_capacity(self.rows);
        for batch in &self.batches {
            let Some(column) = batch.columns().get(column) else {
                return Err(PyIndexError::new_err(format!("there is no column {column}")));
            };
            values.extend(objects::objects(py, column)?);
        }
        Ok(values)
    }

    /// The values of a column as NumPy has them, and which are NULL: `None` for types that it
    /// has no array for, and where nothing is NULL.
    fn buffer(&self, py: Python<'_>, column: usize) -> PyResult<(Option<Buffer>, Option<Buffer>)> {
        let column = self.column(column)?;
        Ok(py.detach(|| (numpy::values(&column), numpy::nulls(&column))))
    }

    /// Text and bytes are plain, unless other types are asked for.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = given(&self.schema, requested_schema)?;
        let rows = Self::new(Arc::clone(&self.schema), self.batches.clone());
        let rows = rows.cast(py, Arc::clone(&schema))?;
        capsule(py, &schema, rows.batches.into_iter().map(Ok))
    }

    /// The same stream, with text and bytes as the engine has them.
    fn views<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule(py, &self.schema, self.batches.clone().into_iter().map(Ok))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.schema)
    }
}

/// A column from a list of Python's values, or from Arrow data.
fn one_column(values: &Bound<'_, PyAny>) -> PyResult<(DataType, ArrayRef)> {
    let py = values.py();
    let refused = |error: ArrowError| exception(py, &error.into());
    if let Ok(list) = values.cast::<PyList>() {
        let array = parameters::array(&list.iter().collect::<Vec<_>>())?;
        return Ok((array.data_type().clone(), array));
    }
    if let Some(array) = numpy::column(values)? {
        return Ok((array.data_type().clone(), array));
    }
    if !values.hasattr("__arrow_c_array__")? && !values.hasattr("__arrow_c_stream__")? {
        return one_column(&values.call_method0("tolist")?);
    }
    let reader = values.extract::<AnyArray>()?.into_reader()?;
    let field = reader.field();
    let pieces = py.detach(|| reader.collect::<Result<Vec<_>, _>>()).map_err(refused)?;
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    let array = match pieces.is_empty() {
        true => arrow::array::new_empty_array(field.data_type()),
        false => concat(&pieces).map_err(refused)?,
    };
    Ok((field.data_type().clone(), array))
}

/// The names of columns.
pub fn names(schema: &Schema) -> Vec<&str> {
    schema.fields().iter().map(|field| field.name().as_str()).collect()
}

/// The SQL names of columns' types.
pub fn types(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| sheafdb::sql_name(field.data_type())).collect()
}

/// The columns as others are given them: of the types that they ask for, where rows can have
/// those, or plain, since libraries that read views can do little else with them.
pub fn given(schema: &Schema, requested: Option<Bound<'_, PyCapsule>>) -> PyResult<SchemaRef> {
    if let Some(requested) = requested {
        let requested = PySchema::from_arrow_pycapsule(&requested)?.into_inner();
        let fields = schema.fields().iter().zip(requested.fields());
        let mut pairs = fields.map(|(own, other)| (own.data_type(), other.data_type()));
        if schema.fields().len() == requested.fields().len()
            && pairs.all(|(own, other)| own == other || can_cast_types(own, other))
        {
            return Ok(requested);
        }
    }
    Ok(Arc::new(plain_schema(schema, &without_views)))
}

/// Batches as a stream of Arrow's C interface.
pub fn capsule<'py>(
    py: Python<'py>,
    schema: &Schema,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
) -> PyResult<Bound<'py, PyCapsule>> {
    let field = Field::new_struct("", schema.fields().clone(), false)
        .with_metadata(schema.metadata().clone());
    let arrays = batches.map(|batch| Ok(Arc::new(StructArray::from(batch?)) as ArrayRef));
    let arrays = ArrayIterator::new(arrays, Arc::new(field));
    Ok(to_stream_pycapsule(py, Box::new(arrays), None)?)
}

/// A schema of Arrow's C interface, of the types that are [`given`].
pub fn schema_capsule<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    Ok(to_schema_pycapsule(py, given(schema, None)?.as_ref())?)
}
