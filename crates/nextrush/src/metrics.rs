//! Figures of an application: what it has done since its start, and what it holds.
//!
//! [`Handle::metrics`](crate::Handle::metrics) takes them.

pub use nextrush_engine::{Counts, EngineMetrics, ShardMetrics, TurnTimes};

use crate::socket::handle::Handle;
pub use crate::socket::requests::RequestCounts;

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
    /// Answers to requests that came too late.
    pub requests: RequestCounts,
}

impl Handle {
    /// Counts since the start of the application, and what it holds now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics {
            engine: self.engine().metrics(),
            published: self.local_topics().published(),
            requests: self.request_counts(),
        }
    }
}
