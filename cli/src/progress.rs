//! A sign of life on standard error while a statement takes long.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::output::grouped;

/// Statements shorter than this show nothing.
const SILENCE: Duration = Duration::from_secs(2);
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Shows elapsed time and rows so far; nothing where standard error is no terminal.
pub struct Progress {
    started: Instant,
    terminal: bool,
    frame: usize,
}

impl Progress {
    /// Starts the clock.
    pub fn start() -> Self {
        Self { started: Instant::now(), terminal: std::io::stderr().is_terminal(), frame: 0 }
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// To be called several times a second. Whether it can be drawn does not
    /// matter to the statement, so failures are not reported.
    pub fn tick(&mut self, rows: u64) {
        if self.terminal && self.elapsed() >= SILENCE {
            self.frame += 1;
            let frame = FRAMES[self.frame % FRAMES.len()];
            let seconds = self.elapsed().as_secs_f64();
            let _ = write!(
                std::io::stderr(),
                "\r\x1b[K{frame} {seconds:.1} s · {} rows · Ctrl-C cancels",
                grouped(rows)
            );
        }
    }

    /// Wipes the line, before anything else is written.
    pub fn clear(&mut self) {
        if self.frame > 0 {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
            self.frame = 0;
        }
    }
}
