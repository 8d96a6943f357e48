use std::{sync::Arc, time::Duration};

use crate::{Position, Publication};

/// What a topic remembers: the newest publications, as many as `count`, none that has
/// reached `age`, and of no more than `bytes` together.
///
/// The default remembers nothing.
///
/// ```
/// use std::time::Duration;
/// use nextrush_broker::Retention;
///
/// let retention = Retention::count(100).max_age(Duration::from_secs(300));
/// assert_eq!(retention.count, 100);
/// assert_eq!(Retention::NOTHING, Retention::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// How many publications are kept. With 0 none is, though offsets still rise.
    pub count: usize,
    /// How old a publication may become, counted in whole milliseconds; `None` is any
    /// age.
    pub age: Option<Duration>,
    /// How many bytes the data of all publications that are kept may have together;
    /// `None` is any number. One that has more by itself is not kept.
    pub bytes: Option<usize>,
}

impl Retention {
    /// Remember nothing.
    pub const NOTHING: Self = Self {
        count: 0,
        age: None,
        bytes: None,
    };

    /// Remember the newest `count` publications, however old.
    #[must_use]
    pub const fn count(count: usize) -> Self {
        Self {
            count,
            age: None,
            bytes: None,
        }
    }

    /// Remember none that is `age` old or older.
    #[must_use]
    pub const fn max_age(self, age: Duration) -> Self {
        Self {
            age: Some(age),
            ..self
        }
    }

    /// Remember no more than `bytes` of data in all.
    #[must_use]
    pub const fn max_bytes(self, bytes: usize) -> Self {
        Self {
            bytes: Some(bytes),
            ..self
        }
    }

    /// Whether a new publication of so many bytes is kept at all.
    #[cfg(feature = "embedded")]
    pub(crate) fn keeps(&self, bytes: usize) -> bool {
        self.count > 0 && self.bytes.is_none_or(|limit| bytes <= limit)
    }
}

/// Which part of a topic's history to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The topic's top when this was read: its epoch and the offset of its newest
    /// publication, whether or not that is still remembered.
    pub position: Position,
    /// Oldest first, without a hole between them.
    pub publications: Vec<Arc<Publication>>,
}
