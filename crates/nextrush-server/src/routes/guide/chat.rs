//! The guide's "Live Chat Application": history, members, typing and private messages.

use axum::extract::Path;
use nextrush::{App, AuthRejection, Authenticated, ChatServer, RoomName, Since, Socket};

use crate::current::Current;

pub(super) fn add(app: &mut App, chat: ChatServer, current: Current) {
    app.ws(
        "/chat/:roomId",
        async move |socket: Socket,
                    Path(room): Path<RoomName>,
                    since: Option<Since>,
                    user: Result<Authenticated, AuthRejection>| {
            match user {
                Ok(user) => {
                    let user = super::admit(&socket, user, &current);
                    chat.connect(&socket, room, user).since(since).await;
                }
                Err(rejection) => rejection.reject(&socket),
            }
        },
    );
}
