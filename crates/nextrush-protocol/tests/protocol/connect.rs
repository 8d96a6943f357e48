//! The opening handshake over HTTP/2 and HTTP/3 (RFC 8441).

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::handshake::server::{Accepted, accept, accept_connect};
use nextrush_protocol::handshake::{AnswerError, ConnectError, HandshakeError};
use nextrush_protocol::{DeflateConfig, DeflateParams};

/// The request of RFC 8441 §5.1.
fn request() -> Parts {
    let request = Request::builder()
        .method(Method::CONNECT)
        .version(Version::HTTP_2)
        .uri("https://server.example.com/chat")
        .header("sec-websocket-protocol", "chat, superchat")
        .header("sec-websocket-extensions", "permessage-deflate")
        .header("sec-websocket-version", "13")
        .header("origin", "http://www.example.com")
        .body(());
    request.expect("a right request").into_parts().0
}

fn with(name: &'static str, values: &[&'static str]) -> Parts {
    let mut request = request();
    request.headers.remove(name);
    for value in values {
        request
            .headers
            .append(name, HeaderValue::from_static(value));
    }
    request
}

fn judge(request: &Parts) -> Result<Accepted, ConnectError> {
    accept_connect(request, Some("websocket"))
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    pairs.collect()
}

#[test]
fn a_right_request_is_answered_with_200_and_nothing_about_the_connection() {
    for version in [Version::HTTP_2, Version::HTTP_3] {
        let mut request = request();
        request.version = version;
        let accepted = judge(&request).unwrap();
        assert_eq!(accepted.protocols, ["chat", "superchat"]);
        let response = accepted.into_response();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers(), &HeaderMap::new());
    }
}

#[test]
fn subprotocol_and_compression_are_agreed_on_as_over_http_1() {
    let mut accepted = judge(&request()).unwrap();
    assert!(!accepted.choose("other"));
    assert!(accepted.choose("superchat"));
    let params = accepted.negotiate_deflate(&DeflateConfig::default());
    assert!(params.is_some_and(DeflateParams::client_no_context_takeover));
    let response = accepted.into_response();
    let expected = headers(&[
        ("sec-websocket-protocol", "superchat"),
        (
            "sec-websocket-extensions",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
    ]);
    assert_eq!(response.headers(), &expected);
}

#[test]
fn a_key_counts_for_nothing() {
    // RFC 8441 §5: the headers are not used.
    let mut request = with("sec-websocket-key", &["no key at all"]);
    request
        .headers
        .append("sec-websocket-accept", HeaderValue::from_static("x"));
    let response = judge(&request).unwrap().into_response();
    assert_eq!(response.headers(), &HeaderMap::new());
}

#[test]
fn the_protocol_must_be_websocket() {
    for name in ["websocket", "WebSocket"] {
        assert!(accept_connect(&request(), Some(name)).is_ok());
    }
    for name in [None, Some(""), Some("websockets"), Some("connect-udp")] {
        let refused = accept_connect(&request(), name);
        assert_eq!(refused, Err(ConnectError::Protocol), "{name:?}");
    }
    assert_eq!(ConnectError::Protocol.status(), 501);
}

#[test]
fn another_method_gets_405_with_the_method_to_use() {
    for method in [Method::GET, Method::POST, Method::OPTIONS] {
        let mut request = request();
        request.method = method;
        assert_eq!(judge(&request), Err(ConnectError::Method));
    }
    let response = ConnectError::Method.into_response();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers(), &headers(&[("allow", "CONNECT")]));
}

#[test]
fn the_two_ways_are_not_taken_for_each_other() {
    for version in [Version::HTTP_10, Version::HTTP_11] {
        let mut request = request();
        request.version = version;
        assert_eq!(judge(&request), Err(ConnectError::HttpVersion(version)));
    }
    assert_eq!(ConnectError::HttpVersion(Version::HTTP_11).status(), 505);

    let parts = request();
    let as_upgrade = accept(&parts.method, parts.version, &parts.headers);
    assert_eq!(as_upgrade, Err(HandshakeError::Method));
    let as_upgrade = accept(&Method::GET, parts.version, &parts.headers);
    let wrong_version = HandshakeError::HttpVersion(Version::HTTP_2);
    assert_eq!(as_upgrade, Err(wrong_version));
}

#[test]
fn scheme_authority_and_path_have_to_be_there() {
    for uri in ["server.example.com:443", "/chat", "*"] {
        let mut request = request();
        request.uri = uri.parse().unwrap();
        assert_eq!(judge(&request), Err(ConnectError::Target), "{uri}");
    }
    assert_eq!(ConnectError::Target.status(), 400);
}

#[test]
fn headers_about_the_connection_get_400() {
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
    ] {
        let refused = judge(&with(name, &[value]));
        assert_eq!(refused, Err(ConnectError::ConnectionHeader), "{name}");
    }
    assert_eq!(ConnectError::ConnectionHeader.status(), 400);
}

#[test]
fn a_request_that_announces_a_body_gets_400() {
    for values in [&["5"][..], &["+0"], &["0", "0"], &["00"]] {
        let refused = judge(&with("content-length", values));
        assert_eq!(refused, Err(ConnectError::Body), "{values:?}");
    }
    assert!(judge(&with("content-length", &["0"])).is_ok());
    assert_eq!(ConnectError::Body.status(), 400);
}

#[test]
fn another_version_of_the_protocol_gets_400_with_the_version_to_use() {
    for values in [&[][..], &["8"], &["12"], &["14"], &["13, 8"], &["13", "13"]] {
        let refused = judge(&with("sec-websocket-version", values));
        assert_eq!(refused, Err(ConnectError::WebSocketVersion), "{values:?}");
    }
    let response = ConnectError::WebSocketVersion.into_response();
    assert_eq!(response.status(), 400);
    let expected = headers(&[("sec-websocket-version", "13")]);
    assert_eq!(response.headers(), &expected);
}

#[test]
fn subprotocols_that_are_no_list_of_tokens_get_400() {
    for values in [&["a b"][..], &["a, a"], &["a", "a"], &["(a)"], &["a;b"]] {
        let refused = judge(&with("sec-websocket-protocol", values));
        assert_eq!(refused, Err(ConnectError::ProtocolsInvalid), "{values:?}");
    }
    assert_eq!(ConnectError::ProtocolsInvalid.status(), 400);
}

// The client.

fn opening() -> Opening {
    Opening::new([7; 16])
        .protocol("chat")
        .deflate(DeflateConfig::default())
}

#[test]
fn an_opening_asks_for_what_a_server_wants_to_see() {
    let expected = headers(&[
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        (
            "sec-websocket-extensions",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits",
        ),
    ]);
    assert_eq!(opening().connect_headers(), expected);

    let mut request = request();
    request.headers = expected;
    let mut accepted = judge(&request).unwrap();
    assert!(accepted.choose("chat"));
    let params = accepted.negotiate_deflate(&DeflateConfig::default());
    let opening = opening();
    let agreed = opening.verify_connect(StatusCode::OK, &accepted.headers());
    let agreed = agreed.unwrap();
    assert_eq!(agreed.protocol, Some("chat"));
    assert_eq!(agreed.deflate, params);
    assert!(params.is_some());
}

#[test]
fn any_status_of_success_opens_the_stream_and_no_other() {
    let opening = opening();
    for status in [200, 204, 299] {
        let status = StatusCode::from_u16(status).unwrap();
        assert!(opening.verify_connect(status, &HeaderMap::new()).is_ok());
    }
    for status in [101, 199, 300, 401, 501] {
        let status = StatusCode::from_u16(status).unwrap();
        let refused = opening.verify_connect(status, &HeaderMap::new());
        assert_eq!(refused, Err(AnswerError::Status(status)));
    }
}

#[test]
fn what_was_not_offered_cannot_be_chosen() {
    let opening = opening();
    let verify = |name, value| opening.verify_connect(StatusCode::OK, &headers(&[(name, value)]));
    let refused = verify("sec-websocket-protocol", "other");
    assert_eq!(refused, Err(AnswerError::Protocol));
    let refused = verify("sec-websocket-extensions", "x-webkit-deflate-frame");
    assert_eq!(refused, Err(AnswerError::Extension));
    let refused = verify("sec-websocket-extensions", "permessage-deflate");
    assert_eq!(refused, Err(AnswerError::Extension));
}
