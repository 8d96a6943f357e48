//! Keys of commands, and of publications that happen once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::position::{self, Position};

/// The name of a command, by which its repeat is recognised: 1 to 1024 bytes, usually the
/// user and the id that the user gave the command.
///
/// ```
/// use nextrush_broker::{CommandKey, CommandKeyError};
///
/// let key = CommandKey::try_from("user 7/order 12")?;
/// assert_eq!(key.as_str(), "user 7/order 12");
/// assert_eq!(CommandKey::try_from("").map_err(|error| error.bytes), Err(0));
/// # Ok::<(), CommandKeyError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CommandKey {
    text: Arc<str>,
    /// The length of the owner's part.
    owner: usize,
}

impl CommandKey {
    /// The longest key in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// The key `<owner>/<id>`.
    ///
    /// # Errors
    ///
    /// [`CommandKeyError`] if that is too long.
    pub fn owned(owner: &str, id: &str) -> Result<Self, CommandKeyError> {
        let key = Self::try_from(&*format!("{owner}/{id}"))?;
        let owner = owner.len();
        Ok(Self { owner, ..key })
    }

    /// The owner of the command, usually a user: what is remembered for one owner takes no room from
    /// that of another. Empty for a key that was made from its text.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.text[..self.owner]
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The error of a text that is too short or too long for a [`CommandKey`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a command key has 1 to {max} bytes, this one has {bytes}", max = CommandKey::MAX_BYTES)]
#[non_exhaustive]
pub struct CommandKeyError {
    /// The length of the text in bytes.
    pub bytes: usize,
}

impl TryFrom<&str> for CommandKey {
    type Error = CommandKeyError;

    fn try_from(text: &str) -> Result<Self, CommandKeyError> {
        match text.len() {
            1..=Self::MAX_BYTES => Ok(Self {
                text: text.into(),
                owner: 0,
            }),
            bytes => Err(CommandKeyError { bytes }),
        }
    }
}

impl fmt::Debug for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// A hash of what a command says, by which a repeat is told from another command with the same
/// key.
///
/// ```
/// use nextrush_broker::Fingerprint;
///
/// assert_eq!(Fingerprint::of(b"hello"), Fingerprint::of(b"hello"));
/// assert_ne!(Fingerprint::of(b"hello"), Fingerprint::of(b"bye"));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The length of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = 8;

    /// The fingerprint of a body. The same on every machine and in every version.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(xxh3_64(body))
    }

    /// The form in which it is kept.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_be_bytes()
    }

    /// Reads [`to_bytes`](Self::to_bytes).
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

/// The key and window within which a publication happens once.
///
/// A key counts within its topic. The first publication with a key is published; each other
/// one with the same key resolves with the position of the first until the window ends.
///
/// ```
/// use std::time::Duration;
/// use nextrush_broker::{CommandKey, Once};
///
/// let once = Once::new(CommandKey::try_from("ada/17")?, Duration::from_secs(120));
/// assert_eq!(once.key.as_str(), "ada/17");
/// # Ok::<(), nextrush_broker::CommandKeyError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Once {
    /// The key that a publication and its repeats share.
    pub key: CommandKey,
    /// The time from the publication on within which a repeat is recognised, in whole
    /// milliseconds.
    pub window: Duration,
    /// The fingerprint of what is published. The key with another one is
    /// [refused](crate::BrokerError::Reused). Without one, on either side, everything with the
    /// key is a repeat.
    pub fingerprint: Option<Fingerprint>,
}

/// The key belongs to something with another fingerprint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reused;

impl Once {
    /// Combines a key and a window.
    #[must_use]
    pub const fn new(key: CommandKey, window: Duration) -> Self {
        Self {
            key,
            window,
            fingerprint: None,
        }
    }

    /// Sets [`fingerprint`](Self::fingerprint).
    #[must_use]
    pub fn fingerprint(self, fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint: Some(fingerprint),
            ..self
        }
    }

    /// The publication in `earlier`, the kept bytes of [`kept`](Self::kept), that this one would
    /// repeat.
    pub(crate) fn repeated(&self, earlier: &[u8]) -> Result<Option<Position>, Reused> {
        let Some((position, fingerprint)) = earlier.split_at_checked(position::BYTES) else {
            return Ok(None);
        };
        // Older stores have no fingerprints.
        let before = fingerprint.try_into().ok().map(Fingerprint::from_bytes);
        match (self.fingerprint, before) {
            (Some(now), Some(before)) if now != before => Err(Reused),
            _ => Ok(position::from_bytes(position)),
        }
    }

    /// The bytes that are kept of a publication that happens once.
    pub(crate) fn kept(&self, position: Position) -> Bytes {
        let mut kept = position::to_array(position).to_vec();
        if let Some(fingerprint) = self.fingerprint {
            kept.extend(fingerprint.to_bytes());
        }
        kept.into()
    }
}
