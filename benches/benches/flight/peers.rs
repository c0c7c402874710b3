//! The same rows as other engines give them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sheaf_benches::{Failure, Report, Task};
use sheaf_tpch::compare::venv;
use sheafdb::Database;

use crate::{ALL, ROWS, RUNS, shown};

/// The same rows in DuckDB, read as Arrow in its process; and from PostgreSQL, where the
/// variable `SHEAF_POSTGRES` has the address of one.
pub fn fetch(folder: &Path, path: &Path, report: &mut Report) -> Result<Duration, Failure> {
    let database = Database::open(path)?;
    let export = |ending: &str| -> Result<String, Failure> {
        let file = folder.join(format!("t.{ending}")).display().to_string();
        database.session().execute_blocking(&format!("COPY t TO '{file}'"))?;
        Ok(file)
    };
    if let Ok(postgres) = std::env::var("SHEAF_POSTGRES") {
        let task = Task { create: postgres, ..task("postgres", export("csv")?, PathBuf::new())? };
        report.figure("the same from PostgreSQL with psycopg", shown(time(&task)?));
    }
    let task = task("duckdb", export("parquet")?, folder.join("duckdb"))?;
    database.close()?;
    time(&task)
}

/// How long a task takes, in a process of its own.
pub fn time(task: &Task) -> Result<Duration, Failure> {
    Ok(Duration::from_secs_f64(task.run_anew(Some(&venv::peers()?))?.seconds))
}

/// The task of reading all rows.
pub fn task(engine: &str, from: String, database: PathBuf) -> Result<Task, Failure> {
    Ok(Task {
        engine: engine.to_owned(),
        action: "fetch".to_owned(),
        format: String::new(),
        commits: (ROWS as usize, RUNS),
        file: from,
        database: database.display().to_string(),
        threads: std::thread::available_parallelism()?.get(),
        create: String::new(),
        check: ALL.to_owned(),
    })
}
