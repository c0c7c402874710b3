//! How long single operations took.

use std::fmt;
use std::time::{Duration, Instant};

/// Durations of equal operations.
#[derive(Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Runs `operation` and notes how long it took.
    pub fn time<T>(&mut self, operation: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = operation();
        self.0.push(started.elapsed());
        result
    }

    /// Takes over the durations of another thread.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The duration that `percent` of the operations did not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(rank).copied().unwrap_or_default()
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |percent| match self.percentile(percent).as_nanos() as f64 / 1e3 {
            us if us < 1e3 => format!("{us:.1} us"),
            us => format!("{:.1} ms", us / 1e3),
        };
        write!(f, "p50 {} · p99 {}", text(50), text(99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let latencies = Latencies((1..=200).map(|n| Duration::from_micros(n * 8)).collect());
        assert_eq!(latencies.to_string(), "p50 800.0 us · p99 1.6 ms");
    }
}
