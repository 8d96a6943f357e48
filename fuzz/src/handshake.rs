use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::handshake::{AnswerError, HandshakeError, server};

/// The most subprotocols that `server::accept` says it takes.
const MAX_PROTOCOLS: usize = 64;

/// The nonce of RFC 6455 §1.3, and the answer to it.
const NONCE: [u8; 16] = *b"the sample nonce";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Any headers, as a request to `server::accept` and as an answer to `Opening::verify`.
///
/// Promises: a request is accepted exactly if all conditions of RFC 6455 §4.2.1 hold, with
/// no body and a list of distinct tokens as subprotocols, and an answer exactly if all of
/// §4.1 do; a refusal names a condition that is broken; a client takes the answer to an
/// accepted request. That the time grows no faster than the headers is for
/// `tests/seeds.rs` to say, where they have a megabyte.
///
/// An input is lines. The first has three words: method, version of HTTP and status, as
/// in `GET 1.1 101`. Each other line is a header; what can be none is left out.
pub fn handshake(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let head = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let mut words = head.split(' ');
    let method = words
        .next()
        .and_then(|word| Method::from_bytes(word.as_bytes()).ok());
    let version = match words.next() {
        Some("0.9") => Version::HTTP_09,
        Some("1.0") => Version::HTTP_10,
        Some("2") => Version::HTTP_2,
        Some("3") => Version::HTTP_3,
        _ => Version::HTTP_11,
    };
    let status = words
        .next()
        .and_then(|word| StatusCode::from_bytes(word.as_bytes()).ok());
    let fields = Fields::read(lines);

    request(&method.unwrap_or_default(), version, &fields);
    answer(status.unwrap_or_default(), &fields);
}

fn request(method: &Method, version: Version, fields: &Fields) {
    let names_upgrade = fields
        .list("upgrade")
        .any(|it| it.eq_ignore_ascii_case("websocket"));
    let names_connection = fields
        .list("connection")
        .any(|it| it.eq_ignore_ascii_case("upgrade"));
    let hosts = fields.all("host");
    let keys = fields.all("sec-websocket-key");
    let nonce = keys.first().and_then(|key| nonce(key));
    let is_version_13 = fields.all("sec-websocket-version") == ["13"];
    let has_body = !fields.all("transfer-encoding").is_empty()
        || !matches!(fields.all("content-length")[..], [] | ["0"]);
    let protocols: Vec<&str> = fields.list("sec-websocket-protocol").collect();
    let are_tokens = protocols.len() <= MAX_PROTOCOLS
        && protocols.iter().all(|it| it.chars().all(is_token))
        && protocols.iter().collect::<HashSet<_>>().len() == protocols.len();

    match server::accept(method, version, &fields.map) {
        Err(error) => {
            let is_broken = match error {
                HandshakeError::Method => method.as_str() != "GET",
                HandshakeError::HttpVersion(it) => it == version && version != Version::HTTP_11,
                HandshakeError::Upgrade => !names_upgrade,
                HandshakeError::Connection => !names_connection,
                HandshakeError::WebSocketVersion => !is_version_13,
                HandshakeError::HostMissing => matches!(hosts[..], [] | [""]),
                HandshakeError::HostRepeated => hosts.len() > 1,
                HandshakeError::Body => has_body,
                HandshakeError::KeyMissing => keys.is_empty(),
                HandshakeError::KeyRepeated => keys.len() > 1,
                HandshakeError::KeyInvalid => keys.len() == 1 && nonce.is_none(),
                HandshakeError::ProtocolsInvalid => !are_tokens,
                other => panic!("{other}, of which nothing is known here"),
            };
            assert!(is_broken, "refused without a reason: {error}");
            let response = error.into_response();
            assert!(!response.status().is_success() && response.status() != 101);
            assert!(!response.headers().contains_key("sec-websocket-accept"));
        }
        Ok(mut accepted) => {
            assert_eq!(method.as_str(), "GET");
            assert_eq!(version, Version::HTTP_11);
            assert!(names_upgrade && names_connection && is_version_13 && !has_body);
            assert!(hosts.len() == 1 && !hosts[0].is_empty(), "{hosts:?}");
            assert_eq!(keys.len(), 1);
            assert!(are_tokens);
            assert_eq!(accepted.protocols, protocols);

            let nonce = nonce.expect("a key that was accepted stands for 16 bytes");
            let mut opening = Opening::new(nonce);
            assert_eq!(opening.key(), keys[0]);
            let verdict = opening.verify(StatusCode::SWITCHING_PROTOCOLS, &accepted.headers());
            assert_eq!(verdict.map(|agreed| agreed.protocol), Ok(None));
            assert!(!accepted.choose("not offered"));
            if let Some(last) = protocols.last() {
                opening = opening.protocol(last);
                assert!(accepted.choose(last));
                let verdict = opening.verify(StatusCode::SWITCHING_PROTOCOLS, &accepted.headers());
                assert_eq!(verdict.map(|agreed| agreed.protocol), Ok(Some(*last)));
            }
            assert_eq!(accepted.into_response().status(), 101);
        }
    }
}

fn answer(status: StatusCode, fields: &Fields) {
    // The answer's `Upgrade` may hold nothing else, unlike the request's.
    let upgrades: Vec<&str> = fields.list("upgrade").collect();
    let is_upgrade = !upgrades.is_empty()
        && upgrades
            .iter()
            .all(|it| it.eq_ignore_ascii_case("websocket"));
    let names_connection = fields
        .list("connection")
        .any(|it| it.eq_ignore_ascii_case("upgrade"));
    let is_accept = fields.all("sec-websocket-accept") == [ACCEPT];
    let has_extension = fields.list("sec-websocket-extensions").next().is_some();
    let protocols = fields.all("sec-websocket-protocol");
    let is_offered = matches!(protocols[..], [] | ["chat"] | ["superchat"]);

    let opening = Opening::new(NONCE).protocol("chat").protocol("superchat");
    match opening.verify(status, &fields.map) {
        Err(error) => {
            let is_broken = match error {
                AnswerError::Status(it) => it == status && status != 101,
                AnswerError::Upgrade => !is_upgrade,
                AnswerError::Connection => !names_connection,
                AnswerError::Accept => !is_accept,
                AnswerError::Extension => has_extension,
                AnswerError::Protocol => !is_offered,
                other => panic!("{other}, of which nothing is known here"),
            };
            assert!(is_broken, "refused without a reason: {error}");
        }
        Ok(agreed) => {
            assert_eq!(status, 101);
            assert!(is_upgrade && names_connection && is_accept && !has_extension);
            assert!(is_offered);
            assert_eq!(agreed.protocol, protocols.first().copied());
            assert_eq!(agreed.deflate, None);
        }
    }
}

/// Headers twice: as the code under test gets them, and as plain names and values, a
/// character for each byte.
#[derive(Default)]
struct Fields {
    map: HeaderMap,
    plain: Vec<(String, String)>,
}

impl Fields {
    fn read<'l>(lines: impl Iterator<Item = &'l [u8]>) -> Self {
        let mut fields = Self::default();
        for line in lines {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            // As a parser of HTTP does it (RFC 9112 §5).
            let value = line[colon + 1..].trim_ascii();
            let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(&line[..colon]),
                HeaderValue::from_bytes(value),
            ) else {
                continue;
            };
            let plain = value.as_bytes().iter().copied().map(char::from).collect();
            if fields.map.try_append(name.clone(), value).is_ok() {
                fields.plain.push((name.to_string(), plain));
            }
        }
        fields
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.plain.iter().filter(|(it, _)| it == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// The elements of a comma-separated list (RFC 9110 §5.6.1).
    fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self
            .all(name)
            .into_iter()
            .flat_map(|value| value.split(','));
        values
            .map(|it| it.trim_matches([' ', '\t']))
            .filter(|it| !it.is_empty())
    }
}

/// RFC 9110 §5.6.2.
fn is_token(character: char) -> bool {
    character.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]{}".contains(character)
}

/// The 16 bytes that a key stands for: 22 digits, of which the last has only two bits to
/// say, and padding (RFC 4648 §4).
fn nonce(key: &str) -> Option<[u8; 16]> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = key
        .strip_suffix("==")
        .filter(|it| it.chars().count() == 22)?;
    let mut bits = 0u128;
    let mut spare = 0;
    for (place, digit) in digits.chars().enumerate() {
        let digit = DIGITS.find(digit)? as u128;
        if place < 21 {
            bits = bits << 6 | digit;
        } else {
            bits = bits << 2 | digit >> 4;
            spare = digit & 0xF;
        }
    }
    (spare == 0).then_some(bits.to_be_bytes())
}
