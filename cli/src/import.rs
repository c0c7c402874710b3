//! `sheaf import`: files into a table, which is made when it is not there.

use std::io::Write;
use std::path::Path;

use sheafdb::{Database, Session};

use crate::args::ImportArgs;
use crate::interrupt::Interrupt;
use crate::message::Failure;
use crate::output::Format;
use crate::run::{Place, Runner};
use crate::terminal;

/// Imports the files, each existing table's in a transaction per file.
pub fn run(args: &ImportArgs) -> Result<(), Failure> {
    let table = match &args.table {
        Some(table) => table.clone(),
        None => table_of(&args.files[0])?,
    };
    let database = Database::open(&args.path)?;
    let mut view = terminal::view(0);
    view.timer = true;
    let session = database.session();
    let exists = exists(&session, &table)?;
    let runner = Runner {
        place: Place::Here(session),
        interrupt: Interrupt::install()
            .map_err(|e| Failure::Other(format!("cannot watch for Ctrl-C: {e}")))?,
        format: Format::Box,
        view,
    };
    let out: &mut dyn Write = &mut std::io::stdout();
    let outcome = statements(args, &table, exists)
        .iter()
        .try_for_each(|statement| runner.run(statement, out));
    database.close()?;
    outcome
}

/// The name of a file without its folders and endings.
fn table_of(file: &str) -> Result<String, Failure> {
    let name = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    if stem.is_empty() || stem.contains(['*', '?', '[']) {
        return Err(Failure::Other(format!("name the table for '{file}' with --table")));
    }
    Ok(stem.to_lowercase())
}

fn exists(session: &Session, table: &str) -> Result<bool, Failure> {
    let found = session.block_on(async {
        let sql = format!("DESCRIBE {}", identifier(table));
        session.query(&sql).await
    })?;
    Ok(found.is_ok())
}

fn statements(args: &ImportArgs, table: &str, exists: bool) -> Vec<String> {
    let table = identifier(table);
    let given = |separator: &str| -> Vec<String> {
        args.option.iter().map(|(name, value)| format!("{name}{separator}{value}")).collect()
    };
    if !exists {
        let files: Vec<String> = args.files.iter().map(|file| literal(file)).collect();
        let mut call = vec![format!("[{}]", files.join(", "))];
        call.extend(given(" => "));
        return vec![format!("CREATE TABLE {table} AS FROM read_files({})", call.join(", "))];
    }
    let options = given(" ");
    let options = match options.is_empty() {
        true => String::new(),
        false => format!(" ({})", options.join(", ")),
    };
    args.files.iter().map(|file| format!("COPY {table} FROM {}{options}", literal(file))).collect()
}

/// A possibly qualified name, each part as it is.
fn identifier(name: &str) -> String {
    let parts = name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\"")));
    parts.collect::<Vec<_>>().join(".")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `name=value`; a value that is no number, word or text is one in quotes.
pub fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write name=value")?;
    let plain = !value.is_empty()
        && (value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            || value.starts_with(['\'', '{', '[']));
    let value = if plain { value.to_owned() } else { literal(value) };
    Ok((name.trim().to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_after_files() {
        assert_eq!(table_of("data/Flights.2013.csv.gz").unwrap(), "flights");
        assert!(table_of("data/*.csv").is_err());
    }

    #[test]
    fn options_are_quoted_where_they_must_be() {
        assert_eq!(option("delim=|").unwrap(), ("delim".into(), "'|'".into()));
        assert_eq!(option("header=false").unwrap(), ("header".into(), "false".into()));
        assert_eq!(option("types={'a': 'INT'}").unwrap().1, "{'a': 'INT'}");
        assert!(option("header").is_err());
    }

    #[test]
    fn a_table_is_made_or_filled() {
        let args = ImportArgs {
            path: "db".into(),
            files: vec!["it's.csv".into(), "b.csv".into()],
            table: None,
            option: vec![("delim".into(), "'|'".into())],
        };
        assert_eq!(
            statements(&args, "s.t", false),
            ["CREATE TABLE \"s\".\"t\" AS FROM read_files(['it''s.csv', 'b.csv'], delim => '|')"]
        );
        assert_eq!(
            statements(&args, "t", true),
            ["COPY \"t\" FROM 'it''s.csv' (delim '|')", "COPY \"t\" FROM 'b.csv' (delim '|')"]
        );
    }
}
