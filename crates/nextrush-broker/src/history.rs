//! Reading a topic's history.

use std::sync::Arc;

use crate::position::Position;
use crate::publication::Publication;

/// Which part of a topic's history to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HistoryQuery {
    /// The newest publications, at most this many. `Latest(0)` reads the position
    /// alone.
    Latest(usize),
    /// The oldest publications after an offset. An offset at or beyond the top is
    /// followed by none.
    After {
        /// The last offset already seen; 0 asks from the start.
        offset: u64,
        /// At most this many.
        limit: usize,
    },
}

/// What was asked for of a topic's history, and where the topic stands.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// The topic's top when this was read: its epoch and the offset of its newest
    /// publication, whether or not that is still remembered.
    pub position: Position,
    /// Oldest first, without a hole between them.
    pub publications: Vec<Arc<Publication>>,
}

impl History {
    /// The publications that were asked for, of a topic whose top is at `position`; for
    /// brokers.
    #[must_use]
    pub const fn new(position: Position, publications: Vec<Arc<Publication>>) -> Self {
        Self {
            position,
            publications,
        }
    }
}
