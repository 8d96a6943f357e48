//! Keys and tokens that no log may show.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, header};
use rand::RngCore;

/// The shortest secret in bytes: a shorter one than the hash is guessed more easily than the
/// hash is broken (RFC 7518 §3.2).
pub(crate) const SECRET_BYTES: usize = 32;

/// A text that `Debug` does not show.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The `Authorization` header with this secret; `None` if no header can hold it.
    pub(crate) fn to_bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Tells whether the secret is the bearer token of a request (RFC 6750 §2.1).
    pub(crate) fn is_bearer_of(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|given| given.as_bytes().strip_prefix(b"Bearer "));
        given.is_some_and(|given| is_same(given, self.0.as_bytes()))
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

pub(crate) fn random_secret() -> [u8; SECRET_BYTES] {
    let mut secret = [0; SECRET_BYTES];
    rand::rng().fill_bytes(&mut secret);
    secret
}
