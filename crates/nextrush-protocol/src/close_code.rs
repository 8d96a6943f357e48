//! Close codes, with the advice that each gives to a client.

use std::fmt;

/// The code with which a connection ends (RFC 6455 §7.4, and the IANA registry).
///
/// Any number is a value of this type; [`is_sendable`](Self::is_sendable) tells which may be
/// in a close frame. Applications use 4000 to 4999.
///
/// | code | [`name`](Self::name) | may be sent | [`retry`](Self::retry) |
/// |---|---|---|---|
/// | 1000 | Normal Closure | yes | now |
/// | 1001 | Going Away | yes | now |
/// | 1002 | Protocol error | yes | now |
/// | 1003 | Unsupported Data | yes | now |
/// | 1004 | Reserved | no | later |
/// | 1005 | No Status Rcvd | no | now |
/// | 1006 | Abnormal Closure | no | now |
/// | 1007 | Invalid frame payload data | yes | now |
/// | 1008 | Policy Violation | yes | never |
/// | 1009 | Message Too Big | yes | now |
/// | 1010 | Mandatory Ext. | yes | later |
/// | 1011 | Internal Error | yes | later |
/// | 1012 | Service Restart | yes | now |
/// | 1013 | Try Again Later | yes | later |
/// | 1014 | Bad Gateway | yes | later |
/// | 1015 | TLS handshake | no | later |
/// | 3000 | Unauthorized | yes | never |
/// | 3003 | Forbidden | yes | never |
/// | 3008 | Timeout | yes | now |
/// | other of 3000 to 3999 | Unassigned | yes | later |
/// | 4000 to 4999 | Private Use | yes | later |
/// | any other | Unassigned | no | later |
///
/// ```
/// use nextrush_protocol::{CloseCode, Retry};
///
/// const KICKED: CloseCode = CloseCode::new(4001);
/// assert!(KICKED.is_sendable());
/// assert_eq!(CloseCode::from(1001), CloseCode::GOING_AWAY);
/// assert_eq!(u16::from(CloseCode::NORMAL), 1000);
/// assert_eq!(CloseCode::POLICY_VIOLATION.retry(), Retry::Never);
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server shuts down, or the page was left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer violated the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: this endpoint cannot take this kind of data, such as binary.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the peer's close frame had no code. Never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection broke without a close frame. Never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: a message does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message violates the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message is too big to be processed.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client expected an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: an unexpected condition keeps the server from continuing.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts; reconnecting will work.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the service is overloaded; reconnecting later may work.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from the server behind it.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never sent.
    pub const TLS_HANDSHAKE: Self = Self(1015);
    /// 3000: the endpoint needs to know the client, as with status 401 of HTTP.
    pub const UNAUTHORIZED: Self = Self(3000);
    /// 3003: the client may not use the endpoint, as with status 403 of HTTP.
    pub const FORBIDDEN: Self = Self(3003);
    /// 3008: the client took too long, as with status 408 of HTTP.
    pub const TIMEOUT: Self = Self(3008);

    /// The code with a number, which may be any.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Returns `true` if a close frame may carry this code: the registered ones of 1000 to
    /// 1014 except 1004, 1005 and 1006, and 3000 to 4999 for libraries and applications.
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// The name in the registry, for logs. 1014 has a sentence there, and is `Bad Gateway`
    /// here.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            1000 => "Normal Closure",
            1001 => "Going Away",
            1002 => "Protocol error",
            1003 => "Unsupported Data",
            1004 => "Reserved",
            1005 => "No Status Rcvd",
            1006 => "Abnormal Closure",
            1007 => "Invalid frame payload data",
            1008 => "Policy Violation",
            1009 => "Message Too Big",
            1010 => "Mandatory Ext.",
            1011 => "Internal Error",
            1012 => "Service Restart",
            1013 => "Try Again Later",
            1014 => "Bad Gateway",
            1015 => "TLS handshake",
            3000 => "Unauthorized",
            3003 => "Forbidden",
            3008 => "Timeout",
            4000..=4999 => "Private Use",
            _ => "Unassigned",
        }
    }

    /// The advice to a client whose connection has ended with this code, unless the client
    /// knows better.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self.0 {
            // The server is fine, and a refused message is not sent again.
            1000..=1003 | 1005..=1007 | 1009 | 1012 | 3008 => Retry::Now,
            // The same credentials would be refused for ever.
            1008 | 3000 | 3003 => Retry::Never,
            _ => Retry::Later,
        }
    }
}

/// The advice to a client on coming back.
///
/// Many clients may lose their connections at once and must not return at once: each waits
/// for a random time, even with [`Now`](Self::Now).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a client has to follow each advice"
)]
pub enum Retry {
    /// Soon: after a random part of half a second, which doubles with each failure.
    Now,
    /// After a pause, as the server is in trouble or nothing is known: after some seconds,
    /// which double with each failure.
    Later,
    /// Only after a change, such as a new token.
    Never,
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.name())
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({self})")
    }
}
