//! Files from outside as relations: `FROM 'x.csv'`, `FROM 's3://b/*.parquet'`,
//! `FROM read_csv('x.txt', delim => '|')`, and the files of COPY.
//!
//! ```text
//!   a name, a glob, a URL  -- access, inputs -->  Dataset  -- relation -->  a table to plan with
//!   options in SQL         -- options ->  ReadOptions
//!   COPY … TO              -- export -->  Writer
//! ```

mod access;
mod damage;
mod export;
mod findings;
mod functions;
mod inputs;
mod options;
mod readings;
mod relation;
mod remote;

pub use access::FileAccess;
pub(crate) use damage::naming_files;
pub(crate) use export::copy_to;
pub(crate) use findings::findings;
pub(crate) use functions::{FILES, replace_readers};
pub(crate) use options::{read_options, skips_errors};
pub(crate) use readings::Readings;
pub(crate) use relation::{dataset, named, relation};
