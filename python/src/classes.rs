//! Classes of Python's library that values become and come from.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The classes, imported once.
pub struct Classes {
    pub decimal: Py<PyAny>,
    pub date: Py<PyAny>,
    pub datetime: Py<PyAny>,
    pub time: Py<PyAny>,
    pub timedelta: Py<PyAny>,
    pub uuid: Py<PyAny>,
    pub zone_info: Py<PyAny>,
    /// 1970-01-01 without and with a zone.
    pub epoch: Py<PyAny>,
    pub epoch_utc: Py<PyAny>,
}

impl Classes {
    /// The classes of this interpreter.
    pub fn get(py: Python<'_>) -> PyResult<&Self> {
        static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
        CLASSES.get_or_try_init(py, || Self::import(py))
    }

    fn import(py: Python<'_>) -> PyResult<Self> {
        let times = py.import("datetime")?;
        let datetime = times.getattr("datetime")?;
        let utc = times.getattr("timezone")?.getattr("utc")?;
        let epoch = datetime.call1((1970, 1, 1))?;
        let epoch_utc = datetime.call1((1970, 1, 1, 0, 0, 0, 0, &utc))?;
        Ok(Self {
            decimal: py.import("decimal")?.getattr("Decimal")?.unbind(),
            date: times.getattr("date")?.unbind(),
            time: times.getattr("time")?.unbind(),
            timedelta: times.getattr("timedelta")?.unbind(),
            uuid: py.import("uuid")?.getattr("UUID")?.unbind(),
            zone_info: py.import("zoneinfo")?.getattr("ZoneInfo")?.unbind(),
            epoch_utc: epoch_utc.unbind(),
            epoch: epoch.unbind(),
            datetime: datetime.unbind(),
        })
    }
}
