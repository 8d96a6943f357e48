//! The guide's "Live Chat Application": history, members, typing and private messages.

use axum::extract::Path;
use nextrush::{App, AuthRejection, Authenticated, ChatServer, Jwt, RoomName, Since, Socket};

pub(super) fn add(app: &mut App, chat: ChatServer, jwt: Jwt) {
    app.ws(
        "/chat/:roomId",
        async move |socket: Socket,
                    Path(room): Path<RoomName>,
                    since: Option<Since>,
                    user: Result<Authenticated, AuthRejection>| {
            match user {
                Ok(user) => {
                    let user = super::admit(&socket, user, &jwt);
                    chat.connect(&socket, room, user).since(since).await;
                }
                Err(rejection) => rejection.reject(&socket),
            }
        },
    );
}
