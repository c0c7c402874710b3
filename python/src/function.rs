//! Python's functions in SQL: over whole columns, or value by value.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::numeric::sub;
use arrow::compute::{CastOptions, cast_with_options, concat};
use arrow::datatypes::{DataType, Field, Float64Type};
use arrow::error::ArrowError;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3_arrow::PyArray;
use pyo3_arrow::input::AnyArray;
use sheafdb::datafusion::error::{DataFusionError, Result};
use sheafdb::datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use sheafdb::{Error, ErrorKind};

use crate::ending::Inside;
use crate::{objects, parameters};

/// A function of Python's.
#[derive(Debug)]
pub struct Function {
    name: String,
    function: Py<PyAny>,
    /// Called with a value of each argument, rather than with columns.
    by_value: bool,
    signature: Signature,
    returns: DataType,
}

impl Function {
    /// A function that takes and gives values of these types.
    pub fn udf(
        name: String,
        function: Py<PyAny>,
        takes: Vec<DataType>,
        returns: DataType,
        by_value: bool,
        volatility: Volatility,
    ) -> ScalarUDF {
        let signature = match takes.is_empty() {
            true => Signature::nullary(volatility),
            false => Signature::exact(takes, volatility),
        };
        Self { name, function, by_value, signature, returns }.into()
    }

    fn call<'py>(&self, py: Python<'py>, columns: &[ArrayRef], rows: usize) -> PyResult<ArrayRef> {
        let result = match self.by_value {
            true => self.call_values(py, columns, rows)?,
            false => self.call_columns(py, columns)?,
        };
        if result.len() != rows {
            return Err(PyValueError::new_err(format!(
                "the function gave {} values for {rows} rows",
                result.len()
            )));
        }
        let strictly = CastOptions { safe: false, ..CastOptions::default() };
        let refused = |error: ArrowError| PyTypeError::new_err(error.to_string());
        let cast = cast_with_options(&result, &self.returns, &strictly).map_err(refused)?;
        // It cuts what is behind the point.
        let given = result.data_type();
        if self.returns.is_integer() && !given.is_integer() && given.is_numeric() {
            let back = cast_with_options(&cast, given, &strictly).map_err(refused)?;
            let lost = sub(&back, &result).map_err(refused)?;
            let lost = cast_with_options(&lost, &DataType::Float64, &strictly).map_err(refused)?;
            if lost.as_primitive::<Float64Type>().iter().flatten().any(|lost| lost != 0.0) {
                let returns = sheafdb::sql_name(&self.returns);
                let what = format!("the function gave a number with a fraction, not a {returns}");
                return Err(PyTypeError::new_err(what));
            }
        }
        Ok(cast)
    }

    fn call_columns(&self, py: Python<'_>, columns: &[ArrayRef]) -> PyResult<ArrayRef> {
        let pyarrow = py.import(intern!(py, "pyarrow"))?.getattr(intern!(py, "array"))?;
        let arrow = |column: &ArrayRef| {
            let field = Field::new("", column.data_type().clone(), true);
            pyarrow.call1((PyArray::new(column.clone(), Arc::new(field)),))
        };
        let arguments: Vec<Bound<'_, PyAny>> =
            columns.iter().map(arrow).collect::<PyResult<_>>()?;
        let given = self.function.bind(py).call1(PyTuple::new(py, arguments)?)?;
        let reader = given.extract::<AnyArray>()?.into_reader()?;
        let empty = arrow::array::new_empty_array(reader.field().data_type());
        let pieces = reader.collect::<std::result::Result<Vec<_>, _>>();
        let pieces = pieces.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
        match pieces.is_empty() {
            true => Ok(empty),
            false => concat(&pieces).map_err(|error| PyValueError::new_err(error.to_string())),
        }
    }

    /// Not called for rows with a NULL, which give NULL.
    fn call_values(&self, py: Python<'_>, columns: &[ArrayRef], rows: usize) -> PyResult<ArrayRef> {
        let columns = columns.iter().map(|column| objects::objects(py, column));
        let columns = columns.collect::<PyResult<Vec<_>>>()?;
        let function = self.function.bind(py);
        let mut results = Vec::with_capacity(rows);
        for row in 0..rows {
            let arguments = PyTuple::new(py, columns.iter().map(|column| &column[row]))?;
            results.push(match arguments.iter().any(|argument| argument.is_none()) {
                true => py.None().into_bound(py),
                false => function.call1(arguments)?,
            });
        }
        parameters::array(&results)
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let columns: Vec<ArrayRef> = match columns.iter().all(|column| column.len() == rows) {
            true => columns,
            // All are constants.
            false => args.args.iter().map(|v| v.to_array(rows)).collect::<Result<_>>()?,
        };
        let _inside = Inside::enter()?;
        let result = Python::attach(|py| self.call(py, &columns, rows));
        let result = result.map_err(|error| {
            let text = format!("function '{}' raised {error}", self.name);
            let failed = Error::new(ErrorKind::FunctionFailed, text).caused_by(error);
            DataFusionError::from(failed)
        })?;
        Ok(ColumnarValue::Array(result))
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.function.as_ptr() == other.function.as_ptr()
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        (self.function.as_ptr() as usize).hash(state);
    }
}
