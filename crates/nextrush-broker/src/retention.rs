//! The bounds of a topic's history.

use std::time::Duration;

/// The bounds of a topic's history: the number, age and bytes of its newest publications.
///
/// By default nothing is remembered.
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
    /// The most publications. With 0 none is kept, though offsets still rise.
    pub count: usize,
    /// The age at which a publication expires, in whole milliseconds; `None` for never.
    pub age: Option<Duration>,
    /// The most bytes of data, of all publications together; `None` for no bound. A
    /// publication that is larger by itself is not kept.
    pub bytes: Option<usize>,
}

impl Retention {
    /// No history.
    pub const NOTHING: Self = Self {
        count: 0,
        age: None,
        bytes: None,
    };

    /// The newest `count` publications, of any age and size.
    #[must_use]
    pub const fn count(count: usize) -> Self {
        Self {
            count,
            age: None,
            bytes: None,
        }
    }

    /// Sets the most publications.
    #[must_use]
    pub const fn max_count(self, count: usize) -> Self {
        Self { count, ..self }
    }

    /// Sets the age at which publications expire.
    #[must_use]
    pub const fn max_age(self, age: Duration) -> Self {
        Self {
            age: Some(age),
            ..self
        }
    }

    /// Sets the most bytes of data.
    #[must_use]
    pub const fn max_bytes(self, bytes: usize) -> Self {
        Self {
            bytes: Some(bytes),
            ..self
        }
    }

    /// Returns `true` if a new publication of `bytes` bytes is kept.
    #[cfg(feature = "embedded")]
    pub(crate) fn keeps(&self, bytes: usize) -> bool {
        self.count > 0 && self.bytes.is_none_or(|limit| bytes <= limit)
    }
}
