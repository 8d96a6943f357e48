//! Codes of errors on the wire.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])+ $variant:ident $text:literal,)+) => {
        /// The reason of an error on the wire, for programs: the `code` beside the English
        /// `message` of an [`ErrorMessage`](crate::ErrorMessage) and of a refusal over HTTP.
        ///
        /// Written in kebab-case. The guide's page *The messages on the wire* says what a
        /// client does about each. An application's own errors may carry codes of their own.
        ///
        /// ```
        /// use nextrush::ErrorCode;
        ///
        /// assert_eq!(ErrorCode::RateLimited.as_str(), "rate-limited");
        /// ```
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])+ $variant,)+
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it is written on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

codes! {
    /// A token is needed and there is none.
    AuthenticationRequired "authentication-required",
    /// The token is not accepted.
    InvalidToken "invalid-token",
    /// The token was good and has expired.
    TokenExpired "token-expired",
    /// The client was to send its token in its first message, and sent none in time.
    AuthenticationTimeout "authentication-timeout",
    /// The message or body is not in the form that is asked for.
    InvalidFormat "invalid-format",
    /// The message's `type` is none that the endpoint understands.
    UnknownType "unknown-type",
    /// The name of a room or channel is empty, too long or holds invisible characters.
    InvalidName "invalid-name",
    /// A position is incomplete or no position.
    InvalidPosition "invalid-position",
    /// The socket has as many subscriptions as it may have.
    TooManyChannels "too-many-channels",
    /// The channel's policy does not let this client subscribe.
    SubscribeRefused "subscribe-refused",
    /// The channel's policy does not let this client publish.
    PublishRefused "publish-refused",
    /// The application has taken the client out of the channel.
    Kicked "kicked",
    /// The application has accepted the publication, and it could not be published yet; a repeat
    /// with the same id publishes it.
    NotPublished "not-published",
    /// The command needs a subscription to the channel.
    NotSubscribed "not-subscribed",
    /// The channel does not show who is there.
    NoPresence "no-presence",
    /// The channel keeps no history.
    NoHistory "no-history",
    /// The message, body or value is longer than it may be.
    TooLarge "too-large",
    /// More was asked for than is allowed in this time; `retryAfterMs` says when to go on.
    RateLimited "rate-limited",
    /// The user, or all users together, keep as much as they may.
    OverQuota "over-quota",
    /// More connections are open than one address may have.
    TooManyConnections "too-many-connections",
    /// The id or key was used for another command.
    IdReused "id-reused",
    /// A number is no id that every program can represent.
    IdNotExact "id-not-exact",
    /// The user has no socket here.
    UserOffline "user-offline",
    /// The message, or that the client is there, could not be stored.
    NotStored "not-stored",
    /// The service cannot answer now; trying again may succeed.
    Unavailable "unavailable",
    /// The outcome of the command is unknown; a repeat with the same id is safe.
    InDoubt "in-doubt",
    /// An operator or the application ended the connection.
    Disconnected "disconnected",
    /// There is no such thing.
    NotFound "not-found",
    /// The client is known and may not do this.
    Forbidden "forbidden",
    /// The page's origin may not connect.
    OriginRefused "origin-refused",
    /// The request is no opening handshake (RFC 6455 §4.2.1, RFC 8441 §5).
    InvalidHandshake "invalid-handshake",
    /// The request is refused for a reason that its text says.
    BadRequest "bad-request",
    /// The server failed.
    Internal "internal",
}

impl ErrorCode {
    /// The code of a refusal about which only the HTTP status is known.
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::AuthenticationRequired,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNPROCESSABLE_ENTITY => Self::InvalidFormat,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

impl ErrorCode {
    /// The status of an HTTP answer that has this code, where nothing better is known.
    pub(crate) fn to_status(self) -> StatusCode {
        match self {
            Self::AuthenticationRequired | Self::InvalidToken | Self::TokenExpired => {
                StatusCode::UNAUTHORIZED
            }
            Self::Forbidden
            | Self::OriginRefused
            | Self::SubscribeRefused
            | Self::PublishRefused
            | Self::Kicked => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::IdReused => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::InvalidFormat => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited | Self::TooManyConnections => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable | Self::InDoubt | Self::NotPublished => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::NotStored => StatusCode::INSUFFICIENT_STORAGE,
            Self::AuthenticationTimeout => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<ErrorCode> for Cow<'static, str> {
    fn from(code: ErrorCode) -> Self {
        Cow::Borrowed(code.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_in_kebab_case() {
        let texts: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
        for text in texts {
            let is_kebab = |char: char| char.is_ascii_lowercase() || char == '-';
            assert!(text.chars().all(is_kebab), "{text}");
        }
    }
}
