//! The extension module below the Python package `sheafdb`.
//!
//! ```text
//!   sheafdb/*.py            what people call: connections, relations, tables, cursors, displays
//!      |
//!   sheafdb._sheafdb        this crate: statements, rows, conversions, without the GIL
//!      |
//!   sheafdb (engine)
//! ```
//!
//! Data crosses as Arrow through the PyCapsule interface, so that nothing but Python itself is
//! needed; everything that may take time runs without the GIL and sees Ctrl-C.

mod appender;
mod batches;
mod classes;
mod ending;
mod errors;
mod function;
mod mount;
mod numpy;
mod objects;
mod options;
mod output;
mod parameters;
mod session;
mod source;
mod wait;

use pyo3::prelude::*;
// The wheel brings the allocator of the `sheaf` binary.
use sheaf_allocator as _;

#[pymodule(name = "_sheafdb", gil_used = false)]
fn sheaf(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(ending::shut_down, module)?)?;
    module.add_class::<appender::Appender>()?;
    module.add_class::<batches::Batches>()?;
    module.add_class::<numpy::Buffer>()?;
    module.add_class::<output::Output>()?;
    module.add_class::<session::Columns>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<session::Statement>()?;
    module.add_class::<source::Source>()?;
    module.add_class::<source::Query>()
}
