//! Publications, before and after they are published.

use std::time::Duration;

use bytes::Bytes;

use crate::answer::{CommandKey, Fingerprint, Once};
use crate::owner::Owner;
use crate::position::{self, Position};
use crate::retention::Retention;

/// A message of a topic, as every receiver gets it.
///
/// History and receivers share it behind an [`Arc`](std::sync::Arc); it is never copied.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Publication {
    /// The number within the topic, from 1.
    pub offset: u64,
    /// The time of publishing, in milliseconds since 1970. Never falls within a topic, even
    /// if the clock is set back.
    pub time_ms: u64,
    /// The message; empty if it was deleted.
    pub data: Bytes,
    /// The owner, where the publisher gave one; `None` after a deletion.
    pub owner: Option<Owner>,
    /// `true` if the message was [deleted](crate::Broker::delete): only its place is left, so that
    /// the offsets have no gap.
    pub is_deleted: bool,
}

impl Publication {
    /// Makes the publication of a number and time. For implementers of brokers.
    #[must_use]
    pub fn new(offset: u64, time_ms: u64, data: impl Into<Bytes>) -> Self {
        Self {
            offset,
            time_ms,
            data: data.into(),
            owner: None,
            is_deleted: false,
        }
    }

    /// Sets the owner. For implementers of brokers.
    #[must_use]
    pub fn by(self, owner: Option<Owner>) -> Self {
        Self { owner, ..self }
    }

    /// The same place without the message and its owner. For implementers of brokers.
    #[must_use]
    pub fn deleted(&self) -> Self {
        Self {
            is_deleted: true,
            ..Self::new(self.offset, self.time_ms, Bytes::new())
        }
    }
}

/// A message to be published, with its retention and key.
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
    /// The message. The broker keeps it without copying: a slice of a larger buffer keeps the
    /// whole buffer in memory, so copy it first where that matters.
    pub data: Bytes,
    /// The bounds of the topic's history. Those of the newest publication hold for the whole
    /// topic.
    pub retention: Retention,
    /// The key by which repeats are recognised; without one, each is published.
    pub once: Option<Once>,
    /// The owner, usually the user who publishes.
    pub owner: Option<Owner>,
    /// The version of what is published; without one, it is published whatever came before.
    pub version: Option<Version>,
}

/// The version of what a publication says, by which one that comes late is recognised.
///
/// Writers of one record commit in an order, but what they publish may arrive in another. A
/// publication whose version is not higher than that of the last one with the same key is
/// dropped, so that subscribers end with what was committed last. The last version is remembered
/// for as long as the topic, or at least for 24 hours; of one with a key, for 24 hours. A
/// [`MemoryBroker`](crate::MemoryBroker) that has no room for all remembers those that rose last.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Version {
    /// The number, from 1. Need not rise by one each time: a time of the database or the number of
    /// a transaction will do.
    pub number: u64,
    /// The part of the topic that has this version, such as one record of many. `None`: the topic
    /// as a whole.
    pub key: Option<CommandKey>,
}

impl Publish {
    /// A message that the topic does not remember.
    #[must_use]
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// Sets the bounds of the topic's history.
    #[must_use]
    pub fn retain(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Sets the owner.
    #[must_use]
    pub fn by(self, owner: Owner) -> Self {
        let owner = Some(owner);
        Self { owner, ..self }
    }

    /// Publishes only if the topic had no publication with this key within the window.
    #[must_use]
    pub fn once(self, key: CommandKey, window: Duration) -> Self {
        let once = Some(Once::new(key, window));
        Self { once, ..self }
    }

    /// Publishes only if the version is higher than that of the topic's last publication with a
    /// [version](Version). 0 is no version.
    #[must_use]
    pub fn version(self, number: u64) -> Self {
        let version = (number > 0).then_some(Version { number, key: None });
        Self { version, ..self }
    }

    /// Publishes only if the version is higher than that of the topic's last publication with a
    /// [version](Version) of this key. 0 is no version.
    #[must_use]
    pub fn version_of(self, key: CommandKey, number: u64) -> Self {
        let key = Some(key);
        let version = (number > 0).then_some(Version { number, key });
        Self { version, ..self }
    }

    /// Sets the [fingerprint](Once::fingerprint) of a publication that happens once.
    #[must_use]
    pub fn fingerprint(self, fingerprint: Fingerprint) -> Self {
        let once = self.once.map(|once| once.fingerprint(fingerprint));
        Self { once, ..self }
    }
}

/// The outcome of a [`Publish`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Published {
    /// The position of the publication.
    pub position: Position,
    /// `true` if this was a repeat: nothing new was published.
    pub is_repeat: bool,
    /// `true` if there was a publication of the same or a higher [version](Version), which is at
    /// the position: nothing new was published.
    pub is_outdated: bool,
}

impl Published {
    /// The outcome of a publication that is now at `position`. For implementers of brokers.
    #[must_use]
    pub const fn new(position: Position) -> Self {
        Self {
            position,
            is_repeat: false,
            is_outdated: false,
        }
    }

    /// The outcome of a repeat of the publication at `position`. For implementers of brokers.
    #[must_use]
    pub const fn repeat(position: Position) -> Self {
        Self {
            is_repeat: true,
            ..Self::new(position)
        }
    }

    /// The outcome of a publication that is older than the one at `position`. For implementers of
    /// brokers.
    #[must_use]
    pub const fn outdated(position: Position) -> Self {
        Self {
            is_outdated: true,
            ..Self::new(position)
        }
    }
}

/// The time for which a version is remembered.
pub(crate) const VERSION_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

impl Version {
    /// The publication in `before`, the kept bytes of [`kept`](Self::kept), that is not older.
    pub(crate) fn outdated_by(&self, before: &[u8]) -> Option<Position> {
        let (number, position) = before.split_first_chunk()?;
        let position = position::from_bytes(position)?;
        (u64::from_be_bytes(*number) >= self.number).then_some(position)
    }

    /// The bytes that are kept of a publication with this version.
    pub(crate) fn kept(&self, position: Position) -> Bytes {
        let mut kept = self.number.to_be_bytes().to_vec();
        kept.extend(position::to_array(position));
        kept.into()
    }
}
