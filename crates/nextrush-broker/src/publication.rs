//! Publications, before and after they are published.

use std::time::Duration;

use bytes::Bytes;

use crate::answer::{CommandKey, Once};
use crate::position::Position;
use crate::retention::Retention;

/// One message of a topic, as everybody sees it.
///
/// It is never copied: history and every receiver share it behind an
/// [`Arc`](std::sync::Arc).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Publication {
    /// Its number in the topic, from 1.
    pub offset: u64,
    /// When it was published, in milliseconds since 1970. Never falls within a topic,
    /// even if the clock is set back.
    pub time_ms: u64,
    /// What was published.
    pub data: Bytes,
}

impl Publication {
    /// The publication with this number, made at this time; for brokers.
    #[must_use]
    pub fn new(offset: u64, time_ms: u64, data: impl Into<Bytes>) -> Self {
        Self {
            offset,
            time_ms,
            data: data.into(),
        }
    }
}

/// What is to be published, and how.
///
/// ```
/// use std::time::Duration;
/// use nextrush_broker::{CommandKey, Publish, Retention};
///
/// let key = CommandKey::try_from("ada/17")?;
/// let publish = Publish::new("hello")
///     .retain(Retention::count(100))
///     .once(key, Duration::from_secs(120));
/// assert_eq!(publish.data, "hello");
/// # Ok::<(), nextrush_broker::CommandKeyError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Publish {
    /// The message. It is kept without copying: a slice of a larger buffer keeps the
    /// whole buffer in memory, so copy it first where that matters.
    pub data: Bytes,
    /// What the topic remembers from now on: the one of the newest publication is in
    /// force for the whole topic.
    pub retention: Retention,
    /// How a repeat of the same publication is recognised; `None` if it is not.
    pub once: Option<Once>,
}

impl Publish {
    /// Publishes `data`, to be remembered by nobody.
    #[must_use]
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// Says what the topic remembers.
    #[must_use]
    pub fn retain(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Publishes only if the topic had no publication with this key within the window.
    #[must_use]
    pub fn once(self, key: CommandKey, window: Duration) -> Self {
        let once = Some(Once::new(key, window));
        Self { once, ..self }
    }
}

/// What came of a [`Publish`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Published {
    /// Where the publication is.
    pub position: Position,
    /// Whether it was there already: nothing was published this time.
    pub is_repeat: bool,
}

impl Published {
    /// A new publication at `position`; for brokers.
    #[must_use]
    pub const fn new(position: Position) -> Self {
        Self {
            position,
            is_repeat: false,
        }
    }

    /// Repeats the publication at `position`; for brokers.
    #[must_use]
    pub const fn repeat(position: Position) -> Self {
        Self {
            position,
            is_repeat: true,
        }
    }
}
