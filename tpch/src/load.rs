//! A benchmark's files into a Sheaf database.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sheafdb::{Database, Output};

use crate::benchmark::Benchmark;
use crate::failure::{During, Failure, Result};
use crate::{folders, generate, tables};

/// A table to be loaded, as any engine needs to know it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The statement that creates it.
    pub create: String,
    /// Name, SQL type and whether it may be NULL, of each column.
    pub columns: Vec<(String, String, bool)>,
    /// Columns of the primary key; none when keys are not declared.
    pub key: Vec<String>,
    /// The column of dates that a table clustered by time is sorted by.
    pub cluster: Option<String>,
    /// Its Parquet files, in the order of their rows.
    pub files: Vec<PathBuf>,
}

/// The tables of a benchmark with their files in `data`, which must be there.
pub fn sources(benchmark: Benchmark, sf: f64, data: &Path, keys: bool) -> Result<Vec<Source>> {
    let source = |table: &tables::Table| {
        let columns = table.schema.fields().iter().map(|field| {
            let data_type = tables::sql_type(field.data_type())?;
            Ok((field.name().clone(), data_type, field.is_nullable()))
        });
        let key: &[&str] = if keys { table.key } else { &[] };
        Ok(Source {
            name: table.name.to_owned(),
            create: table.create(keys)?,
            columns: columns.collect::<Result<_>>()?,
            key: key.iter().map(|column| (*column).to_owned()).collect(),
            cluster: table.cluster().map(str::to_owned),
            files: generate::files(benchmark, table, sf, data)?,
        })
    };
    benchmark.tables().iter().map(source).collect()
}

/// What loading took.
#[derive(Debug)]
pub struct Loaded {
    /// Rows of all tables.
    pub rows: u64,
    /// From the first CREATE TABLE until the database is closed.
    pub seconds: f64,
    /// Bytes on disk afterwards.
    pub bytes: u64,
}

/// A table that was loaded.
#[derive(Debug)]
pub struct TableLoaded {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// How long its COPY statements took.
    pub seconds: f64,
}

/// Loads into a database that must not be there, telling of each table when it is done.
pub fn load(sources: &[Source], path: &Path, mut told: impl FnMut(&TableLoaded)) -> Result<Loaded> {
    if path.exists() {
        return Err(Failure::new(format!("{} is there already", path.display())));
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let start = Instant::now();
    let database = Database::open(path)?;
    let session = database.session();
    let mut rows = 0;
    for source in sources {
        session.execute_blocking(&source.create)?;
        let table_start = Instant::now();
        let mut table_rows = 0;
        for file in &source.files {
            let sql = copy(&source.name, file);
            let output = session.query_blocking(&sql, Vec::new()).during(&sql)?;
            if let Output::Done { tag, .. } = output {
                table_rows += tag.rows.unwrap_or(0);
            }
        }
        rows += table_rows;
        let seconds = table_start.elapsed().as_secs_f64();
        told(&TableLoaded { name: source.name.clone(), rows: table_rows, seconds });
    }
    drop(session);
    database.close()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Loaded { rows, seconds, bytes: folders::bytes(path)? })
}

fn copy(table: &str, file: &Path) -> String {
    let file = file.display().to_string().replace('\'', "''");
    format!("COPY {table} FROM '{file}' (FORMAT parquet)")
}
