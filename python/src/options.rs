//! Options of `connect` as the engine has them.

use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt};
use sheafdb::OpenOptions;

/// What a connection is opened with.
#[derive(Debug, Default)]
pub struct Options {
    pub open: OpenOptions,
    /// Settings of the session, by SQL's names.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// Reads the keyword arguments of `connect`.
    pub fn of(given: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut options = Self::default();
        for (name, value) in given {
            options.set(&name.extract::<String>()?, &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let open = std::mem::take(&mut self.open);
        self.open = match name {
            "read_only" => open.read_only(truth(name, value)?),
            "create" => open.create(truth(name, value)?),
            "background" => open.background(truth(name, value)?),
            "durability" => {
                let text: String = value.extract()?;
                let parsed = text.parse();
                open.durability(parsed.map_err(|error: sheafdb::core::Error| {
                    PyValueError::new_err(error.to_string())
                })?)
            }
            "sync_interval" => open.sync_interval(
                Duration::try_from_secs_f64(value.extract()?)
                    .map_err(|error| PyValueError::new_err(format!("sync_interval: {error}")))?,
            ),
            "memtable_bytes" => open.memtable_bytes(value.extract()?),
            "log_bytes" => open.log_bytes(value.extract()?),
            "segment_rows" => open.segment_rows(value.extract()?),
            setting => {
                let text = match value {
                    value if value.is_instance_of::<PyBool>() => truth(name, value)?.to_string(),
                    value if value.is_instance_of::<PyInt>() => value.str()?.to_string(),
                    value => value.extract::<String>().map_err(|_| {
                        PyTypeError::new_err(format!("the option '{name}' is a text or a number"))
                    })?,
                };
                self.settings.push((setting.replace("__", "."), text));
                open
            }
        };
        Ok(())
    }
}

fn truth(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value
        .extract()
        .map_err(|_| PyTypeError::new_err(format!("the option '{name}' is True or False")))
}
