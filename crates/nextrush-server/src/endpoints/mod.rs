//! The WebSocket endpoints.

mod plain;
mod private;
mod robust;
mod room_id;

use axum::extract::Path;
use nextrush::{
    App, AuthRejection, Authenticated, ChatServer, LiveUpdates, RoomName, Since, Socket,
    TokenBucket, rate_limit,
};

pub(crate) fn add(app: &mut App, chat: &ChatServer, live: &LiveUpdates) {
    plain::add(app);
    private::add(app);
    robust::add(app);

    let chat = chat.clone();
    app.ws(
        "/chat/:roomId",
        async move |socket: Socket,
                    Path(room): Path<RoomName>,
                    since: Option<Since>,
                    user: Result<Authenticated, AuthRejection>| {
            match user {
                Ok(user) => {
                    bound_rate(&socket);
                    let user = user.admit(&socket);
                    chat.connect_since(&socket, room, user, since).await;
                }
                Err(rejection) => rejection.refuse(&socket),
            }
        },
    );

    let live = live.clone();
    app.ws(
        "/live",
        move |socket: Socket, user: Result<Authenticated, AuthRejection>| match user {
            Ok(user) => {
                bound_rate(&socket);
                let user = user.admit(&socket);
                live.connect_as(&socket, user);
            }
            Err(rejection) => rejection.refuse(&socket),
        },
    );
}

/// What a client says is passed on to many: 100 messages a second, and 200 at once,
/// are more than people and programs that mean well send.
fn bound_rate(socket: &Socket) {
    socket.filter(rate_limit(TokenBucket::default()));
}
