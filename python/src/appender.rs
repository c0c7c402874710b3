//! Rows one by one into a table: gathered in columns, committed thousands at a time.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringViewBuilder,
    TimestampMicrosecondBuilder, new_empty_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use futures::stream;
use parking_lot::Mutex;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString, PyTuple};
use sheafdb::{Error, IfMissing, IfThere, Ingest, ScalarValue};

use crate::errors::{exception, programming_error, raised};
use crate::parameters;
use crate::session::{Open, Session};
use crate::wait::Handle;

/// Rows of a commit, unless it is asked for earlier.
const ROWS: usize = 65_536;

/// Takes rows for one table.
#[pyclass(frozen, module = "sheafdb._sheafdb")]
pub struct Appender {
    handle: Handle,
    schema: Option<String>,
    table: String,
    names: Vec<String>,
    kinds: Vec<Kind>,
    /// `None` when it is closed.
    waiting: Mutex<Option<Rows>>,
    _open: Arc<Open>,
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
        let (open, handle) = session.both(py)?;
        let def = raised(py, handle.session(py)?.table(name))?;
        let all: Vec<_> = def.live_columns().collect();
        let names =
            columns.unwrap_or_else(|| all.iter().map(|column| column.name.clone()).collect());
        let kind = |wanted: &String| {
            let found = all.iter().find(|column| column.name == *wanted);
            let found = found.map(|column| Kind::of(&column.data_type));
            let what = || programming_error(py, &format!("table {name} has no column '{wanted}'"));
            found.ok_or_else(what)
        };
        let kinds = names.iter().map(kind).collect::<PyResult<Vec<_>>>()?;
        let waiting = Mutex::new(Some(Rows::new(&kinds)));
        let (schema, table) = place;
        Ok(Self { handle, schema, table, names, kinds, waiting, _open: open })
    }

    /// Adds a row: a value for each column.
    #[pyo3(signature = (*values))]
    fn append(&self, py: Python<'_>, values: &Bound<'_, PyTuple>) -> PyResult<()> {
        if self.waiting.lock().is_none() {
            return Err(closed(py));
        }
        if values.len() != self.kinds.len() {
            return Err(PyValueError::new_err(format!(
                "a row has {} values, not {}",
                self.kinds.len(),
                values.len()
            )));
        }
        // Converting may run code of Python's: not while rows are locked.
        let mut cells = Vec::with_capacity(self.kinds.len());
        for ((value, kind), name) in values.iter().zip(&self.kinds).zip(&self.names) {
            cells.push(kind.cell(&value).map_err(|error| {
                let text = format!("column '{name}': {}", error.value(py));
                PyErr::from_type(error.get_type(py), text)
            })?);
        }
        let full = match self.waiting.lock().as_mut() {
            Some(rows) => {
                rows.push(cells);
                rows.count >= ROWS
            }
            None => return Err(closed(py)),
        };
        if full { self.flush(py).map(drop) } else { Ok(()) }
    }

    /// Commits the rows that wait, and returns how many; after an error they still wait.
    fn flush(&self, py: Python<'_>) -> PyResult<u64> {
        let taken = match self.waiting.lock().as_mut() {
            Some(rows) => rows.take(&self.names),
            None => return Err(closed(py)),
        };
        let batches = taken.map_err(|error| exception(py, &error))?;
        let Some(schema) = batches.first().map(RecordBatch::schema) else { return Ok(0) };
        let outcome = self.ingest(py, schema, batches.clone());
        if outcome.is_err()
            && let Some(rows) = self.waiting.lock().as_mut()
        {
            rows.refused.splice(0..0, batches);
        }
        outcome
    }

    /// Commits the rows that wait, and takes no more; after an error it is still open.
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
    fn ingest(
        &self,
        py: Python<'_>,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
    ) -> PyResult<u64> {
        let target = Ingest {
            schema: self.schema.clone(),
            table: self.table.clone(),
            temporary: false,
            if_missing: IfMissing::Fail,
            if_there: IfThere::Append,
        };
        let rows = stream::iter(batches.into_iter().map(Ok));
        self.handle.wait(py, self.handle.session(py)?.ingest(target, schema, rows))
    }
}

fn closed(py: Python<'_>) -> PyErr {
    programming_error(py, "the appender is closed")
}

/// How the values of a column are gathered.
enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Moment,
    /// As values of the column's type.
    Other(DataType),
}

/// A value on its way into a column.
enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Moment(i64),
    Other(ScalarValue),
}

impl Kind {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => Self::Int,
            DataType::Float32 | DataType::Float64 => Self::Float,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Moment,
            other => Self::Other(other.clone()),
        }
    }

    fn cell(&self, value: &Bound<'_, PyAny>) -> PyResult<Cell> {
        if value.is_none() {
            return Ok(Cell::Null);
        }
        Ok(match self {
            Self::Bool => match value.cast::<PyBool>() {
                Ok(value) => Cell::Bool(value.is_true()),
                Err(_) => Cell::Bool(plain(value, "a bool")?),
            },
            Self::Int => match value.cast::<PyInt>() {
                Ok(value) => Cell::Int(value.extract()?),
                Err(_) => Cell::Int(plain(value, "an int")?),
            },
            Self::Float => match value.cast::<PyFloat>() {
                Ok(value) => Cell::Float(value.extract()?),
                Err(_) => Cell::Float(plain(value, "a float")?),
            },
            Self::Text => match value.cast::<PyString>() {
                Ok(value) => {
                    let text = value.to_cow()?;
                    parameters::refuse_too_long(value.py(), text.len())?;
                    Cell::Text(text.into_owned())
                }
                Err(_) => return Err(not(value, "a str")),
            },
            Self::Moment => match parameters::value(value)? {
                ScalarValue::TimestampMicrosecond(Some(moment), None) => Cell::Moment(moment),
                ScalarValue::Null => Cell::Null,
                _ => return Err(not(value, "a datetime without a zone")),
            },
            Self::Other(data_type) => {
                let cast = parameters::value(value)?.cast_to(data_type);
                Cell::Other(cast.map_err(|error| PyTypeError::new_err(error.to_string()))?)
            }
        })
    }
}

/// A value of another class that is like the wanted one: NumPy's, or an int for a float.
fn plain<'py, T: FromPyObjectOwned<'py>>(value: &Bound<'py, PyAny>, what: &str) -> PyResult<T> {
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

/// Rows that wait to be committed.
struct Rows {
    /// Rows that a commit refused.
    refused: Vec<RecordBatch>,
    columns: Vec<Column>,
    /// Rows in `columns`.
    count: usize,
}

enum Column {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringViewBuilder),
    Moment(TimestampMicrosecondBuilder),
    Other(DataType, Vec<ScalarValue>),
}

impl Rows {
    fn new(kinds: &[Kind]) -> Self {
        let column = |kind: &Kind| match kind {
            Kind::Bool => Column::Bool(BooleanBuilder::new()),
            Kind::Int => Column::Int(Int64Builder::new()),
            Kind::Float => Column::Float(Float64Builder::new()),
            Kind::Text => Column::Text(StringViewBuilder::new()),
            Kind::Moment => Column::Moment(TimestampMicrosecondBuilder::new()),
            Kind::Other(data_type) => Column::Other(data_type.clone(), Vec::new()),
        };
        Self { refused: Vec::new(), columns: kinds.iter().map(column).collect(), count: 0 }
    }

    /// Adds a row of cells of the columns' kinds.
    fn push(&mut self, cells: Vec<Cell>) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Bool(builder), Cell::Bool(value)) => builder.append_value(value),
                (Column::Int(builder), Cell::Int(value)) => builder.append_value(value),
                (Column::Float(builder), Cell::Float(value)) => builder.append_value(value),
                (Column::Text(builder), Cell::Text(value)) => builder.append_value(value),
                (Column::Moment(builder), Cell::Moment(value)) => builder.append_value(value),
                (Column::Other(_, values), Cell::Other(value)) => values.push(value),
                (Column::Bool(builder), _) => builder.append_null(),
                (Column::Int(builder), _) => builder.append_null(),
                (Column::Float(builder), _) => builder.append_null(),
                (Column::Text(builder), _) => builder.append_null(),
                (Column::Moment(builder), _) => builder.append_null(),
                (Column::Other(data_type, values), _) => {
                    values.push(ScalarValue::try_from(&*data_type).unwrap_or(ScalarValue::Null));
                }
            }
        }
        self.count += 1;
    }

    /// All rows, and none are left.
    fn take(&mut self, names: &[String]) -> sheafdb::Result<Vec<RecordBatch>> {
        let mut batches = std::mem::take(&mut self.refused);
        if std::mem::take(&mut self.count) == 0 {
            return Ok(batches);
        }
        let arrays: Vec<sheafdb::Result<ArrayRef>> =
            self.columns.iter_mut().map(Column::take).collect();
        let arrays = arrays.into_iter().collect::<sheafdb::Result<Vec<_>>>()?;
        let fields = names.iter().zip(&arrays);
        let fields = fields.map(|(name, array)| Field::new(name, array.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        batches.push(RecordBatch::try_new(schema, arrays).map_err(Error::from)?);
        Ok(batches)
    }
}

impl Column {
    fn take(&mut self) -> sheafdb::Result<ArrayRef> {
        Ok(match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Moment(builder) => Arc::new(builder.finish()),
            Self::Other(data_type, values) => match std::mem::take(values) {
                none if none.is_empty() => new_empty_array(data_type),
                values => ScalarValue::iter_to_array(values)?,
            },
        })
    }
}
