use std::cell::RefCell;

use axum::body::Body;
use http::{Request, header};
use serde::de::IgnoredAny;

use crate::server::{KEY, Server, check_refusal, with};

const PATHS: [&str; 10] = [
    "POST publish",
    "POST broadcast",
    "POST purge",
    "POST disconnect",
    "POST ticket",
    "POST revoke",
    "GET history",
    "GET presence",
    "GET trace",
    "POST /api/posts",
];

/// Any body or query of a request to the HTTP API, with a key that may do everything.
///
/// Promises: it is answered with 200 or refused with an error that has a code, and never with
/// 500; no body that is not JSON is accepted; what is accepted says what was done.
///
/// An input is the number of the route, and the body (`POST`), or the query with one more header
/// behind a line feed (`GET`).
pub fn api(input: &[u8]) {
    thread_local! {
        static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
    }
    let Some((route, rest)) = input.split_first() else {
        return;
    };
    let (method, path) = PATHS[usize::from(*route) % PATHS.len()]
        .split_once(' ')
        .expect("each has both");
    let request = Request::builder()
        .method(method)
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"));
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/api/v1/{path}"),
    };
    let request = match method {
        "POST" => request
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(rest.to_vec())),
        _ => {
            let mut lines = rest.splitn(2, |byte| *byte == b'\n');
            let query = lines.next().unwrap_or_default();
            let Ok(query) = str::from_utf8(query) else {
                return;
            };
            let trace = lines.next().unwrap_or_default();
            request
                .uri(format!("{path}?{query}"))
                .header("traceparent", trace)
                .body(Body::empty())
        }
    };
    // What is no request does not come so far.
    let Ok(request) = request else {
        return;
    };
    with(&SERVER, Server::with_api, |server| {
        let (status, body) = server.ask(request);
        if !status.is_success() {
            return check_refusal(status, body.as_ref());
        }
        let body = body.expect("an answer is JSON");
        assert!(body.is_object(), "{body}");
        if method == "POST" {
            // Fields may come as a list, and values that nobody looks at need not be text.
            let asked: Result<IgnoredAny, _> = serde_json::from_slice(rest);
            assert!(asked.is_ok(), "what is no JSON is refused: {asked:?}");
        }
    });
}
