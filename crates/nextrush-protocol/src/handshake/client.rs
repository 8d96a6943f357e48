//! The client's half: makes a request and judges the answer.

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::deflate::DeflateOffer;
use super::error::AnswerError;
use super::list::{self, Occurrence};
use super::{extension, key};
use crate::deflate::{DeflateConfig, DeflateParams};

/// The opening handshake of a client: its request, and the answer that it needs.
///
/// ```
/// use http::StatusCode;
/// use nextrush_protocol::handshake::client::Opening;
/// use nextrush_protocol::handshake::server;
///
/// let nonce = *b"the sample nonce"; // 16 random bytes, new for each connection
/// let opening = Opening::new(nonce).protocol("chat");
///
/// let mut request = opening.headers();
/// assert_eq!(request["sec-websocket-key"], "dGhlIHNhbXBsZSBub25jZQ==");
/// request.insert("host", "example.com".parse()?);
///
/// let mut accepted = server::accept(&http::Method::GET, http::Version::HTTP_11, &request)?;
/// accepted.choose("chat");
/// let agreed = opening.verify(StatusCode::SWITCHING_PROTOCOLS, &accepted.headers())?;
/// assert_eq!(agreed.protocol, Some("chat"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opening {
    key: String,
    protocols: Vec<String>,
    deflate: Option<DeflateConfig>,
}

/// The server's choice among the offers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Agreed<'o> {
    /// The subprotocol.
    pub protocol: Option<&'o str>,
    /// The compression of messages (RFC 7692); `None` without compression.
    pub deflate: Option<DeflateParams>,
}

impl Opening {
    /// An opening whose key is `nonce`, 16 random bytes that are new for each connection (RFC
    /// 6455 §4.1).
    #[must_use]
    pub fn new(nonce: [u8; 16]) -> Self {
        Self {
            key: key::encode(nonce),
            protocols: Vec::new(),
            deflate: None,
        }
    }

    /// Offers a subprotocol, after those that the client likes better. Repeated names and
    /// names that are not tokens (RFC 9110 §5.6.2) are left out.
    #[must_use]
    pub fn protocol(mut self, name: &str) -> Self {
        let is_new = !self.protocols.iter().any(|offered| offered == name);
        if is_new && list::token(name.as_bytes()).is_some() {
            self.protocols.push(name.to_owned());
        }
        self
    }

    /// Offers permessage-deflate (RFC 7692 §7.1). The wishes for no context takeover and
    /// smaller windows of the server are conditions: a server that cannot meet them has to
    /// decline.
    #[must_use]
    pub fn deflate(mut self, config: DeflateConfig) -> Self {
        self.deflate = Some(config);
        self
    }

    /// The value of `Sec-WebSocket-Key`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The headers of the request, a GET over HTTP/1.1, without `Host` and those of the
    /// application.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_KEY, header_value(&self.key));
        self.add_offers(&mut headers);
        headers
    }

    /// The headers of an extended CONNECT over HTTP/2 or HTTP/3, whose `:protocol` is
    /// `websocket` (RFC 8441 §5): the same without those of the connection.
    ///
    /// ```
    /// # use http::StatusCode;
    /// # use nextrush_protocol::handshake::client::Opening;
    /// let opening = Opening::new([0; 16]).protocol("chat");
    /// let request = opening.connect_headers();
    /// assert_eq!(request["sec-websocket-version"], "13");
    /// assert!(!request.contains_key("sec-websocket-key"));
    ///
    /// let answer = http::HeaderMap::new();
    /// assert_eq!(opening.verify_connect(StatusCode::OK, &answer)?.protocol, None);
    /// # Ok::<(), nextrush_protocol::handshake::AnswerError>(())
    /// ```
    #[must_use]
    pub fn connect_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(3);
        self.add_offers(&mut headers);
        headers
    }

    fn add_offers(&self, headers: &mut HeaderMap) {
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if !self.protocols.is_empty() {
            let list = header_value(&self.protocols.join(", "));
            headers.insert(SEC_WEBSOCKET_PROTOCOL, list);
        }
        if let Some(config) = &self.deflate {
            let offer = DeflateOffer::of_client(config).to_header();
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, offer);
        }
    }

    /// Judges the answer (RFC 6455 §4.1). Returns the server's choice.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if the connection is not open; it has to be dropped.
    pub fn verify(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Agreed<'_>, AnswerError> {
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(AnswerError::Status(status));
        }
        if !list::is_only(headers, UPGRADE, "websocket") {
            return Err(AnswerError::Upgrade);
        }
        if !list::contains(headers, CONNECTION, "upgrade") {
            return Err(AnswerError::Connection);
        }
        let expected = key::accept_key(self.key.as_bytes());
        match list::single(headers, SEC_WEBSOCKET_ACCEPT) {
            Occurrence::Once(accept) if *accept == expected => {}
            Occurrence::Once(_) | Occurrence::Missing | Occurrence::Repeated => {
                return Err(AnswerError::Accept);
            }
        }
        self.agreed(headers)
    }

    /// Judges the answer to an extended CONNECT (RFC 8441 §5). Returns the server's choice.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if the connection is not open; the stream has to be reset.
    pub fn verify_connect(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Agreed<'_>, AnswerError> {
        if !status.is_success() {
            return Err(AnswerError::Status(status));
        }
        self.agreed(headers)
    }

    fn agreed(&self, headers: &HeaderMap) -> Result<Agreed<'_>, AnswerError> {
        Ok(Agreed {
            deflate: self.chosen_deflate(headers)?,
            protocol: self.chosen_protocol(headers)?,
        })
    }

    fn chosen_deflate(&self, headers: &HeaderMap) -> Result<Option<DeflateParams>, AnswerError> {
        let mut chosen = extension::extensions(headers);
        let params = match (chosen.next(), &self.deflate) {
            (None, _) => return Ok(None),
            (Some(Ok(extension)), Some(config)) => {
                DeflateOffer::read(&extension).and_then(|answer| answer.agree(config))
            }
            (Some(_), _) => None,
        };
        let is_only = chosen.next().is_none();
        params
            .filter(|_| is_only)
            .map(Some)
            .ok_or(AnswerError::Extension)
    }

    fn chosen_protocol(&self, headers: &HeaderMap) -> Result<Option<&str>, AnswerError> {
        let chosen = match list::single(headers, SEC_WEBSOCKET_PROTOCOL) {
            Occurrence::Missing => return Ok(None),
            Occurrence::Once(chosen) => chosen,
            Occurrence::Repeated => return Err(AnswerError::Protocol),
        };
        let offered = self
            .protocols
            .iter()
            .find(|offered| chosen == offered.as_str());
        offered
            .map(|protocol| Some(protocol.as_str()))
            .ok_or(AnswerError::Protocol)
    }
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("base64 and tokens are header values")
}
