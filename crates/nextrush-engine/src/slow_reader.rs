//! The bounds of a backlog: the only place that decides when a client reads too slowly, and its
//! connection is closed with 1013.
//!
//! A connection's handle asks before it sends. Its shard asks after each write for the bytes,
//! and by a timer for the age. Frames that can be skipped do not close a connection: the member
//! lags instead.

use std::cmp::Reverse;
use std::time::Duration;

use crate::config::Backlog;
use crate::connection::ConnectionState;
use crate::shared::Shared;

/// The weight of the largest [`Backlog::bytes`].
const MOST: u32 = 1 << 30;

/// The weight of a number of bytes among those that are buffered: the number itself, up to
/// 1 GiB, so that one long frame above that does not overflow the sum.
pub(crate) fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).map_or(MOST, |bytes| bytes.min(MOST))
}

impl Backlog {
    /// Returns whether the handle refuses a frame, as these bytes are buffered already.
    pub(crate) fn refuses(&self, buffered: u32) -> bool {
        buffered > weight(self.bytes)
    }

    /// Returns whether an outbox holds too much. A single frame may be of any length.
    pub(crate) fn is_exceeded(&self, bytes: usize, frames: usize) -> bool {
        bytes > self.bytes && frames > 1
    }

    /// Returns whether a client has stalled for too long.
    pub(crate) fn is_overdue(&self, stalled: Duration) -> bool {
        stalled >= self.age
    }

    /// The most bytes that skippable publications and refills may take. The rest is for what
    /// cannot be skipped.
    pub(crate) fn skippable_share(&self) -> usize {
        self.bytes / 2
    }
}

impl Shared {
    /// The bytes that wait for single clients above the bound of all together.
    pub(crate) fn backlog_excess(&self) -> usize {
        let waiting = self.links.iter().map(|link| link.board.own_bytes());
        usize::try_from(waiting.sum::<u64>())
            .unwrap_or(usize::MAX)
            .saturating_sub(self.backlog_total())
    }

    /// Closes the connections with the largest backlogs until so many bytes are on the way out,
    /// those of connections that were told to close included. Where the peer still has much to
    /// read although the connection has ended, it is cut.
    pub(crate) fn close_largest_backlogs(&self, mut excess: usize) {
        let mut waiting = Vec::new();
        for link in &self.links {
            link.all_waiting(&mut waiting);
        }
        waiting.retain(|(bytes, connection)| {
            let is_told = connection.state() == ConnectionState::Closing;
            if is_told {
                excess = excess.saturating_sub(*bytes);
            }
            !is_told
        });
        waiting.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
        for (bytes, connection) in waiting {
            if excess == 0 {
                return;
            }
            connection.crowd_out();
            excess = excess.saturating_sub(bytes);
        }
    }
}
