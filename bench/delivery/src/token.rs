//! Tokens of users who are known by a number.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;

use crate::error::Error;

/// The secret that the server checks tokens with.
pub(crate) const SECRET: &str = "a secret for measurements, of 32 bytes and more";

/// A time in the year 2100.
const EXPIRES: u64 = 4_102_444_800;

#[derive(Serialize)]
struct Claims {
    id: usize,
    email: String,
    exp: u64,
}

/// A token of this user.
pub(crate) fn of_user(id: usize) -> Result<String, Error> {
    let claims = Claims {
        id,
        email: format!("user-{id}@example.com"),
        exp: EXPIRES,
    };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    Ok(encode(&Header::default(), &claims, &key)?)
}
