//! The identity of clients: tokens, their claims, and the extractor that demands one.
//!
//! [`App::jwt`](crate::App::jwt) sets the key of tokens, and
//! [`App::authenticate`](crate::App::authenticate) a way of your own: session cookies, API keys. An
//! endpoint that takes [`Authenticated`] is for
//! clients with a valid token or session; [`Authenticated::admit`] makes the socket its user's, and
//! [`Socket::identify`](crate::Socket::identify) does so for users without a token.

mod algorithm;
mod authenticated;
mod authenticator;
mod error;
mod expiry;
mod first_message;
mod jwks;
mod jwt;
mod key;
mod refresh;
mod rejection;
mod revocation;
mod socket;
mod ticket;
mod token;

pub use algorithm::Algorithm;
pub use authenticated::Authenticated;
pub(crate) use authenticated::authenticate;
pub use authenticator::{Authenticate, Authenticator, Identification, cookie};
pub use error::{AuthError, KeyError, SignError};
pub use first_message::TokenMessage;
pub(crate) use first_message::{FirstToken, awaited};
pub use jwks::Jwks;
pub use jwt::Jwt;
pub use key::JwtKey;
pub use rejection::AuthRejection;
pub use ticket::{IssuedTicket, Ticket, TicketError};
pub use token::{TokenCookie, token};

pub use crate::message::{GivenUserId, InvalidUserId, User, UserId};
