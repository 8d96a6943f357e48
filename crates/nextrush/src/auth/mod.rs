//! Who is there: tokens, what they say, and the extractor that demands one.

mod authenticated;
mod error;
mod expiry;
mod jwt;
mod refresh;
mod rejection;
mod socket;
mod token;

pub use authenticated::Authenticated;
pub use error::{AuthError, KeyError, SignError};
pub use jwt::Jwt;
pub use rejection::AuthRejection;
