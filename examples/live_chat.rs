//! The guide's "Live Chat Application": history, members, typing and private
//! messages. The program `nextrush` has it in `routes/guide/chat.rs`.
//!
//! `JWT_SECRET=… cargo run -p nextrush --example live_chat`, then connect to
//! `ws://localhost:3000/chat/lobby?token=…`.

use axum::extract::Path;
use nextrush::{App, AuthRejection, Authenticated, BoxError, ChatServer, Jwt, RoomName, Socket};

/// The application, to be served or tested.
pub fn app(jwt: Jwt) -> App {
    let mut app = App::new();
    app.jwt(jwt);
    let chat = ChatServer::new(&app, "chat");

    app.ws(
        "/chat/:roomId",
        async move |socket: Socket,
                    Path(room): Path<RoomName>,
                    user: Result<Authenticated, AuthRejection>| {
            match user {
                Ok(user) => chat.connect(&socket, room, user.admit(&socket)).await,
                Err(rejection) => rejection.reject(&socket),
            }
        },
    );

    app
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let secret = std::env::var("JWT_SECRET")?;
    app(Jwt::hs256(secret)).listen(3000).await?;
    Ok(())
}
