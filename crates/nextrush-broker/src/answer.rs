//! Keys of commands, and of publications that happen once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
pub struct CommandKey(Arc<str>);

impl CommandKey {
    /// The longest key in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
            1..=Self::MAX_BYTES => Ok(Self(text.into())),
            bytes => Err(CommandKeyError { bytes }),
        }
    }
}

impl fmt::Debug for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
}

impl Once {
    /// Combines a key and a window.
    #[must_use]
    pub const fn new(key: CommandKey, window: Duration) -> Self {
        Self { key, window }
    }
}
