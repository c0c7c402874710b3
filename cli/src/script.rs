//! Statements from a pipe or a file: each runs as soon as it is complete, and the
//! first that fails ends the script.

use std::io::{BufRead, Write};

use sheafdb::Session;

use crate::console::{Console, Failed, Flow};
use crate::message::Failure;

/// Runs everything in `input`. `name` is a file's, for messages.
pub fn run(
    console: &mut Console,
    input: &mut dyn BufRead,
    name: Option<&str>,
    out: &mut dyn Write,
) -> Result<Flow, Failed> {
    let mut script = Script { name, pending: String::new(), line: 0 };
    let mut line = String::new();
    loop {
        line.clear();
        match input.read_line(&mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                let failure = Failure::Other(format!("cannot read the script: {error}"));
                return Err(console.complain(&failure, "", None));
            }
        }
        if script.push(&line, console, out)? == Flow::Quit {
            return Ok(Flow::Quit);
        }
    }
    let rest = Session::split(&script.pending)
        .map_err(|error| console.complain(&error.into(), "", None))?;
    script.run(rest, console, out)?;
    Ok(Flow::Continue)
}

/// The part of a script that has not run yet.
struct Script<'a> {
    name: Option<&'a str>,
    pending: String,
    /// Number of the line that `pending` starts in, from 0.
    line: usize,
}

impl Script<'_> {
    fn push(
        &mut self,
        line: &str,
        console: &mut Console,
        out: &mut dyn Write,
    ) -> Result<Flow, Failed> {
        if line.starts_with('.') && Session::is_complete(&self.pending) {
            self.advance(self.pending.len());
            self.line += 1;
            return console.command(line.trim_end(), out);
        }
        self.pending.push_str(line);
        // Only a line with a semicolon can complete a statement: long statements
        // are not read again for every line.
        if line.contains(';') {
            let (complete, rest) = Session::split_complete(&self.pending);
            let end = self.pending.len() - rest.len();
            self.run(complete, console, out)?;
            self.advance(end);
        }
        Ok(Flow::Continue)
    }

    /// Runs statements that `pending` holds in this order.
    fn run(
        &self,
        statements: Vec<String>,
        console: &Console,
        out: &mut dyn Write,
    ) -> Result<(), Failed> {
        let mut from = 0;
        for sql in statements {
            let start = from + self.pending[from..].find(&sql).unwrap_or(0);
            let line = self.line + self.pending[..start].matches('\n').count();
            let origin = self.name.map(|name| (name, line));
            console
                .runner
                .run(&sql, out)
                .map_err(|failure| console.complain(&failure, &sql, origin))?;
            from = start + sql.len();
        }
        Ok(())
    }

    /// Takes the first `end` bytes away.
    fn advance(&mut self, end: usize) {
        let rest = self.pending.split_off(end);
        self.line += self.pending.matches('\n').count();
        self.pending = rest;
    }
}
