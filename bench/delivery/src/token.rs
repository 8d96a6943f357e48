//! Tokens of users who are known by a number.

use std::time::{Duration, SystemTime};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    exp: u64,
}

/// A token of this user.
pub(crate) fn of_user(id: usize) -> Result<String, Error> {
    sign(id, None, EXPIRES)
}

/// A token of this user that begins now.
pub(crate) fn for_a_time(id: usize, time: Duration) -> Result<String, Error> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    sign(id, Some(now), now + time.as_secs())
}

fn sign(id: usize, iat: Option<u64>, exp: u64) -> Result<String, Error> {
    let claims = Claims {
        id,
        email: format!("user-{id}@example.com"),
        iat,
        exp,
    };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    Ok(encode(&Header::default(), &claims, &key)?)
}
