use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::{Request, StatusCode};
use serde_json::{Map, Value};
use tokio::net::TcpListener;

use crate::server::{Server, check_refusal, with};

/// A backend that answers with the same bytes, and the server that asks it who clients are.
struct Asked {
    server: Server,
    answer: Arc<Mutex<(StatusCode, Vec<u8>)>>,
}

/// Any bytes as the answer of a backend to the question who a client is.
///
/// Promises: nobody gets in but by status 200 and `{"result":{"user":{"id","email"},…}}` without
/// fields that are not known; everything else is a refusal that is not the server's own fault;
/// what a backend refuses with is told as it says it.
///
/// An input is a byte, 0 for status 200, and the body.
pub fn hook_answer(input: &[u8]) {
    thread_local! {
        static ASKED: RefCell<Option<Asked>> = const { RefCell::new(None) };
    }
    let Some((status, answer)) = input.split_first() else {
        return;
    };
    // Others are answers without a body, or ask for another request.
    let status = [200, 201, 400, 401, 403, 404, 429, 500, 503][usize::from(*status) % 9];
    let status = StatusCode::from_u16(status).expect("they are statuses");
    with(&ASKED, Asked::new, |asked| {
        *asked.answer.lock().expect("nobody panics with it") = (status, answer.to_vec());
        let request = Request::get("/api/posts").body(Body::empty());
        let (told, body) = asked.server.ask(request.expect("it is a request"));
        let said: Option<Map<String, Value>> = serde_json::from_slice(answer).ok();
        if told == StatusCode::OK {
            assert_eq!(status, StatusCode::OK);
            let said = said.expect("only JSON lets a client in");
            assert!(said.keys().eq(["result"]), "{said:?}");
            let known = said["result"].as_object().expect("a client");
            let fields = ["user", "claims", "expires", "session", "channels"];
            assert!(known.keys().all(|name| fields.contains(&&**name)));
            assert!(known["user"]["id"].is_string() || known["user"]["id"].is_number());
            assert!(known["user"]["email"].is_string());
            return;
        }
        check_refusal(told, body.as_ref());
        let body = body.expect("it was checked");
        if told != StatusCode::SERVICE_UNAVAILABLE && status == StatusCode::OK {
            let said = said.expect("what is no JSON is answered with 503");
            if let Some(refused) = said.get("error") {
                assert_eq!(body["code"], refused["code"], "{said:?}");
                assert_eq!(body["message"], refused["message"], "{said:?}");
            }
        }
    });
}

impl Asked {
    fn new() -> Self {
        let answer = Arc::new(Mutex::new((StatusCode::OK, Vec::new())));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let addr = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("it can be set");
        let hook = format!("http://{addr}/");
        let server = Server::new(&[
            "--hook-connect",
            &hook,
            "--hook-secret",
            "the key of hooks, also of 32 bytes or more",
        ]);
        let answers = Arc::clone(&answer);
        let backend = Router::new().route(
            "/",
            post(async move || {
                let (status, body) = answers.lock().expect("nobody panics with it").clone();
                (status, body)
            }),
        );
        server.beside(async {
            let listener = TcpListener::from_std(listener).expect("it does not block");
            tokio::spawn(async { axum::serve(listener, backend).await });
        });
        Self { server, answer }
    }
}
