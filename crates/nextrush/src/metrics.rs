//! Figures of an application: what it has done since its start, and what it holds.
//!
//! [`Handle::metrics`](crate::Handle::metrics) takes them.

use std::time::Duration;

pub use nextrush_broker::StoreSize;
pub use nextrush_engine::{Counts, EngineMetrics, ShardMetrics, TurnTimes};

use crate::socket::handle::Handle;
pub use crate::socket::requests::RequestCounts;
pub use crate::tally::{Durations, RecoveryCounts, RefusalCount, RequestOutcome, RequestTimes};

/// Figures of an application in this process: what it has done since its start, and what it
/// holds.
///
/// Cheap to take, once a second and more. Rates are differences of two of them.
///
/// ```
/// # fn example(app: &nextrush::Handle) {
/// let metrics = app.metrics();
/// let total = metrics.engine.total();
/// println!("{} connections", total.counts.connections);
/// println!("{} of them read too slowly", total.counts.waiting);
/// println!("the longest turn took {:?}", total.turns.max());
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// The connections and the shards that serve them.
    pub engine: EngineMetrics,
    /// Publications to channels and chat rooms that this node's broker has acknowledged;
    /// repeats and volatile messages are none.
    pub published: u64,
    /// The times that these took, and those that failed, where the broker had to wait for a disk or
    /// another machine. What a broker in memory does at once is not timed.
    pub publishing: Durations,
    /// Answers to requests that came too late.
    pub requests: RequestCounts,
    /// The requests of clients that functions of the application were called for, by type and
    /// outcome. Repeats that got the answer of the first are not among them.
    pub request_times: Vec<RequestTimes>,
    /// Clients that came back with a position, by what became of it.
    pub recoveries: RecoveryCounts,
    /// The refusals that clients were told, over sockets and over HTTP, by code.
    pub refusals: Vec<RefusalCount>,
    /// The nodes that share the broker, this one among them, at the last look: 3 s ago at most.
    pub nodes: usize,
    /// The size of the store's files; `None` of a broker without files of its own.
    pub store: Option<StoreSize>,
    /// The time for which a shared store has been out of reach; `None` while it is not.
    pub store_away: Option<Duration>,
}

impl Handle {
    /// Counts since the start of the application, and what it holds now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics {
            engine: self.engine().metrics(),
            published: self.local_topics().published(),
            publishing: self.local_topics().publishing(),
            requests: self.request_counts(),
            request_times: self.tally().requests(),
            recoveries: self.tally().recoveries(),
            refusals: self.tally().refusals(),
            nodes: 1 + self.line().known_others().len(),
            store: self.broker().store_size(),
            store_away: self.broker().away(),
        }
    }
}
