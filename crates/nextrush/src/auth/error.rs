//! Errors of tokens and keys.
//!
//! No message holds the token, so that all of them can be logged.

use jsonwebtoken::errors::{Error, ErrorKind};

use super::algorithm::Algorithm;
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
    /// The ticket was used before.
    #[error("the ticket was used before")]
    Used,
    /// The token was issued before a [moment](crate::Handle::revoke) at which those of its user were
    /// revoked.
    #[error("the token is revoked")]
    Revoked,
    /// The header names another key than the configured one.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// A new token for an open socket names another user than the socket's.
    #[error("the token names another user")]
    AnotherUser,
    /// The keys of the issuer could not be fetched yet, and no other is the token's.
    #[error("the keys of tokens could not be fetched yet")]
    KeysUnavailable,
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
            Self::KeysUnavailable => ErrorCode::Unavailable,
            _ => ErrorCode::InvalidToken,
        }
    }
}

impl AuthError {
    /// Tells whether the next fetch of keys may bring the token's.
    pub(super) fn is_for_want_of_a_key(&self) -> bool {
        matches!(self, Self::UnknownKey | Self::KeysUnavailable)
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
    /// The cryptography takes RSA keys of up to 4096 bits.
    #[error("an RSA key has at most 4096 bits, this one has {0}")]
    Long(usize),
    /// RFC 7518 §3.2 asks for as many bytes as the hash has.
    #[error("a secret for {algorithm} needs at least {} bytes", .algorithm.secret_bytes())]
    ShortSecret {
        /// The algorithm that the secret is for.
        algorithm: Algorithm,
    },
    /// The key is of another kind than the algorithm's keys.
    #[error("the key is none for {0}")]
    Algorithm(Algorithm),
    /// There is no algorithm of this name, or it is not supported, as ES512.
    #[error("the algorithm is none of HS, RS and PS 256, 384 and 512, ES256, ES384 and EdDSA")]
    UnknownAlgorithm,
    /// Neither a key in PEM form nor a JSON Web Key.
    #[error("expected a key in PEM form, a JSON Web Key, or a set of them")]
    NoKey,
    /// Several keys where a single one is expected.
    #[error("there are several keys, and one is expected")]
    Several,
    /// A JSON Web Key of another `kty`.
    #[error("the type of the key is none of RSA, EC, OKP and oct")]
    UnknownType,
    /// The key is on another curve, as P-521.
    #[error("the key is not on P-256, P-384 or Ed25519, or no point of its curve")]
    Curve,
    /// A JSON Web Key that is not for checking signatures, by its `use` or `key_ops`.
    #[error("the key is for another purpose than signatures")]
    Purpose,
    /// An elliptic-curve key in the form of OpenSSL's `ecparam`.
    #[error(
        "the private key is not in the form PKCS #8: convert it with `openssl pkcs8 -topk8 -nocrypt`"
    )]
    Sec1,
    /// A private key behind a passphrase.
    #[error("the private key is encrypted: decrypt it with `openssl pkcs8`")]
    Encrypted,
    /// A certificate, which has a key in it.
    #[error("a certificate is no key: `openssl x509 -pubkey -noout` writes the key in it")]
    Certificate,
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
