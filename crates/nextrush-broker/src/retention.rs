//! The bounds of a topic's history.

use std::time::Duration;

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
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
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

    /// Remember at most `count` publications, with the other bounds as they are.
    #[must_use]
    pub const fn max_count(self, count: usize) -> Self {
        Self { count, ..self }
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
