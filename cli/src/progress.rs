//! A sign of life on standard error while a statement takes long.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::output::grouped;

/// Statements shorter than this show nothing.
const SILENCE: Duration = Duration::from_secs(2);
/// Characters of the bar.
const BAR_LEN: usize = 20;
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

    /// To be called several times a second, with the rows so far and the bytes of files
    /// that were read and that there are. Whether it can be drawn does not matter to
    /// the statement, so failures are not reported.
    pub fn tick(&mut self, rows: u64, files: Option<(u64, u64)>) {
        if self.terminal && self.elapsed() >= SILENCE {
            self.frame += 1;
            let frame = FRAMES[self.frame % FRAMES.len()];
            let seconds = self.elapsed().as_secs_f64();
            let what = match files {
                Some((done, total)) if total > 0 => reading(done, total, seconds),
                _ => format!("{} rows", grouped(rows)),
            };
            let _ = write!(
                std::io::stderr(),
                "\r\x1b[K{frame} {seconds:.1} s · {what} · Ctrl-C cancels"
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

/// A bar, the rate and the time that is left for bytes of files.
fn reading(done: u64, total: u64, seconds: f64) -> String {
    let share = done as f64 / total as f64;
    let full = (share * BAR_LEN as f64) as usize;
    let bar = "█".repeat(full) + &"░".repeat(BAR_LEN - full.min(BAR_LEN));
    let rate = done as f64 / seconds;
    let left = if done > 0 { (total - done.min(total)) as f64 / rate } else { f64::INFINITY };
    let left = if left.is_finite() { format!(" · {left:.0} s left") } else { String::new() };
    format!("{bar} {:.0} % · {:.0} MB/s{left}", share * 100.0, rate / 1e6)
}

#[cfg(test)]
mod tests {
    use super::reading;

    #[test]
    fn a_reading_has_a_rate_and_an_end() {
        assert_eq!(
            reading(50_000_000, 200_000_000, 5.0),
            "█████░░░░░░░░░░░░░░░ 25 % · 10 MB/s · 15 s left"
        );
        assert_eq!(reading(0, 10, 2.5), "░░░░░░░░░░░░░░░░░░░░ 0 % · 0 MB/s");
    }
}
