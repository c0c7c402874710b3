//! Ctrl-C: stops the running statement, and the program only when none runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Exit code after Ctrl-C, as shells expect it: 128 + SIGINT.
pub const EXIT_CODE: u8 = 130;

/// Told by the signal handler, asked by whoever runs a statement.
#[derive(Clone, Default)]
pub struct Interrupt {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    busy: AtomicBool,
    pressed: Notify,
}

impl Interrupt {
    /// Takes over Ctrl-C for this process.
    pub fn install() -> Result<Self, ctrlc::Error> {
        let interrupt = Self::default();
        let state = interrupt.state.clone();
        ctrlc::set_handler(move || {
            if state.busy.load(Ordering::SeqCst) {
                state.pressed.notify_one();
            } else {
                std::process::exit(i32::from(EXIT_CODE));
            }
        })?;
        Ok(interrupt)
    }

    /// From now until the guard is dropped Ctrl-C means [`Busy::pressed`].
    pub fn busy(&self) -> Busy<'_> {
        self.state.busy.store(true, Ordering::SeqCst);
        Busy { state: &self.state }
    }
}

/// A statement is running.
pub struct Busy<'a> {
    state: &'a State,
}

impl Busy<'_> {
    /// Ends when Ctrl-C was pressed.
    pub async fn pressed(&self) {
        self.state.pressed.notified().await;
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.state.busy.store(false, Ordering::SeqCst);
    }
}
