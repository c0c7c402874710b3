//! Steps that run one after the other, and a table at the end of how they went.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

enum Outcome {
    Ok,
    Failed,
    Skipped(&'static str),
}

/// What ran so far. A failed step does not stop those after it, so that one run
/// shows everything there is to repair.
#[derive(Default)]
pub struct Steps {
    done: Vec<(String, Outcome, Duration)>,
}

impl Steps {
    /// Runs a command; it fails when the command does.
    pub fn command(&mut self, name: &str, command: &mut Command) {
        self.check(name, || match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{:?} ended with {status}", command.get_program())),
            Err(error) => Err(format!("{:?} did not start: {error}", command.get_program())),
        });
    }

    /// Runs a function; its error is shown.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> Result<(), String>) {
        println!("\n== {name}");
        let started = Instant::now();
        let outcome = match check() {
            Ok(()) => Outcome::Ok,
            Err(error) => {
                eprintln!("{error}");
                Outcome::Failed
            }
        };
        self.done.push((name.to_owned(), outcome, started.elapsed()));
    }

    /// Notes a step that cannot run here. `why` says what would let it run.
    pub fn skip(&mut self, name: &str, why: &'static str) {
        self.done.push((name.to_owned(), Outcome::Skipped(why), Duration::ZERO));
    }

    /// Prints the table.
    pub fn finish(self) -> ExitCode {
        let width = self.done.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        println!("\n{:width$}  {:>8}  result", "step", "time");
        let mut code = ExitCode::SUCCESS;
        for (name, outcome, time) in &self.done {
            let result = match outcome {
                Outcome::Ok => "ok".to_owned(),
                Outcome::Failed => "FAILED".to_owned(),
                Outcome::Skipped(why) => format!("skipped: {why}"),
            };
            println!("{name:width$}  {:>6.1} s  {result}", time.as_secs_f64());
            if matches!(outcome, Outcome::Failed) {
                code = ExitCode::FAILURE;
            }
        }
        code
    }
}
