//! Errors of tokens and keys.
//!
//! No message holds the token, so that all of them can be logged.

use jsonwebtoken::errors::{Error, ErrorKind};

use crate::message::{ErrorCode, InvalidUserId};

/// The reason for which a token is not accepted. Clients are told none of this but the
/// [code](Self::code), only
/// [`AuthRejection::InvalidToken`](crate::AuthRejection::InvalidToken).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The token is longer than 8 KiB; it was not looked at.
    #[error("the token is longer than {} bytes", crate::Jwt::MAX_TOKEN)]
    TooLong,
    /// The request carries more than one token in the same place.
    #[error("the request carries several tokens")]
    Several,
    /// Not three parts of base64url, a header or payload that is no JSON object,
    /// or an `alg` that does not exist; `none` does not.
    #[error("the token is malformed")]
    Malformed,
    /// Signed with another algorithm than the one the key is for.
    #[error("the token's algorithm is not the configured one")]
    Algorithm,
    /// Not signed with our key, or changed since.
    #[error("the token's signature does not match")]
    Signature,
    /// The header names another key than the configured one.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// The header brings a key or names an address to fetch one from (`jwk`,
    /// `jku`, `x5c`, `x5u`), or demands an extension (`crit`, RFC 7515 §4.1.11).
    #[error("the token's header has the unsupported parameter `{0}`")]
    Header(&'static str),
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `aud` names others, or anybody where no audience is configured
    /// (RFC 7519 §4.1.3).
    #[error("the token is meant for another audience")]
    Audience,
    /// `iss` is none of the configured issuers.
    #[error("the token comes from another issuer")]
    Issuer,
    /// A registered claim is required and absent, or not of its type.
    #[error("the claim `{0}` is missing or malformed")]
    Claim(String),
    /// The token is valid, but its `id` is no [`UserId`](crate::UserId): a number that is
    /// fractional or beyond ±(2⁵³ − 1), or a text with invisible characters.
    #[error(transparent)]
    InexactId(#[from] InvalidUserId),
    /// The token is valid, but its claims are not what the application expects.
    #[error("the token's claims do not fit")]
    Claims(#[source] serde_json::Error),
}

impl AuthError {
    /// The code that the client is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InexactId(InvalidUserId::NotExact) => ErrorCode::IdNotExact,
            _ => ErrorCode::InvalidToken,
        }
    }
}

impl From<Error> for AuthError {
    fn from(error: Error) -> Self {
        match error.into_kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYetValid,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => {
                Self::Claim(name)
            }
            // Base64 and JSON, whose errors may quote what they found.
            _ => Self::Malformed,
        }
    }
}

/// The reason why a key cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No PEM, or not a public key for the algorithm.
    #[error("expected the PEM form of a public key for {0}")]
    Invalid(&'static str),
    /// RFC 7518 §3.3 asks for 2048 bits or more.
    #[error("an RSA key needs at least 2048 bits, this one has {0}")]
    Short(usize),
}

/// The reason why a token cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// With a public key tokens can be checked only.
    #[error("tokens cannot be signed with a public key")]
    PublicKey,
    /// The claims cannot be written as JSON.
    #[error("the claims cannot be written as JSON")]
    Claims(#[source] Error),
}
