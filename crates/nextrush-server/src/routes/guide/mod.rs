//! The WebSocket endpoints.

mod plain;
mod private;
mod robust;
mod room_id;

use axum::extract::Path;
use nextrush::{
    App, AuthRejection, Authenticated, ChatServer, Jwt, LiveUpdates, RoomName, Since, Socket,
    TokenBucket, User, rate_limit,
};

pub(crate) fn add(app: &mut App, chat: &ChatServer, live: &LiveUpdates, jwt: &Jwt) {
    plain::add(app);
    private::add(app, jwt.clone());
    robust::add(app);

    let jwt_of_live = jwt.clone();
    let jwt = jwt.clone();
    let chat = chat.clone();
    app.ws(
        "/chat/:roomId",
        async move |socket: Socket,
                    Path(room): Path<RoomName>,
                    since: Option<Since>,
                    user: Result<Authenticated, AuthRejection>| {
            match user {
                Ok(user) => {
                    let user = admit(&socket, user, &jwt);
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
                let user = admit(&socket, user, &jwt_of_live);
                live.connect_as(&socket, user);
            }
            Err(rejection) => rejection.refuse(&socket),
        },
    );
}

/// Lets a client in: within its rate, and until its token or a newer one expires.
fn admit(socket: &Socket, user: Authenticated, jwt: &Jwt) -> User {
    bound_rate(socket);
    socket.filter(jwt.refresh());
    user.admit(socket)
}

/// What a client says is passed on to many: 100 messages a second, and 200 at once,
/// are more than people and programs that mean well send.
fn bound_rate(socket: &Socket) {
    socket.filter(rate_limit(TokenBucket::default()));
}
