//! The bounds beyond which a client reads too slowly, and so the only place that decides when
//! a connection is closed with 1013 for what waits.
//!
//! Asked by a connection's handle before it sends, and by its shard: after each write for the
//! bytes, and by a timer for the age. Only what cannot be skipped closes a connection; a
//! member that is behind with skippable publications lags instead.

use std::time::Duration;

use crate::config::Backlog;

/// The weight of the largest [`Backlog::bytes`].
const MOST: u32 = 1 << 30;

/// How much a number of bytes counts as buffered: itself, up to 1 GiB, so that one long frame
/// above that does not overflow the sum.
pub(crate) fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).map_or(MOST, |bytes| bytes.min(MOST))
}

impl Backlog {
    /// Whether a connection with so much buffered may not be sent anything more.
    pub(crate) fn refuses(&self, buffered: u32) -> bool {
        buffered > weight(self.bytes)
    }

    /// Whether an outbox holds too much. A single frame may be of any length.
    pub(crate) fn is_exceeded(&self, bytes: usize, frames: usize) -> bool {
        bytes > self.bytes && frames > 1
    }

    /// Whether a client has stalled for too long.
    pub(crate) fn is_overdue(&self, stalled: Duration) -> bool {
        stalled >= self.age
    }

    /// The most bytes that skippable publications and refills may take. The rest is for what
    /// cannot be skipped.
    pub(crate) fn skippable_share(&self) -> usize {
        self.bytes / 2
    }
}
