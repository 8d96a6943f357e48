//! Both halves of the opening handshake.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::handshake::server::{Accepted, accept};
use nextrush_protocol::handshake::{AnswerError, HandshakeError};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The request of RFC 6455 §1.3, without a subprotocol.
fn request() -> HeaderMap {
    headers(&[
        ("host", "server.example.com"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", KEY),
        ("origin", "http://example.com"),
        ("sec-websocket-version", "13"),
    ])
}

/// An answer that fits `KEY`.
fn answer() -> HeaderMap {
    headers(&[
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", ACCEPT),
    ])
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

/// `base` with `name` having exactly `values`.
fn with(mut base: HeaderMap, name: &'static str, values: &[&[u8]]) -> HeaderMap {
    base.remove(name);
    for value in values {
        base.append(name, HeaderValue::from_bytes(value).expect("legal bytes"));
    }
    base
}

fn judge(headers: &HeaderMap) -> Result<Accepted, HandshakeError> {
    accept(&Method::GET, Version::HTTP_11, headers)
}

fn judge_with(name: &'static str, values: &[&[u8]]) -> Result<Accepted, HandshakeError> {
    judge(&with(request(), name, values))
}

// The server.

#[test]
fn a_right_request_is_answered_with_101_and_the_accept_key() {
    let accepted = judge(&request()).unwrap();
    assert!(accepted.protocols.is_empty());
    let response = accepted.into_response();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers(), &answer());
}

#[test]
fn upgrade_and_connection_may_be_lists_in_any_case() {
    for (name, values) in [
        ("connection", &[b"keep-alive, Upgrade".as_slice()][..]),
        ("connection", &[b"UPGRADE"]),
        ("connection", &[b"keep-alive,upgrade"]),
        ("connection", &[b"\tupgrade ,, x"]),
        ("connection", &[b"keep-alive", b"upgrade"]),
        ("upgrade", &[b"WebSocket"]),
        ("upgrade", &[b"h2c, websocket"]),
        ("upgrade", &[b"h2c", b"websocket"]),
    ] {
        assert!(judge_with(name, values).is_ok(), "{name}: {values:?}");
    }
}

#[test]
fn a_request_that_is_no_upgrade_gets_426_with_the_protocol_to_use() {
    for (name, values, error) in [
        ("upgrade", &[][..], HandshakeError::Upgrade),
        ("upgrade", &[b"".as_slice()], HandshakeError::Upgrade),
        ("upgrade", &[b"h2c"], HandshakeError::Upgrade),
        ("upgrade", &[b"websockets"], HandshakeError::Upgrade),
        ("upgrade", &[b"web socket"], HandshakeError::Upgrade),
        ("upgrade", &[b"websocket\xff"], HandshakeError::Upgrade),
        ("connection", &[], HandshakeError::Connection),
        ("connection", &[b"keep-alive"], HandshakeError::Connection),
        ("connection", &[b"notupgrade"], HandshakeError::Connection),
        (
            "connection",
            &[b"upgrade-insecure"],
            HandshakeError::Connection,
        ),
    ] {
        assert_eq!(judge_with(name, values), Err(error), "{name}: {values:?}");
        let response = error.into_response();
        assert_eq!(response.status(), 426);
        let expected = headers(&[("upgrade", "websocket"), ("connection", "upgrade, close")]);
        assert_eq!(response.headers(), &expected);
    }
}

#[test]
fn a_plain_get_is_first_of_all_no_upgrade() {
    assert_eq!(judge(&HeaderMap::new()), Err(HandshakeError::Upgrade));
}

#[test]
fn another_version_of_the_protocol_gets_426_with_the_version_to_use() {
    for values in [
        &[][..],
        &[b"12".as_slice()],
        &[b"14"],
        &[b"0"],
        &[b"8"],
        &[b"255"],
        &[b"013"],
        &[b"+13"],
        &[b"13, 8"],
        &[b"13", b"13"],
        &[b""],
        &[b"\xff"],
    ] {
        let error = judge_with("sec-websocket-version", values).unwrap_err();
        assert_eq!(error, HandshakeError::WebSocketVersion, "{values:?}");
        let response = error.into_response();
        assert_eq!(response.status(), 426);
        assert_eq!(response.headers()["sec-websocket-version"], "13");
        assert_eq!(response.headers()["upgrade"], "websocket");
    }
}

#[test]
fn a_key_that_is_not_16_bytes_in_base64_gets_400() {
    let of_64_bytes = "QUFB".repeat(21) + "QQ==";
    for (values, error) in [
        (&[][..], HandshakeError::KeyMissing),
        (&[b"".as_slice()], HandshakeError::KeyInvalid),
        (&[b"dGhlIHNhbXBsZSBub25j"], HandshakeError::KeyInvalid), // 15 bytes
        (&[b"dGhlIHNhbXBsZSBub25jZTE="], HandshakeError::KeyInvalid), // 17
        (&[b"dGhlIHNhbXBsZSBub25jZWVl"], HandshakeError::KeyInvalid), // 18
        (&[of_64_bytes.as_bytes()], HandshakeError::KeyInvalid),
        (&[b"dGhlIHNhbXBsZSBub25jZQ"], HandshakeError::KeyInvalid), // no padding
        (&[b"dGhlIHNhbXBsZSBub25jZ-=="], HandshakeError::KeyInvalid), // another alphabet
        (&[b"dGhl IHNhbXBsZSBub25jZQ="], HandshakeError::KeyInvalid),
        (&[b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff=="], HandshakeError::KeyInvalid),
        (&[KEY.as_bytes(), KEY.as_bytes()], HandshakeError::KeyRepeated),
    ] {
        assert_eq!(judge_with("sec-websocket-key", values), Err(error), "{values:?}");
        assert_eq!(error.into_response().status(), 400);
    }
}

#[test]
fn a_missing_or_doubtful_host_gets_400() {
    for (values, error) in [
        (&[][..], HandshakeError::HostMissing),
        (&[b"".as_slice()], HandshakeError::HostMissing),
        (&[b"a.example", b"b.example"], HandshakeError::HostRepeated),
        (&[b"a.example", b"a.example"], HandshakeError::HostRepeated),
    ] {
        assert_eq!(judge_with("host", values), Err(error), "{values:?}");
        assert_eq!(error.into_response().status(), 400);
    }
}

#[test]
fn a_request_that_announces_a_body_gets_400() {
    for (name, values) in [
        ("content-length", &[b"5".as_slice()][..]),
        ("content-length", &[b"+5"]),
        ("content-length", &[b"-0"]),
        ("content-length", &[b"00"]),
        ("content-length", &[b""]),
        ("content-length", &[b"0", b"0"]),
        ("content-length", &[b"0", b"5"]),
        ("content-length", &[b"0, 0"]),
        ("transfer-encoding", &[b"chunked"]),
        ("transfer-encoding", &[b"identity"]),
    ] {
        let refused = judge_with(name, values);
        assert_eq!(refused, Err(HandshakeError::Body), "{name}: {values:?}");
    }
    assert_eq!(HandshakeError::Body.into_response().status(), 400);
    assert!(judge_with("content-length", &[b"0"]).is_ok());
}

#[test]
fn another_method_gets_405_with_the_method_to_use() {
    for method in [Method::POST, Method::HEAD, Method::CONNECT, Method::OPTIONS] {
        let refused = accept(&method, Version::HTTP_11, &request());
        assert_eq!(refused, Err(HandshakeError::Method));
    }
    let response = HandshakeError::Method.into_response();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET");
}

#[test]
fn another_version_of_http_gets_505() {
    for version in [Version::HTTP_09, Version::HTTP_10, Version::HTTP_2] {
        let error = accept(&Method::GET, version, &request()).unwrap_err();
        assert_eq!(error, HandshakeError::HttpVersion(version));
        assert_eq!(error.into_response().status(), 505);
    }
}

#[test]
fn every_refusal_asks_to_close_the_connection() {
    for error in [
        HandshakeError::Method,
        HandshakeError::HttpVersion(Version::HTTP_10),
        HandshakeError::Upgrade,
        HandshakeError::Connection,
        HandshakeError::WebSocketVersion,
        HandshakeError::HostMissing,
        HandshakeError::HostRepeated,
        HandshakeError::Body,
        HandshakeError::KeyMissing,
        HandshakeError::KeyRepeated,
        HandshakeError::KeyInvalid,
        HandshakeError::ProtocolsInvalid,
    ] {
        let response = error.into_response();
        let connection = response.headers()["connection"].to_str().unwrap();
        assert!(connection.split(", ").any(|option| option == "close"));
        assert!(response.status().is_client_error() || response.status() == 505);
    }
}

#[test]
fn subprotocols_come_in_the_order_of_the_offer() {
    let values = [b"chat, superchat,,v2.chat".as_slice(), b" last\t"];
    let accepted = judge_with("sec-websocket-protocol", &values).unwrap();
    assert_eq!(accepted.protocols, ["chat", "superchat", "v2.chat", "last"]);
}

#[test]
fn only_a_subprotocol_that_was_offered_can_be_chosen() {
    let mut accepted = judge_with("sec-websocket-protocol", &[b"chat, __proto__"]).unwrap();
    for not_offered in [
        "",
        "Chat",
        "cha",
        "chat, __proto__",
        "constructor",
        "bad\r\nname",
    ] {
        assert!(!accepted.choose(not_offered));
    }
    let silent = accepted.clone().into_response();
    assert!(!silent.headers().contains_key("sec-websocket-protocol"));

    assert!(accepted.choose("chat"));
    assert!(!accepted.choose("other"));
    let response = accepted.into_response();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
}

#[test]
fn subprotocols_that_are_no_list_of_tokens_get_400() {
    let too_many = (0..65)
        .map(|i| format!("p{i}"))
        .collect::<Vec<_>>()
        .join(",");
    let spaces = b" \t".repeat(30_000);
    let long = [b"a".as_slice(), &spaces, b"b"].concat();
    for value in [
        b"a b".as_slice(),
        b"chat;q=1",
        b"\"quoted\"",
        b"a, b/c",
        b"caf\xc3\xa9",
        b"chat, chat",
        too_many.as_bytes(),
        &long,
    ] {
        let refused = judge_with("sec-websocket-protocol", &[value]);
        assert_eq!(refused, Err(HandshakeError::ProtocolsInvalid));
    }
    assert_eq!(
        HandshakeError::ProtocolsInvalid.into_response().status(),
        400
    );

    let commas = b",".repeat(60_000);
    let accepted = judge_with("sec-websocket-protocol", &[&commas]).unwrap();
    assert!(accepted.protocols.is_empty());
}

#[test]
fn no_extension_is_accepted_unasked() {
    for offer in [
        b"permessage-deflate".as_slice(),
        b"permessage-deflate; client_max_window_bits, x-unknown",
        b"constructor; __proto__=1",
        b"\xff;;;=\"",
    ] {
        let accepted = judge_with("sec-websocket-extensions", &[offer]).unwrap();
        assert_eq!(accepted.into_response().headers(), &answer());
    }
}

// The client.

fn opening() -> Opening {
    Opening::new(*b"the sample nonce")
}

fn verify(answer: &HeaderMap) -> Result<Option<String>, AnswerError> {
    let opening = opening().protocol("chat").protocol("superchat");
    let agreed = opening.verify(StatusCode::SWITCHING_PROTOCOLS, answer)?;
    Ok(agreed.protocol.map(str::to_owned))
}

#[test]
fn an_opening_asks_for_what_a_server_wants_to_see() {
    let opening = opening().protocol("chat").protocol("superchat");
    assert_eq!(opening.key(), KEY);
    let expected = headers(&[
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
        ("sec-websocket-protocol", "chat, superchat"),
    ]);
    assert_eq!(opening.headers(), expected);
    assert!(
        !self::opening()
            .headers()
            .contains_key("sec-websocket-protocol")
    );
}

#[test]
fn subprotocols_that_cannot_be_offered_are_left_out() {
    let opening = opening().protocol("chat").protocol("").protocol("a b");
    let opening = opening.protocol("chat").protocol("x\r\ny: z");
    assert_eq!(opening.headers()["sec-websocket-protocol"], "chat");
}

#[test]
fn a_right_answer_opens_the_connection() {
    assert_eq!(verify(&answer()), Ok(None));
    let chosen = with(answer(), "sec-websocket-protocol", &[b"superchat"]);
    assert_eq!(verify(&chosen), Ok(Some("superchat".to_owned())));
    let other_case = with(answer(), "upgrade", &[b"WebSocket"]);
    assert_eq!(verify(&other_case), Ok(None));
}

#[test]
fn a_wrong_answer_is_refused() {
    for (name, values, error) in [
        ("upgrade", &[][..], AnswerError::Upgrade),
        ("upgrade", &[b"h2c".as_slice()], AnswerError::Upgrade),
        ("upgrade", &[b""], AnswerError::Upgrade),
        ("upgrade", &[b"h2c, websocket"], AnswerError::Upgrade),
        ("upgrade", &[b"websocket", b"h2c"], AnswerError::Upgrade),
        ("connection", &[], AnswerError::Connection),
        ("connection", &[b"close"], AnswerError::Connection),
        ("sec-websocket-accept", &[], AnswerError::Accept),
        (
            "sec-websocket-accept",
            &[KEY.as_bytes()],
            AnswerError::Accept,
        ),
        (
            "sec-websocket-accept",
            &[b"S3PPLMBITXAQ9KYGZZHZRBK+XOO="],
            AnswerError::Accept,
        ),
        (
            "sec-websocket-accept",
            &[ACCEPT.as_bytes(), ACCEPT.as_bytes()],
            AnswerError::Accept,
        ),
        (
            "sec-websocket-extensions",
            &[b"permessage-deflate"],
            AnswerError::Extension,
        ),
        ("sec-websocket-protocol", &[b"other"], AnswerError::Protocol),
        (
            "sec-websocket-protocol",
            &[b"chat, superchat"],
            AnswerError::Protocol,
        ),
        (
            "sec-websocket-protocol",
            &[b"chat", b"superchat"],
            AnswerError::Protocol,
        ),
        ("sec-websocket-protocol", &[b""], AnswerError::Protocol),
    ] {
        let answer = with(answer(), name, values);
        assert_eq!(verify(&answer), Err(error), "{name}: {values:?}");
    }
}

#[test]
fn any_status_but_101_is_refused() {
    for status in [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::FOUND] {
        let refused = opening().verify(status, &answer()).map(|_| ());
        assert_eq!(refused, Err(AnswerError::Status(status)));
    }
}
