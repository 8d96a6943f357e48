//! Keys that no log may show.

use std::fmt;

use axum::http::{HeaderMap, header};

/// The shortest key in bytes: a shorter one than the hash of what is signed with it is guessed more
/// easily than the hash is broken (RFC 7518 §3.2).
const KEY_BYTES: usize = 32;

/// A text that `Debug` does not show, such as a key.
///
/// ```
/// let key = nextrush_admin::Secret::from("swordfish");
/// assert_eq!(format!("{key:?}"), "Secret");
/// assert_eq!(key.expose(), "swordfish");
/// ```
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secret as a key.
    ///
    /// # Panics
    ///
    /// Panics on a short one, which includes the empty one of a variable that is not set.
    #[track_caller]
    pub(crate) fn into_key(self) -> Self {
        let bytes = self.0.len();
        assert!(
            bytes >= KEY_BYTES,
            "a key has {KEY_BYTES} bytes or more, as `openssl rand -base64 32` prints it: this one \
             has {bytes}"
        );
        self
    }

    /// Tells whether the secret is the bearer token of a request (RFC 6750 §2.1).
    pub(crate) fn is_bearer_of(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|given| given.as_bytes().strip_prefix(b"Bearer "));
        given.is_some_and(|given| is_same(given, self.0.as_bytes()))
    }
}

impl Secret {
    /// Compares in a time that does not depend on where the two differ.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        is_same(self.0.as_bytes(), other.0.as_bytes())
    }
}

/// Compares in a time that does not depend on where the two differ.
fn is_same(given: &[u8], key: &[u8]) -> bool {
    let differ = |(one, other): (&u8, &u8)| one ^ other;
    let difference = given.iter().zip(key).map(differ);
    given.len() == key.len() && difference.fold(0, |all, bits| all | bits) == 0
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
