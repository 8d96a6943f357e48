//! Reading a topic's history.

use std::sync::Arc;

use crate::position::Position;
use crate::publication::Publication;

/// A part of a topic's history.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a broker has to answer every query"
)]
pub enum HistoryQuery {
    /// The newest publications, at most this many. `Latest(0)` reads only the position.
    Latest(usize),
    /// The oldest publications after an offset; none after an offset at or beyond the top.
    After {
        /// The offset of the last publication that is known; 0 reads from the start.
        offset: u64,
        /// The most publications to read.
        limit: usize,
    },
}

/// A part of a topic's history, with the topic's position.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// The position of the newest publication at the moment of reading, whether or not that
    /// publication is still remembered.
    pub position: Position,
    /// The publications, oldest first and without a gap.
    pub publications: Vec<Arc<Publication>>,
    /// The end of the life that the present one continues: positions of that epoch up to that
    /// offset count as positions of this stream, with the same offsets. `None` if the stream
    /// began with its epoch.
    pub continues: Option<Position>,
}

impl History {
    /// Combines publications with the position of the topic. For implementers of brokers.
    #[must_use]
    pub const fn new(position: Position, publications: Vec<Arc<Publication>>) -> Self {
        Self {
            position,
            publications,
            continues: None,
        }
    }

    /// Sets [`continues`](Self::continues). For implementers of brokers.
    #[must_use]
    pub fn continuing(self, continues: Option<Position>) -> Self {
        Self { continues, ..self }
    }
}
