//! Refusals of a handshake, with their answers.

use http::header::{ALLOW, CONNECTION, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Response, StatusCode, Version};
use thiserror::Error;

/// The reason why a request over HTTP/1.1 opens no WebSocket connection (RFC 6455 §4.2.1).
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// 405: the method is not GET.
    #[error("a WebSocket is opened with GET")]
    Method,
    /// 505: the HTTP version is not 1.1.
    #[error("a WebSocket is opened over HTTP/1.1, not {0:?}")]
    HttpVersion(Version),
    /// 426: no `Upgrade` header names `websocket`. The answer to an ordinary request.
    #[error("`Upgrade: websocket` expected")]
    Upgrade,
    /// 426: no `Connection` header names `upgrade`.
    #[error("`Connection: Upgrade` expected")]
    Connection,
    /// 426: `Sec-WebSocket-Version` is not exactly `13`, or is missing.
    #[error("`Sec-WebSocket-Version: 13` expected")]
    WebSocketVersion,
    /// 400: `Host` is missing or empty.
    #[error("`Host` missing")]
    HostMissing,
    /// 400: more than one `Host` (RFC 9112 §3.2).
    #[error("more than one `Host`")]
    HostRepeated,
    /// 400: the request announces a body, which could be taken for frames.
    #[error("a request with a body opens no WebSocket")]
    Body,
    /// 400: `Sec-WebSocket-Key` is missing.
    #[error("`Sec-WebSocket-Key` missing")]
    KeyMissing,
    /// 400: more than one `Sec-WebSocket-Key`.
    #[error("more than one `Sec-WebSocket-Key`")]
    KeyRepeated,
    /// 400: `Sec-WebSocket-Key` is not 16 bytes in base64.
    #[error("`Sec-WebSocket-Key` is not 16 bytes in base64")]
    KeyInvalid,
    /// 400: `Sec-WebSocket-Protocol` is not a list of tokens, or the list is too long.
    #[error("`Sec-WebSocket-Protocol` is not a list of tokens")]
    ProtocolsInvalid,
}

impl HandshakeError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::HttpVersion(_) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Upgrade | Self::Connection | Self::WebSocketVersion => {
                StatusCode::UPGRADE_REQUIRED
            }
            Self::HostMissing
            | Self::HostRepeated
            | Self::Body
            | Self::KeyMissing
            | Self::KeyRepeated
            | Self::KeyInvalid
            | Self::ProtocolsInvalid => StatusCode::BAD_REQUEST,
        }
    }

    /// The answer, without a body: the status, the expected headers, and `Connection: close`,
    /// as a proxy may take any answer to an upgrade for a success and pass on the bytes that
    /// follow.
    ///
    /// ```
    /// use nextrush_protocol::handshake::HandshakeError;
    ///
    /// let response = HandshakeError::WebSocketVersion.into_response();
    /// assert_eq!(response.status(), 426);
    /// assert_eq!(response.headers()["sec-websocket-version"], "13");
    /// ```
    pub fn into_response(self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if self.status() == StatusCode::UPGRADE_REQUIRED {
            // RFC 9110 §15.5.22 and §7.8: the answer names the protocol, and `Connection`
            // names the header.
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade, close"));
        }
        if self == Self::WebSocketVersion {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if self == Self::Method {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }
}

/// The reason why a request over HTTP/2 or HTTP/3 opens no WebSocket connection (RFC 8441 §4
/// and §5, RFC 9220 §3).
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ConnectError {
    /// 505: the HTTP version is neither 2 nor 3.
    #[error("an extended CONNECT comes over HTTP/2 or HTTP/3, not {0:?}")]
    HttpVersion(Version),
    /// 405: the method is not CONNECT. The answer to an ordinary request.
    #[error("a WebSocket is opened with CONNECT")]
    Method,
    /// 501: `:protocol` is missing or other than `websocket`.
    #[error("`:protocol` is not `websocket`")]
    Protocol,
    /// 400: `:scheme`, `:authority` or `:path` is missing.
    #[error("`:scheme`, `:authority` or `:path` missing")]
    Target,
    /// 400: a header of the connection, such as `Upgrade` (RFC 9113 §8.2.2).
    #[error("a header that only HTTP/1.1 knows")]
    ConnectionHeader,
    /// 400: the request announces a body, which could be taken for frames.
    #[error("a request with a body opens no WebSocket")]
    Body,
    /// 400: `Sec-WebSocket-Version` is not exactly `13`, or is missing. Not 426, which would
    /// ask for an `Upgrade`.
    #[error("`Sec-WebSocket-Version: 13` expected")]
    WebSocketVersion,
    /// 400: `Sec-WebSocket-Protocol` is not a list of tokens, or the list is too long.
    #[error("`Sec-WebSocket-Protocol` is not a list of tokens")]
    ProtocolsInvalid,
}

impl ConnectError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::HttpVersion(_) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Protocol => StatusCode::NOT_IMPLEMENTED,
            Self::Target
            | Self::ConnectionHeader
            | Self::Body
            | Self::WebSocketVersion
            | Self::ProtocolsInvalid => StatusCode::BAD_REQUEST,
        }
    }

    /// The answer, without a body: the status and the expected headers. It leaves the
    /// connection alone, which other streams use as well.
    ///
    /// ```
    /// use nextrush_protocol::handshake::ConnectError;
    ///
    /// let response = ConnectError::WebSocketVersion.into_response();
    /// assert_eq!(response.status(), 400);
    /// assert_eq!(response.headers()["sec-websocket-version"], "13");
    /// ```
    pub fn into_response(self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if self == Self::WebSocketVersion {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if self == Self::Method {
            headers.insert(ALLOW, HeaderValue::from_static("CONNECT"));
        }
        response
    }
}

/// The reason why a server's answer opens no connection (RFC 6455 §4.1, RFC 8441 §5).
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AnswerError {
    /// The status is not 101, or not in the 200s to an extended CONNECT: the server refuses,
    /// redirects, or asks for credentials.
    #[error("answered with status {0}")]
    Status(StatusCode),
    /// `Upgrade` is not `websocket`, or has other names too.
    #[error("answer without `Upgrade: websocket`")]
    Upgrade,
    /// No `Connection` header names `upgrade`.
    #[error("answer without `Connection: Upgrade`")]
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated, or does not fit the key.
    #[error("`Sec-WebSocket-Accept` does not answer the key")]
    Accept,
    /// The server chose a subprotocol that was not offered, or more than one.
    #[error("answer with a subprotocol that was not offered")]
    Protocol,
    /// The server chose an extension that was not offered, or parameters that the offer does
    /// not allow.
    #[error("answer with an extension that was not offered")]
    Extension,
}
