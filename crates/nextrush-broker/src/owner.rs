//! Owners of publications.

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

/// The owner of a publication, usually a user: by it the publications of a user are
/// [deleted](crate::Deletion::By), and counted where a store is bounded.
///
/// ```
/// use nextrush_broker::{Owner, Publish};
///
/// let publish = Publish::new("hello").by(Owner::new("user 7"));
/// assert_eq!(publish.owner.unwrap().as_str(), "user 7");
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The longest name in bytes.
    pub const MAX_BYTES: usize = 255;

    /// The owner with this name. A name of more than 255 bytes is kept as its beginning and a
    /// hash of 128 bits.
    #[must_use]
    pub fn new(name: &str) -> Self {
        if name.len() <= Self::MAX_BYTES {
            return Self(name.into());
        }
        let hash = format!("#{:032x}", xxh3_128(name.as_bytes()));
        let room = Self::MAX_BYTES - hash.len();
        let ends = (0..=room).rev();
        let beginning = ends.map(|end| name.get(..end)).find_map(|part| part);
        Self(format!("{}{hash}", beginning.unwrap_or_default()).into())
    }

    /// The name, or what is kept of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_bounded_and_stay_different() {
        let longest = "x".repeat(255);
        assert_eq!(Owner::new(&longest).as_str(), longest);
        let long = |end: &str| Owner::new(&format!("{}{end}", "\u{e9}".repeat(200)));
        assert!(long("a").as_str().len() <= 255);
        assert_eq!(long("a"), long("a"));
        assert_ne!(long("a"), long("b"));
    }
}
