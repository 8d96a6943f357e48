//! Counts of answers that came too late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::socket::handle::Handle;

/// The answers that came too late, since the start of the application.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RequestCounts {
    /// Replies to requests of clients whose sockets were closed by then. A client that comes back
    /// and repeats its request gets the reply.
    pub late_replies: u64,
    /// Responses to requests of the server that nobody waited for any more.
    pub late_responses: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    late_replies: AtomicU64,
    late_responses: AtomicU64,
}

impl Counters {
    pub(super) fn count_late_reply(&self) {
        self.late_replies.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_late_response(&self) {
        self.late_responses.fetch_add(1, Ordering::Relaxed);
    }
}

impl Handle {
    pub(super) fn late_answers(&self) -> Arc<Counters> {
        self.part(Arc::<Counters>::default)
    }

    /// The answers that came too late, since the start of the application.
    pub(crate) fn request_counts(&self) -> RequestCounts {
        let counters = self.late_answers();
        RequestCounts {
            late_replies: counters.late_replies.load(Ordering::Relaxed),
            late_responses: counters.late_responses.load(Ordering::Relaxed),
        }
    }
}
