//! Settings of a session: ours by their own names, DataFusion's under `datafusion.`.

use std::sync::Arc;
use std::time::Duration;

use datafusion::config::ConfigOptions;
use sheaf_core::catalog::Catalog;
use sheaf_core::memory::{LIMIT_MIN, default_limit};
use sheaf_core::{Durability, Memory};

use super::state::DEFAULT_SCHEMA;
use super::{bytes, duration, temporary};
use crate::error::{Error, ErrorKind, Result};

/// Settings that are not DataFusion's.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Schema of unqualified names.
    pub schema: String,
    /// Schema of the session's temporary tables, once there are some.
    pub temporary: String,
    /// When commits are acknowledged; the tables' or the database's default without it.
    pub durability: Option<Durability>,
    /// How long a statement may take.
    pub statement_timeout: Option<Duration>,
    /// The budget of the whole database: its limit is a setting that all sessions share.
    pub memory: Arc<Memory>,
}

/// A row of `sheaf.settings`.
pub(crate) struct SettingRow {
    pub name: String,
    pub value: Option<String>,
    pub description: String,
}

const SEARCH_PATH: &str = "search_path";
const DURABILITY: &str = "durability";
const MEMORY_LIMIT: &str = "memory_limit";
const STATEMENT_TIMEOUT: &str = "statement_timeout";
const TIMEZONE: &str = "timezone";
const OURS: [(&str, &str); 5] = [
    (SEARCH_PATH, "Schema that unqualified names are looked up and created in"),
    (
        DURABILITY,
        "When a commit is acknowledged: sync, interval, none, or default for the tables' or the database's",
    ),
    (MEMORY_LIMIT, "Bytes that the database may use, in all sessions, mapped files apart: '4GB'"),
    (STATEMENT_TIMEOUT, "How long a statement may take, its rows included: '30 s'; 0 is no limit"),
    (TIMEZONE, "Time zone of timestamps with time zone: always UTC"),
];

/// Settings that change what SQL means here: they are not for changing.
const FIXED: [&str; 3] =
    ["datafusion.sql_parser.", "datafusion.catalog.", "datafusion.execution.time_zone"];

impl Settings {
    /// Those that a session of a database with this budget begins with.
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        let schema = DEFAULT_SCHEMA.to_owned();
        let temporary = temporary::schema_name();
        Self { schema, temporary, durability: None, statement_timeout: None, memory }
    }

    /// The schema where `catalog` has the table of an unqualified name: temporary tables
    /// come before others.
    pub(crate) fn schema_of(&self, name: &str, catalog: &Catalog) -> &str {
        let own = catalog.schema(&self.temporary);
        match own.is_some_and(|own| catalog.table(own.id, name).is_some()) {
            true => &self.temporary,
            false => &self.schema,
        }
    }

    /// All settings, ours first.
    pub(crate) fn list(&self, options: &ConfigOptions) -> Vec<SettingRow> {
        let ours = OURS.iter().map(|(name, description)| SettingRow {
            name: (*name).to_owned(),
            value: self.ours(name),
            description: (*description).to_owned(),
        });
        let mut theirs: Vec<SettingRow> = options
            .entries()
            .into_iter()
            .map(|entry| SettingRow {
                name: entry.key,
                value: entry.value,
                description: entry.description.to_owned(),
            })
            .collect();
        theirs.sort_by(|a, b| a.name.cmp(&b.name));
        ours.chain(theirs).collect()
    }

    fn ours(&self, name: &str) -> Option<String> {
        match name {
            SEARCH_PATH => Some(self.schema.clone()),
            DURABILITY => {
                Some(self.durability.map_or_else(|| "default".to_owned(), |d| d.to_string()))
            }
            MEMORY_LIMIT => Some(bytes::show(self.memory.limit())),
            STATEMENT_TIMEOUT => {
                Some(self.statement_timeout.map_or_else(|| "0".to_owned(), duration::show))
            }
            TIMEZONE => Some("UTC".to_owned()),
            _ => None,
        }
    }

    /// The value of one setting.
    pub(super) fn get(&self, name: &str, options: &ConfigOptions) -> Result<SettingRow> {
        let name = canonical(name);
        self.list(options)
            .into_iter()
            .find(|row| row.name == name)
            .ok_or_else(|| self.unknown(name, options))
    }

    fn unknown(&self, name: &str, options: &ConfigOptions) -> Error {
        let known: Vec<String> = self.list(options).into_iter().map(|row| row.name).collect();
        Error::new(ErrorKind::InvalidParameter, format!("there is no setting '{name}'"))
            .suggest(name, known.iter().map(String::as_str))
    }

    /// Sets one of ours, or one of DataFusion's in `options`. `None` is the default.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        options: &mut ConfigOptions,
    ) -> Result<()> {
        let name = canonical(name);
        let impossible = |possible: &str| {
            Err(Error::new(
                ErrorKind::InvalidParameter,
                format!(
                    "'{}' is not possible for the setting '{name}': {possible}",
                    value.unwrap_or_default()
                ),
            ))
        };
        match name {
            SEARCH_PATH if value.is_some_and(temporary::is_temporary) => {
                return impossible("temporary tables are found by their names alone");
            }
            SEARCH_PATH => self.schema = value.unwrap_or(DEFAULT_SCHEMA).to_owned(),
            DURABILITY => {
                self.durability = match value {
                    None => None,
                    Some(value) if value.eq_ignore_ascii_case("default") => None,
                    Some(value) => match value.parse() {
                        Ok(durability) => Some(durability),
                        Err(_) => return impossible("use sync, interval, none or default"),
                    },
                }
            }
            MEMORY_LIMIT => match value.map_or(Some(default_limit()), bytes::parse) {
                Some(bytes) if bytes >= LIMIT_MIN => self.memory.set_limit(bytes),
                Some(_) => return impossible("64 MiB are the least"),
                None => return impossible("write a number of bytes, as '512MB' or '4 GiB'"),
            },
            STATEMENT_TIMEOUT => match value.map_or(Some(Duration::ZERO), duration::parse) {
                Some(time) => self.statement_timeout = (!time.is_zero()).then_some(time),
                None => return impossible("write a duration, as '500ms', '30 s' or '2min'"),
            },
            TIMEZONE => {
                if !value.is_none_or(|v| {
                    ["utc", "etc/utc", "gmt", "+00:00", "0"].contains(&v.to_lowercase().as_str())
                }) {
                    return impossible(
                        "only UTC is supported yet; write AT TIME ZONE in the query",
                    );
                }
            }
            _ if FIXED.iter().any(|prefix| name.starts_with(prefix)) => {
                return Err(Error::new(
                    ErrorKind::InvalidParameter,
                    format!("the setting '{name}' cannot be changed"),
                ));
            }
            _ if options.entries().iter().any(|entry| entry.key == name) => match value {
                Some(value) => options.set(name, value)?,
                None => {
                    let default =
                        ConfigOptions::new().entries().into_iter().find(|entry| entry.key == name);
                    let default = default.and_then(|entry| entry.value).unwrap_or_default();
                    options.set(name, &default)?;
                }
            },
            _ => return Err(self.unknown(name, options)),
        }
        Ok(())
    }
}

/// Names that PostgreSQL and others use for the same thing.
fn canonical(name: &str) -> &str {
    match name {
        "schema" | "current_schema" => SEARCH_PATH,
        "time zone" | "time_zone" => TIMEZONE,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_when_they_are_set() {
        let memory = Arc::new(Memory::new(1 << 30));
        let (mut settings, mut options) = (Settings::new(memory), ConfigOptions::new());
        settings.set("durability", Some("interval"), &mut options).unwrap();
        assert_eq!(
            settings.get("durability", &options).unwrap().value.as_deref(),
            Some("interval")
        );
        settings.set("datafusion.execution.batch_size", Some("100"), &mut options).unwrap();
        assert_eq!(options.execution.batch_size.get(), 100);
        settings.set("datafusion.execution.batch_size", None, &mut options).unwrap();
        assert_eq!(options.execution.batch_size.get(), 8192);
        settings.set("memory_limit", Some("2 GiB"), &mut options).unwrap();
        assert_eq!(settings.memory.limit(), 2 << 30);
        for (name, value) in [
            ("memory_limit", "1MB"),
            ("memory_limit", "a lot"),
            ("durability", "maybe"),
            ("statement_timeout", "soon"),
            ("timezone", "Mars"),
            ("datafusion.catalog.default_schema", "x"),
        ] {
            assert!(settings.set(name, Some(value), &mut options).is_err(), "{name}");
        }
        let error = settings.set("durabilty", Some("sync"), &mut options).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean 'durability'?"));
    }
}
