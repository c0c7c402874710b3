//! Rows one by one into a table: gathered in columns, committed thousands at a time.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use futures::stream;
use parking_lot::Mutex;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString, PyTuple};
use sheafdb::{Error, IfMissing, IfThere, Ingest, ScalarValue};

use crate::errors::{exception, programming_error, raised};
use crate::parameters;
use crate::session::Session;
use crate::wait::Handle;

/// Rows of a commit, unless it is asked for earlier.
const ROWS: usize = 65_536;

/// Takes rows for one table.
#[pyclass(frozen, module = "sheafdb._sheafdb")]
pub struct Appender {
    handle: Handle,
    schema: Option<String>,
    table: String,
    waiting: Mutex<Option<Rows>>,
}

struct Rows {
    names: Vec<String>,
    columns: Vec<Column>,
    count: usize,
}

#[pymethods]
impl Appender {
    /// For the columns of a table, in their order, or for some of them.
    #[new]
    fn new(
        py: Python<'_>,
        session: &Session,
        name: &str,
        place: (Option<String>, String),
        columns: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let handle = session.handle(py)?;
        let def = raised(py, handle.session(py)?.table(name))?;
        let all: Vec<_> = def.live_columns().collect();
        let names =
            columns.unwrap_or_else(|| all.iter().map(|column| column.name.clone()).collect());
        let column = |wanted: &String| {
            let found = all.iter().find(|column| column.name == *wanted);
            let found = found.map(|column| Column::of(&column.data_type));
            let what = || programming_error(py, &format!("table {name} has no column '{wanted}'"));
            found.ok_or_else(what)
        };
        let columns = names.iter().map(column).collect::<PyResult<_>>()?;
        let (schema, table) = place;
        let waiting = Mutex::new(Some(Rows { names, columns, count: 0 }));
        Ok(Self { handle, schema, table, waiting })
    }

    /// Adds a row: a value for each column.
    #[pyo3(signature = (*values))]
    fn append(&self, py: Python<'_>, values: &Bound<'_, PyTuple>) -> PyResult<()> {
        let full = self.open(py, |rows| {
            rows.push(values)?;
            Ok(rows.count >= ROWS)
        })?;
        if full { self.flush(py).map(drop) } else { Ok(()) }
    }

    /// Commits the rows that wait; returns how many.
    fn flush(&self, py: Python<'_>) -> PyResult<u64> {
        let batch = self.open(py, |rows| rows.take().map_err(|error| exception(py, &error)))?;
        if batch.num_rows() == 0 {
            return Ok(0);
        }
        let target = Ingest {
            schema: self.schema.clone(),
            table: self.table.clone(),
            temporary: false,
            if_missing: IfMissing::Fail,
            if_there: IfThere::Append,
        };
        let (schema, rows) = (batch.schema(), stream::iter([Ok(batch)]));
        self.handle.wait(py, self.handle.session(py)?.ingest(target, schema, rows))
    }

    /// Commits the rows that wait, and takes no more.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.waiting.lock().is_some() {
            self.flush(py)?;
            self.discard();
        }
        Ok(())
    }

    /// Forgets the rows that wait, and takes no more.
    fn discard(&self) {
        *self.waiting.lock() = None;
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyAny>>,
        _value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        match kind {
            None => self.close(py),
            // What was appended before an error is not half of something.
            Some(_) => {
                self.discard();
                Ok(())
            }
        }
    }
}

impl Appender {
    fn open<T>(&self, py: Python<'_>, work: impl FnOnce(&mut Rows) -> PyResult<T>) -> PyResult<T> {
        match self.waiting.lock().as_mut() {
            Some(rows) => work(rows),
            None => Err(programming_error(py, "the appender is closed")),
        }
    }
}

impl Rows {
    fn push(&mut self, values: &Bound<'_, PyTuple>) -> PyResult<()> {
        if values.len() != self.columns.len() {
            return Err(PyValueError::new_err(format!(
                "a row has {} values, not {}",
                self.columns.len(),
                values.len()
            )));
        }
        for (at, value) in values.iter().enumerate() {
            if let Err(error) = self.columns[at].push(&value) {
                // The row is not there by half.
                for column in &mut self.columns[..at] {
                    column.drop_last(self.count);
                }
                let (py, name) = (value.py(), &self.names[at]);
                let text = format!("column '{name}': {}", error.value(py));
                return Err(PyErr::from_type(error.get_type(py), text));
            }
        }
        self.count += 1;
        Ok(())
    }

    /// The rows, and none are left.
    fn take(&mut self) -> sheafdb::Result<RecordBatch> {
        self.count = 0;
        let arrays =
            self.columns.iter_mut().map(Column::take).collect::<sheafdb::Result<Vec<_>>>()?;
        let field =
            |(name, array): (&String, &ArrayRef)| Field::new(name, array.data_type().clone(), true);
        let fields: Vec<Field> = self.names.iter().zip(&arrays).map(field).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(Error::from)
    }
}

/// Values of a column; what is not of Python's common classes is assigned like a parameter.
enum Column {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Moment(TimestampMicrosecondBuilder),
    Other(Vec<ScalarValue>),
}

impl Column {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => Self::Int(Int64Builder::new()),
            DataType::Float32 | DataType::Float64 => Self::Float(Float64Builder::new()),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(StringBuilder::new())
            }
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                Self::Moment(TimestampMicrosecondBuilder::new())
            }
            _ => Self::Other(Vec::new()),
        }
    }

    fn push(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if value.is_none() {
            match self {
                Self::Bool(builder) => builder.append_null(),
                Self::Int(builder) => builder.append_null(),
                Self::Float(builder) => builder.append_null(),
                Self::Text(builder) => builder.append_null(),
                Self::Moment(builder) => builder.append_null(),
                Self::Other(values) => values.push(ScalarValue::Null),
            }
            return Ok(());
        }
        match self {
            Self::Bool(builder) => match value.cast::<PyBool>() {
                Ok(value) => builder.append_value(value.is_true()),
                Err(_) => builder.append_value(wanted(value, "a bool")?),
            },
            Self::Int(builder) => match value.cast::<PyInt>() {
                Ok(value) => builder.append_value(value.extract()?),
                Err(_) => builder.append_value(wanted(value, "an int")?),
            },
            Self::Float(builder) => match value.cast::<PyFloat>() {
                Ok(value) => builder.append_value(value.extract()?),
                Err(_) => builder.append_value(wanted(value, "a float")?),
            },
            Self::Text(builder) => match value.cast::<PyString>() {
                Ok(value) => builder.append_value(value.to_cow()?),
                Err(_) => return Err(not(value, "a str")),
            },
            Self::Moment(builder) => match parameters::value(value)? {
                ScalarValue::TimestampMicrosecond(Some(moment), None) => {
                    builder.append_value(moment);
                }
                ScalarValue::Null => builder.append_null(),
                _ => return Err(not(value, "a datetime without a zone")),
            },
            Self::Other(values) => values.push(parameters::value(value)?),
        }
        Ok(())
    }

    /// Forgets a value that is one too many.
    ///
    /// Arrow's builders do not go back, so they begin anew with the others.
    fn drop_last(&mut self, count: usize) {
        match self {
            Self::Bool(builder) => {
                let values = builder.finish();
                builder.extend(values.iter().take(count));
            }
            Self::Int(builder) => {
                let values = builder.finish();
                builder.extend(values.iter().take(count));
            }
            Self::Float(builder) => {
                let values = builder.finish();
                builder.extend(values.iter().take(count));
            }
            Self::Text(builder) => {
                let values = builder.finish();
                builder.extend(values.iter().take(count));
            }
            Self::Moment(builder) => {
                let values = builder.finish();
                builder.extend(values.iter().take(count));
            }
            Self::Other(values) => values.truncate(count),
        }
    }

    fn take(&mut self) -> sheafdb::Result<ArrayRef> {
        Ok(match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Moment(builder) => Arc::new(builder.finish()),
            Self::Other(values) => parameters::array_of(std::mem::take(values))?,
        })
    }
}

/// A value of another class that is like the wanted one: NumPy's, or an int for a float.
fn wanted<'py, T: FromPyObjectOwned<'py>>(value: &Bound<'py, PyAny>, what: &str) -> PyResult<T> {
    if value.is_instance_of::<PyString>() {
        return Err(not(value, what));
    }
    let plain = match value.getattr("item") {
        Ok(item) => item.call0()?,
        Err(_) => value.clone(),
    };
    plain.extract().map_err(|_| not(value, what))
}

fn not(value: &Bound<'_, PyAny>, what: &str) -> PyErr {
    match value.get_type().qualname() {
        Ok(name) => PyTypeError::new_err(format!("{what} is expected, not a {name}")),
        Err(error) => error,
    }
}
