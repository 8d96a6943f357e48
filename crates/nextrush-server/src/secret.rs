//! Keys and tokens that no log may show.

use std::sync::OnceLock;

use axum::http::HeaderValue;
pub use nextrush_admin::Secret;
use rand::RngCore;

/// The shortest secret in bytes: a shorter one than the hash is guessed more easily than the
/// hash is broken (RFC 7518 §3.2).
pub(crate) const SECRET_BYTES: usize = 32;

/// The `Authorization` header with a secret; `None` if no header can hold it.
pub(crate) fn bearer(secret: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", secret.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The random secret of this process: the same whenever the configuration is read again.
pub(crate) fn random_secret() -> &'static [u8; SECRET_BYTES] {
    static SECRET: OnceLock<[u8; SECRET_BYTES]> = OnceLock::new();
    SECRET.get_or_init(|| {
        let mut secret = [0; SECRET_BYTES];
        rand::rng().fill_bytes(&mut secret);
        secret
    })
}
