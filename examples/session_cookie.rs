//! Users by session cookie in place of a token. Signing in sets the cookie, `App::authenticate` says
//! whose it is, and signing out ends the sockets of the session on all nodes.
//!
//! `cargo run -p nextrush --example session_cookie`, then
//! `curl -i -d ada http://localhost:3000/sign-in`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use nextrush::auth;
use nextrush::{App, Authenticated, CloseCode, Handle, Message, Socket, User};
use tokio::sync::RwLock;

/// The users by session: here in memory, in your application in its database.
#[derive(Clone, Default)]
struct Sessions(Arc<RwLock<HashMap<String, User>>>);

impl Sessions {
    async fn find(&self, session: &str) -> Option<Authenticated> {
        let user = self.0.read().await.get(session)?.clone();
        Some(Authenticated::from(user).session(session))
    }
}

/// The application, to be served or tested.
pub fn app() -> App {
    let mut app = App::new();
    let sessions = Sessions::default();

    // The whole of it: `Authenticated` below is the user of the cookie.
    let of_cookie = sessions.clone();
    app.authenticate(move |request: Parts| {
        let sessions = of_cookie.clone();
        async move { sessions.find(auth::cookie(&request, "session")?).await }
    });

    app.ws("/echo", |socket: Socket, user: Authenticated| {
        let user = user.admit(&socket);
        socket.send(format!("Welcome, {}!", user.email));
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });

    let signing_in = sessions.clone();
    app.post("/sign-in", async move |name: String| {
        // Here the password would be checked. Nobody guesses a session of 128 random bits.
        let session = format!("{:032x}", rand::random::<u128>());
        let user = User::new(&*name, format!("{name}@example.com"));
        signing_in.0.write().await.insert(session.clone(), user);
        let cookie = format!("session={session}; Path=/; HttpOnly; SameSite=Lax");
        (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)])
    });

    app.post(
        "/sign-out",
        async move |app: Handle, user: Authenticated| {
            let session = user.session.unwrap_or_default();
            sessions.0.write().await.remove(&session);
            // After 1008 clients do not come back by themselves.
            let code = CloseCode::POLICY_VIOLATION;
            app.disconnect_session(&session, code, "Signed out").await;
            StatusCode::NO_CONTENT
        },
    );
    app
}

#[tokio::main]
async fn main() -> nextrush::Result {
    app().listen(3000).await
}
