//! An application with users by token, and requests to it.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use nextrush::message::Timestamp;
use nextrush::testing::Network;
use nextrush::{App, Authenticated, Jwt, Message, Socket, User};
use serde_json::json;

pub(crate) const SECRET: &str = "a secret of tests, thirty-two bytes and more";

pub(crate) fn jwt() -> Jwt {
    Jwt::hs256(SECRET)
}

pub(crate) fn ada() -> User {
    User::new("ada", "ada@example.com")
}

pub(crate) fn now() -> u64 {
    Timestamp::now().unix_ms() / 1000
}

/// A token of ada's that was issued so many seconds ago; `None` for one that does not say when.
pub(crate) fn token(age: Option<u64>) -> String {
    let exp = now() + 3600;
    let mut claims = json!({ "id": "ada", "email": "ada@example.com", "exp": exp });
    if let Some(age) = age {
        claims["iat"] = json!(now() - age);
    }
    jwt().sign(&claims).unwrap()
}

/// Adds an endpoint that tells a client who it is and echoes, and one over HTTP that tells it too.
pub(crate) fn with_endpoints(mut app: App) -> App {
    app.jwt(jwt());
    app.ws("/ws", |socket: Socket, user: Authenticated| {
        let user = user.admit(&socket);
        socket.filter(jwt().refresh());
        socket.send(user.email);
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    app.get("/whoami", async |user: Authenticated| user.claims.email);
    app
}

/// The status and the text of the answer to a GET request.
pub(crate) async fn get(network: &Network, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = network.request(request.body(Body::empty()).unwrap()).await;
    let status = answer.status().as_u16();
    let body = network.run_until(to_bytes(answer.into_body(), 1024));
    (
        status,
        String::from_utf8(body.await.unwrap().to_vec()).unwrap(),
    )
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
