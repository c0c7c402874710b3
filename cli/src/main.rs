//! The `sheaf` command.
//!
//! ```text
//!   args      what was asked
//!    |
//!   serve     programs, over Flight SQL
//!   shell     a person      \
//!   script    a pipe, a file -> console -> run -> output
//!   tour      the tour      /
//! ```

mod args;
mod catalog;
mod console;
mod import;
mod interrupt;
mod message;
mod output;
mod progress;
mod run;
mod script;
mod serve;
mod shell;
mod telemetry;
mod terminal;
mod tour;
mod verify;

use std::fs::File;
use std::io::{BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use sheafdb::{Database, OpenOptions};

use args::{Cli, Command, ShellArgs};
use console::{Console, Failed};
use interrupt::Interrupt;
use message::Failure;
use run::Runner;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Some(Command::Tour(args)) => tour::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Verify { path }) => verify::run(&path),
        Some(Command::TourWriter { path }) => tour::write_until_killed(&path),
        None => return sql(&cli.shell),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{}", failure.report("", None, terminal::error_color()));
            ExitCode::FAILURE
        }
    }
}

/// The shell, one-shot SQL and scripts.
fn sql(args: &ShellArgs) -> ExitCode {
    let mut console = match open(args) {
        Ok(console) => console,
        Err(failure) => {
            eprint!("{}", failure.report("", None, terminal::error_color()));
            return ExitCode::FAILURE;
        }
    };
    let ran = run_sql(&mut console, args);
    let closed = console.database.close().map_err(|e| console.complain(&e.into(), "", None));
    match ran.and(closed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => ExitCode::from(failed.exit),
    }
}

fn open(args: &ShellArgs) -> Result<Console, Failure> {
    let database = match &args.path {
        Some(path) => Database::open_with(
            path,
            OpenOptions::new().read_only(args.read_only).create(!args.read_only),
        )?,
        None if args.read_only => {
            return Err(Failure::Other("--read-only needs the PATH of a database".into()));
        }
        None => Database::in_memory()?,
    };
    let session = database.session();
    if let Some(limit) = &args.memory_limit {
        let limit = limit.replace('\'', "''");
        session.execute_blocking(&format!("SET memory_limit = '{limit}'"))?;
    }
    let runner = Runner {
        session,
        interrupt: Interrupt::install()
            .map_err(|e| Failure::Other(format!("cannot watch for Ctrl-C: {e}")))?,
        format: args.format,
        view: terminal::view(args.rows),
    };
    Ok(Console { database, runner })
}

fn run_sql(console: &mut Console, args: &ShellArgs) -> Result<(), Failed> {
    let out: &mut dyn Write = &mut std::io::stdout();
    if !args.sql.is_empty() {
        for sql in &args.sql {
            script::run(console, &mut sql.as_bytes(), None, out)?;
        }
    } else if !args.file.is_empty() {
        for path in &args.file {
            run_file(console, path, out)?;
        }
    } else if std::io::stdin().is_terminal() {
        let place =
            args.path.as_ref().map_or("in memory".to_owned(), |path| path.display().to_string());
        shell::run(console, &place).map_err(|failure| console.complain(&failure, "", None))?;
    } else {
        script::run(console, &mut std::io::stdin().lock(), None, out)?;
    }
    Ok(())
}

fn run_file(console: &mut Console, path: &Path, out: &mut dyn Write) -> Result<(), Failed> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| {
        console.complain(&Failure::Other(format!("cannot read {name}: {error}")), "", None)
    })?;
    script::run(console, &mut BufReader::new(file), Some(&name), out)?;
    Ok(())
}
