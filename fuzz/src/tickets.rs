use std::cell::RefCell;

use axum::body::Body;
use http::{Request, StatusCode, header};

use crate::server::{KEY, Server, check_refusal, with};

/// Any text as a ticket, and any change of one that was issued.
///
/// Promises: a ticket that was issued is good for one request, and nothing else is; the server is
/// never at fault.
///
/// An input is bytes that replace some of a ticket: pairs of a place and a byte; behind a byte 255
/// in the place of a place comes a text that is the whole ticket.
pub fn tickets(input: &[u8]) {
    thread_local! {
        static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
    }
    with(&SERVER, Server::with_api, |server| {
        let issued = issue(server);
        let mut ticket = issued.clone().into_bytes();
        let mut rest = input;
        while let [place, byte, more @ ..] = rest {
            if *place == 255 {
                ticket = rest[1..].to_vec();
                break;
            }
            let length = ticket.len();
            ticket[usize::from(*place) % length] = *byte;
            rest = more;
        }
        let is_issued = ticket == issued.as_bytes();
        assert_eq!(is_good(server, &ticket), is_issued, "{input:?}");
        if !is_issued {
            assert!(is_good(server, issued.as_bytes()), "it was not used yet");
        }
        assert!(!is_good(server, issued.as_bytes()), "it was used");
    });
}

fn issue(server: &Server) -> String {
    let request = Request::post("/api/v1/ticket")
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(r#"{"user":"ada"}"#))
        .expect("it is a request");
    let (status, body) = server.ask(request);
    assert_eq!(status, StatusCode::OK, "{body:?}");
    let body = body.expect("an answer is JSON");
    body["ticket"].as_str().expect("a ticket").to_owned()
}

fn is_good(server: &Server, ticket: &[u8]) -> bool {
    let hex = ticket.iter().map(|byte| format!("%{byte:02x}"));
    let uri = format!("/api/posts?ticket={}", hex.collect::<String>());
    // One that is longer than an address may be does not come so far.
    let Ok(request) = Request::get(uri).body(Body::empty()) else {
        return false;
    };
    let (status, body) = server.ask(request);
    if status != StatusCode::OK {
        check_refusal(status, body.as_ref());
    }
    status == StatusCode::OK
}
