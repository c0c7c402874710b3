//! Options of a table: what WITH says in CREATE TABLE, and SET in ALTER TABLE.

use datafusion::sql::sqlparser::ast::{Expr, Ident, SqlOption, Value};
use sheaf_core::Durability;
use sheaf_core::partition::BucketWidth;
use sheaf_formats::segment::Encoding;

use crate::error::{Error, ErrorKind, Result};
use crate::sql::{fold, ident_position};

const FORMAT: &str = "format";
const ROW_STORE: &str = "row_store";
const LAZY_UPSERTS: &str = "lazy_upserts";
const TTL: &str = "ttl";
const TTL_COLUMN: &str = "ttl_column";
const DURABILITY: &str = "durability";

/// The options that are given.
#[derive(Default)]
pub(super) struct TableOptions {
    pub encoding: Option<Encoding>,
    pub row_store: Option<bool>,
    pub lazy_upserts: Option<bool>,
    pub ttl: Option<BucketWidth>,
    pub ttl_column: Option<String>,
    pub durability: Option<Durability>,
}

/// What RESET names.
#[derive(Default)]
pub(super) struct ResetOptions {
    pub ttl: bool,
    pub durability: bool,
}

impl TableOptions {
    /// Reads `(name = value, …)`.
    pub fn read(options: &[SqlOption]) -> Result<Self> {
        let mut read = Self::default();
        for option in options {
            let SqlOption::KeyValue { key, value } = option else {
                return Err(Error::not_supported(format!("the table option {option}")));
            };
            let value = match value {
                Expr::Value(value) => match &value.value {
                    Value::SingleQuotedString(text) => text.clone(),
                    other => other.to_string(),
                },
                Expr::Identifier(ident) => fold(ident),
                other => other.to_string(),
            };
            read.set(&fold(key), value).map_err(|error| error.at(ident_position(key)))?;
        }
        Ok(read)
    }

    fn set(&mut self, name: &str, value: String) -> Result<()> {
        let wrong = |why: String| Error::new(ErrorKind::InvalidParameter, why);
        match name {
            FORMAT => {
                let parsed = value.parse();
                self.encoding =
                    Some(parsed.map_err(|e: sheaf_formats::Error| wrong(e.to_string()))?);
            }
            ROW_STORE => self.row_store = Some(boolean(name, &value)?),
            LAZY_UPSERTS => self.lazy_upserts = Some(boolean(name, &value)?),
            TTL => {
                self.ttl = Some(BucketWidth::parse(&value).map_err(|_| {
                    wrong(format!("ttl is an interval such as '30 days', not '{value}'"))
                })?);
            }
            TTL_COLUMN => self.ttl_column = Some(value),
            DURABILITY => {
                let parsed = value.parse();
                self.durability =
                    Some(parsed.map_err(|e: sheaf_core::Error| wrong(e.to_string()))?);
            }
            other => return Err(unknown(other)),
        }
        Ok(())
    }
}

fn boolean(name: &str, value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        other => {
            let why = format!("{name} is true or false, not '{other}'");
            Err(Error::new(ErrorKind::InvalidParameter, why))
        }
    }
}

impl ResetOptions {
    /// Reads the names of options that may be changed later.
    pub fn read(names: &[&Ident]) -> Result<Self> {
        let mut read = Self::default();
        for name in names {
            match fold(name).as_str() {
                TTL | TTL_COLUMN => read.ttl = true,
                DURABILITY => read.durability = true,
                other @ (FORMAT | ROW_STORE | LAZY_UPSERTS) => {
                    return Err(fixed(other).at(ident_position(name)));
                }
                other => return Err(unknown(other).at(ident_position(name))),
            }
        }
        Ok(read)
    }
}

/// The error for an option that a table keeps.
pub(super) fn fixed(name: &str) -> Error {
    Error::not_supported(format!("changing {name} of a table"))
        .hint("ttl, ttl_column and durability can be changed")
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::InvalidParameter, format!("there is no table option '{name}'"))
        .suggest(name, [FORMAT, ROW_STORE, LAZY_UPSERTS, TTL, TTL_COLUMN, DURABILITY])
        .hint(
            "there are format ('vortex' or 'parquet'), row_store and lazy_upserts (true or \
             false), ttl (an interval), ttl_column (a column with a time) and durability ('sync', \
             'interval' or 'none')",
        )
}
