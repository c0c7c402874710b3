//! A session with a person or a script: SQL, and commands that start with a dot.

use std::fs::File;
use std::io::{BufReader, Write};

use crate::message::Failure;
use crate::output::Format;
use crate::run::{Place, Runner};
use crate::{catalog, interrupt, script, terminal};

const HELP: &str = "\
.help                          this list
.mode box|csv|json|arrow       how results are written
.quit                          leave (also Ctrl-D)
.read FILE                     run the statements of a file
.rows N                        rows that a box shows at most; 0 shows all
.schema [TABLE]                how tables were created
.tables                        tables and views
.timer on|off                  say how long statements take
A statement ends with a semicolon. Ctrl-C cancels the running statement.
";

/// Exit code when whoever read our output went away: 128 + SIGPIPE.
const EXIT_BROKEN_PIPE: u8 = 141;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Read on.
    Continue,
    /// `.quit`.
    Quit,
}

/// Something failed and its message has been written.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// What the process should end with, if it ends now.
    pub exit: u8,
}

/// What a line of input acts on.
pub struct Console {
    /// Runs its statements.
    pub runner: Runner,
}

impl Console {
    /// Writes a failure to standard error. `origin` is as in [`Failure::report`].
    pub fn complain(&self, failure: &Failure, sql: &str, origin: Option<(&str, usize)>) -> Failed {
        if failure.is_broken_pipe() {
            return Failed { exit: EXIT_BROKEN_PIPE };
        }
        eprint!("{}", failure.report(sql, origin, terminal::error_color()));
        Failed {
            exit: if matches!(failure, Failure::Cancelled) { interrupt::EXIT_CODE } else { 1 },
        }
    }

    /// Runs a command that starts with a dot.
    pub fn command(&mut self, line: &str, out: &mut dyn Write) -> Result<Flow, Failed> {
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim().trim_end_matches(';');
        let done = match name.trim_end_matches(';') {
            ".quit" | ".exit" => return Ok(Flow::Quit),
            ".read" => return self.read(argument, out),
            ".help" => out.write_all(HELP.as_bytes()).map_err(Failure::from),
            ".tables" => self.write_names(out),
            ".schema" => self.write_definitions(argument, out),
            ".timer" => self.set_timer(argument),
            ".mode" => self.set_mode(argument),
            ".rows" => self.set_rows(argument),
            other => Err(Failure::Other(format!("no command {other}: .help lists them"))),
        };
        done.and_then(|()| Ok(out.flush()?))
            .map(|()| Flow::Continue)
            .map_err(|failure| self.complain(&failure, "", None))
    }

    fn read(&mut self, path: &str, out: &mut dyn Write) -> Result<Flow, Failed> {
        let path = path.trim_matches(['\'', '"']);
        match File::open(path) {
            Ok(file) => script::run(self, &mut BufReader::new(file), Some(path), out),
            Err(error) => Err(self.complain(
                &Failure::Other(format!("cannot read {path}: {error}")),
                "",
                None,
            )),
        }
    }

    fn write_names(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let names = match &self.runner.place {
            Place::Here(session) => catalog::names(session.database())?,
            Place::There(remote) => remote.names()?,
        };
        for name in names {
            writeln!(out, "{name}")?;
        }
        Ok(())
    }

    fn write_definitions(&self, name: &str, out: &mut dyn Write) -> Result<(), Failure> {
        match &self.runner.place {
            Place::Here(session) => catalog::write_definitions(session.database(), name, out),
            Place::There(_) => {
                let what = ".schema is for a database of this process: write DESCRIBE and a table";
                Err(Failure::Other(what.into()))
            }
        }
    }

    fn set_timer(&mut self, argument: &str) -> Result<(), Failure> {
        self.runner.view.timer = match argument {
            "on" => true,
            "off" => false,
            _ => return Err(Failure::Other("write .timer on or .timer off".into())),
        };
        Ok(())
    }

    fn set_mode(&mut self, argument: &str) -> Result<(), Failure> {
        self.runner.format = <Format as clap::ValueEnum>::from_str(argument, true)
            .map_err(|_| Failure::Other("write .mode box, csv, json or arrow".into()))?;
        Ok(())
    }

    fn set_rows(&mut self, argument: &str) -> Result<(), Failure> {
        self.runner.view.max_rows = argument
            .parse()
            .map_err(|_| Failure::Other("write .rows and a number; 0 shows all".into()))?;
        Ok(())
    }
}
