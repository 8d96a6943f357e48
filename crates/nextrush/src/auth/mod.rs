//! The identity of clients: tokens, their claims, and the extractor that demands one.
//!
//! [`App::jwt`](crate::App::jwt) sets the key. An endpoint that takes [`Authenticated`] is for
//! clients with a valid token; [`Authenticated::admit`] makes the socket its user's, and
//! [`Socket::identify`](crate::Socket::identify) does so for users without a token.

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

pub use crate::message::{GivenUserId, InvalidUserId, User, UserId};
