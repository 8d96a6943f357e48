//! The server's half: judges a request and makes the answer.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};

use super::deflate::DeflateOffer;
use super::error::{ConnectError, HandshakeError};
use super::list::{self, Occurrence};
use super::{extension, key};
use crate::deflate::{DeflateConfig, DeflateParams};

/// The most subprotocols in a request.
const MAX_PROTOCOLS: usize = 64;

/// Judges a request by RFC 6455 §4.2.1.
///
/// The origin is ignored: the application decides who may connect. Extensions are optional.
/// Only permessage-deflate is known; unknown and malformed ones are declined, and none is
/// accepted without [`negotiate_deflate`](Accepted::negotiate_deflate).
///
/// # Errors
///
/// [`HandshakeError`], which makes the answer ([`HandshakeError::into_response`]). A request
/// that is no upgrade at all is refused as such, before anything that matters only for an
/// upgrade.
///
/// ```
/// use http::{Method, Request};
/// use nextrush_protocol::handshake::{HandshakeError, server};
///
/// let (request, ()) = Request::get("/chat")
///     .header("host", "example.com")
///     .header("upgrade", "websocket")
///     .header("connection", "Upgrade")
///     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .header("sec-websocket-version", "13")
///     .body(())?
///     .into_parts();
///
/// let accepted = server::accept(&request.method, request.version, &request.headers)?;
/// let response = accepted.into_response();
/// assert_eq!(response.status(), 101);
/// assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
///
/// let refused = server::accept(&Method::POST, request.version, &request.headers);
/// assert_eq!(refused, Err(HandshakeError::Method));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn accept(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
) -> Result<Accepted, HandshakeError> {
    if method != Method::GET {
        return Err(HandshakeError::Method);
    }
    if version != Version::HTTP_11 {
        return Err(HandshakeError::HttpVersion(version));
    }
    if !list::contains(headers, UPGRADE, "websocket") {
        return Err(HandshakeError::Upgrade);
    }
    if !list::contains(headers, CONNECTION, "upgrade") {
        return Err(HandshakeError::Connection);
    }
    check_host(headers)?;
    if !announces_no_body(headers) {
        return Err(HandshakeError::Body);
    }
    if !is_version_13(headers) {
        return Err(HandshakeError::WebSocketVersion);
    }
    let accept = accept_value(read_key(headers)?);
    let protocols = read_protocols(headers).ok_or(HandshakeError::ProtocolsInvalid)?;
    Ok(Accepted::new(Some(accept), protocols, headers))
}

/// Judges a request over HTTP/2 or HTTP/3 by RFC 8441 §4 and §5 (RFC 9220 §3): an extended
/// CONNECT whose `:protocol` is `websocket`. The stream is the connection, so there is no
/// `Upgrade`, no key and no proof; all else is the same as in [`accept`].
///
/// # Errors
///
/// [`ConnectError`], which makes the answer ([`ConnectError::into_response`]).
///
/// ```
/// use http::{Method, Request, Version};
/// use nextrush_protocol::handshake::server;
///
/// let (request, ()) = Request::builder()
///     .method(Method::CONNECT)
///     .version(Version::HTTP_2)
///     .uri("https://example.com/chat")
///     .header("sec-websocket-version", "13")
///     .header("sec-websocket-protocol", "chat")
///     .body(())?
///     .into_parts();
///
/// let mut accepted = server::accept_connect(&request, Some("websocket"))?;
/// assert!(accepted.choose("chat"));
/// let response = accepted.into_response();
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn accept_connect(request: &Parts, protocol: Option<&str>) -> Result<Accepted, ConnectError> {
    let headers = &request.headers;
    if !matches!(request.version, Version::HTTP_2 | Version::HTTP_3) {
        return Err(ConnectError::HttpVersion(request.version));
    }
    if request.method != Method::CONNECT {
        return Err(ConnectError::Method);
    }
    // These names are from the registry of `Upgrade`, where case does not matter.
    if !protocol.is_some_and(|name| name.eq_ignore_ascii_case("websocket")) {
        return Err(ConnectError::Protocol);
    }
    let target = request.uri.clone().into_parts();
    if target.scheme.is_none() || target.authority.is_none() || target.path_and_query.is_none() {
        return Err(ConnectError::Target);
    }
    if CONNECTION_SPECIFIC
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        return Err(ConnectError::ConnectionHeader);
    }
    if !announces_no_body(headers) {
        return Err(ConnectError::Body);
    }
    if !is_version_13(headers) {
        return Err(ConnectError::WebSocketVersion);
    }
    let protocols = read_protocols(headers).ok_or(ConnectError::ProtocolsInvalid)?;
    Ok(Accepted::new(None, protocols, headers))
}

/// The headers that HTTP/2 and HTTP/3 forbid, RFC 9113 §8.2.2, RFC 9114 §4.2.
const CONNECTION_SPECIFIC: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// A request that opens a connection, with the answer to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The value of `Sec-WebSocket-Accept`; `None` for an extended CONNECT.
    accept: Option<HeaderValue>,
    /// The offered subprotocols, the best liked first. At most 64.
    pub protocols: Vec<String>,
    chosen: Option<HeaderValue>,
    /// The valid offers of permessage-deflate, the best liked first.
    deflate_offers: Vec<DeflateOffer>,
    extensions: Option<HeaderValue>,
}

impl Accepted {
    fn new(accept: Option<HeaderValue>, protocols: Vec<String>, headers: &HeaderMap) -> Self {
        Self {
            accept,
            protocols,
            chosen: None,
            deflate_offers: deflate_offers(headers),
            extensions: None,
        }
    }

    /// Chooses a subprotocol. Returns `false` without an effect if the client does not offer
    /// it. An answer without a subprotocol is fine for most clients.
    pub fn choose(&mut self, protocol: &str) -> bool {
        if !self.protocols.iter().any(|offered| offered == protocol) {
            return false;
        }
        self.chosen = HeaderValue::from_str(protocol).ok();
        true
    }

    /// Agrees on compression (RFC 7692 §5.1): on the client's first valid offer, made as
    /// strict as `config` wants. Returns `None` without an effect if the client offers none.
    ///
    /// Windows of 8 bits are honoured although zlib has none: messages for such a client
    /// refer back at most 250 bytes.
    ///
    /// ```
    /// # use http::{Method, Request};
    /// # use nextrush_protocol::handshake::server;
    /// use nextrush_protocol::DeflateConfig;
    ///
    /// # let (request, ()) = Request::get("/chat")
    /// #     .header("host", "example.com")
    /// #     .header("upgrade", "websocket")
    /// #     .header("connection", "Upgrade")
    /// #     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    /// #     .header("sec-websocket-version", "13")
    /// #     .header("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")
    /// #     .body(())?
    /// #     .into_parts();
    /// // With `Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits`:
    /// let mut accepted = server::accept(&request.method, request.version, &request.headers)?;
    /// let params = accepted.negotiate_deflate(&DeflateConfig::default());
    /// assert!(params.is_some_and(|params| params.server_no_context_takeover()));
    /// assert_eq!(
    ///     accepted.headers()["sec-websocket-extensions"],
    ///     "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn negotiate_deflate(&mut self, config: &DeflateConfig) -> Option<DeflateParams> {
        let offer = self.deflate_offers.first()?;
        let (params, answer) = offer.accept(config);
        self.extensions = Some(answer);
        Some(params)
    }

    /// The headers of the answer (RFC 6455 §4.2.2, RFC 8441 §5).
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(5);
        if let Some(accept) = &self.accept {
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept.clone());
        }
        if let Some(protocol) = &self.chosen {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
        if let Some(extensions) = &self.extensions {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, extensions.clone());
        }
        headers
    }

    /// The whole answer: status 101 to an upgrade, 200 to an extended CONNECT.
    pub fn into_response(self) -> Response<()> {
        let mut response = Response::new(());
        if self.accept.is_some() {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        *response.headers_mut() = self.headers();
        response
    }
}

fn check_host(headers: &HeaderMap) -> Result<(), HandshakeError> {
    match list::single(headers, HOST) {
        Occurrence::Once(host) if !host.is_empty() => Ok(()),
        Occurrence::Once(_) | Occurrence::Missing => Err(HandshakeError::HostMissing),
        Occurrence::Repeated => Err(HandshakeError::HostRepeated),
    }
}

/// Returns `true` if no body follows the head. Any doubt about that would allow request
/// smuggling.
fn announces_no_body(headers: &HeaderMap) -> bool {
    !headers.contains_key(TRANSFER_ENCODING)
        && match list::single(headers, CONTENT_LENGTH) {
            Occurrence::Missing => true,
            Occurrence::Once(length) => length == "0",
            Occurrence::Repeated => false,
        }
}

fn is_version_13(headers: &HeaderMap) -> bool {
    matches!(list::single(headers, SEC_WEBSOCKET_VERSION), Occurrence::Once(it) if it == "13")
}

fn read_key(headers: &HeaderMap) -> Result<&[u8], HandshakeError> {
    match list::single(headers, SEC_WEBSOCKET_KEY) {
        Occurrence::Once(key) if key::is_valid(key.as_bytes()) => Ok(key.as_bytes()),
        Occurrence::Once(_) => Err(HandshakeError::KeyInvalid),
        Occurrence::Missing => Err(HandshakeError::KeyMissing),
        Occurrence::Repeated => Err(HandshakeError::KeyRepeated),
    }
}

/// The offered subprotocols: tokens, each once, else `None` (RFC 6455 §4.1).
fn read_protocols(headers: &HeaderMap) -> Option<Vec<String>> {
    let mut protocols = Vec::new();
    for element in list::elements(headers, SEC_WEBSOCKET_PROTOCOL) {
        let protocol = list::token(element)?;
        if protocols.len() == MAX_PROTOCOLS || protocols.iter().any(|it| it == protocol) {
            return None;
        }
        protocols.push(protocol.to_owned());
    }
    Some(protocols)
}

fn deflate_offers(headers: &HeaderMap) -> Vec<DeflateOffer> {
    extension::extensions(headers)
        .filter_map(Result::ok)
        .filter_map(|extension| DeflateOffer::read(&extension))
        .collect()
}

fn accept_value(key: &[u8]) -> HeaderValue {
    HeaderValue::try_from(key::accept_key(key)).expect("base64 is a header value")
}
