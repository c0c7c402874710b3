//! The `sheaf` command.
//!
//! ```text
//!   args      what was asked
//!    |
//!   serve     programs, over Flight SQL; telemetry: logs and traces
//!   remote    `connect`: a database that is served
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
mod remote;
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
use sheaf_allocator as _;
use sheafdb::{Database, OpenOptions};

use args::{Cli, Command, ShellArgs, StatementArgs};
use console::{Console, Failed};
use interrupt::Interrupt;
use message::Failure;
use remote::Remote;
use run::{Place, Runner};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Some(Command::Tour(args)) => tour::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Connect(args)) => {
            let place = Remote::connect(&args).map(|remote| Place::There(remote.into()));
            return sql(place, &args.url, &args.statements);
        }
        Some(Command::Verify { path }) => verify::run(&path),
        Some(Command::TourWriter { path }) => tour::write_until_killed(&path),
        None => {
            let path = cli.shell.path.as_ref();
            let name = path.map_or("in memory".to_owned(), |path| path.display().to_string());
            return sql(open(&cli.shell), &name, &cli.shell.statements);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprint!("{}", failure.report("", None, terminal::error_color()));
            ExitCode::FAILURE
        }
    }
}

/// The shell, one-shot SQL and scripts, on what a person knows by `name`.
fn sql(place: Result<Place, Failure>, name: &str, args: &StatementArgs) -> ExitCode {
    let mut console = match place.and_then(|place| console(place, args)) {
        Ok(console) => console,
        Err(failure) => {
            eprint!("{}", failure.report("", None, terminal::error_color()));
            return ExitCode::FAILURE;
        }
    };
    let ran = run_sql(&mut console, name, args);
    let closed = match console.runner.place.database() {
        Some(database) => database.close().map_err(|e| console.complain(&e.into(), "", None)),
        None => Ok(()),
    };
    match ran.and(closed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => ExitCode::from(failed.exit),
    }
}

fn open(args: &ShellArgs) -> Result<Place, Failure> {
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
    Ok(Place::Here(session))
}

fn console(place: Place, args: &StatementArgs) -> Result<Console, Failure> {
    let interrupt = Interrupt::install()
        .map_err(|e| Failure::Other(format!("cannot watch for Ctrl-C: {e}")))?;
    let view = terminal::view(args.rows);
    Ok(Console { runner: Runner { place, interrupt, format: args.format, view } })
}

fn run_sql(console: &mut Console, name: &str, args: &StatementArgs) -> Result<(), Failed> {
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
        shell::run(console, name).map_err(|failure| console.complain(&failure, "", None))?;
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
