//! Keys of commands, and of publications that happen once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What tells one command from all others, so that its repeat is recognised: 1 to 1024
/// bytes, usually who gave it and the id that they gave it.
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

/// A text that is too short or too long for a [`CommandKey`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a command key has 1 to {max} bytes, this one has {bytes}", max = CommandKey::MAX_BYTES)]
#[non_exhaustive]
pub struct CommandKeyError {
    /// Its length in bytes.
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

/// Makes a publication happen once, however often it is asked for.
///
/// The key counts within its topic. Of the publications that bear the same one within the
/// window the first happens, and the others resolve with its position.
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
    /// What the repeats have in common.
    pub key: CommandKey,
    /// For how long, from the publication on, a repeat is recognised; counted in whole
    /// milliseconds.
    pub window: Duration,
}

impl Once {
    /// Publications with this key happen once within the window.
    #[must_use]
    pub const fn new(key: CommandKey, window: Duration) -> Self {
        Self { key, window }
    }
}
