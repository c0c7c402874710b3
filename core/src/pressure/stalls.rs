//! A record of when writers were held up.

use std::collections::VecDeque;

use crate::inspect::StallInfo;

/// Stalls that are remembered.
const STALLS_KEPT: usize = 256;

/// A slowdown that pauses for less than this is one slowdown.
const PAUSE_US: i64 = 100_000;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Stalls(VecDeque<StallInfo>);

impl Stalls {
    /// Adds a stall of one write to the last of its kind, or as a new one.
    pub(super) fn record(
        &mut self,
        kind: &'static str,
        reason: &'static str,
        started_us: i64,
        stalled_us: u64,
    ) {
        if let Some(last) = self.0.back_mut()
            && (last.kind, last.reason) == (kind, reason)
            && started_us - last.ended_us < PAUSE_US
        {
            last.writes += 1;
            last.stalled_us += stalled_us;
            last.ended_us = started_us + stalled_us as i64;
            return;
        }
        if self.0.len() == STALLS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(StallInfo {
            kind,
            reason,
            started_us,
            ended_us: started_us + stalled_us as i64,
            writes: 1,
            stalled_us,
        });
    }

    /// All that are remembered, the newest first.
    pub(super) fn list(&self) -> Vec<StallInfo> {
        self.0.iter().rev().cloned().collect()
    }
}
