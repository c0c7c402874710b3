//! Stand-in for the `custom-labels` crate.
//!
//! The real crate tags threads for an external profiler through a C shim that
//! needs libclang to build. Vortex calls three of its functions when it spawns
//! tasks; here they do nothing.

/// A set of labels; always empty.
#[derive(Clone, Debug, Default)]
pub struct Labelset;

impl Labelset {
    /// The current thread's labels.
    pub fn clone_from_current() -> Self {
        Self
    }

    /// Runs `f` with these labels.
    pub fn enter<F, R>(&mut self, f: F) -> R
    where
        F: FnOnce() -> R,
    {
        f()
    }
}

/// Labels that follow a future across threads.
pub mod asynchronous {
    /// Attaches the current labels to a future.
    pub trait Label: Sized {
        /// Returns the future unchanged.
        fn with_current_labels(self) -> Self {
            self
        }
    }

    impl<F: Future> Label for F {}
}
