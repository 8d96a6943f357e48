//! The guide's "Live Updates & Notifications": channels to subscribe to.

use nextrush::{App, AuthRejection, Authenticated, Jwt, LiveUpdates, Socket};

pub(super) fn add(app: &mut App, live: LiveUpdates, jwt: Jwt) {
    app.ws(
        "/live",
        move |socket: Socket, user: Result<Authenticated, AuthRejection>| match user {
            Ok(user) => {
                super::admit(&socket, user, &jwt);
                live.connect(&socket);
            }
            Err(rejection) => rejection.reject(&socket),
        },
    );
}
