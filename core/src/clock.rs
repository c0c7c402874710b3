//! Time and randomness as the store sees them, so that a simulation can own both.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Wall clock. Orders nothing: sequence numbers do that.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Microseconds since the Unix epoch.
    fn now_us(&self) -> i64;
}

/// Source of random bits for identifiers.
pub trait Rng: Debug + Send + Sync + 'static {
    /// The next 64 bits.
    fn next_u64(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
    fn now_us(&self) -> i64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_micros() as i64)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance_us(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_us(&self) -> i64 {
        self.0.load(Ordering::Relaxed) as i64
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough for identifiers, not for secrets.
#[derive(Debug)]
pub struct SplitMix(Mutex<u64>);

impl SplitMix {
    /// A generator whose output depends on `seed` alone.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// A generator seeded by the operating system.
    pub fn from_system() -> Self {
        use std::hash::{BuildHasher, Hasher};
        let hasher = std::collections::hash_map::RandomState::new().build_hasher();
        Self::seeded(hasher.finish() ^ (u64::from(std::process::id()) << 32))
    }
}

impl Rng for SplitMix {
    fn next_u64(&self) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// A new identifier in ULID layout: 48 bits of milliseconds, 80 random bits.
pub fn new_ulid(clock: &dyn Clock, rng: &dyn Rng) -> u128 {
    let ms = (clock.now_us().max(0) as u128 / 1000) & ((1 << 48) - 1);
    let random = (u128::from(rng.next_u64()) << 16) | u128::from(rng.next_u64() & 0xFFFF);
    (ms << 80) | random
}
