//! The guide's "Live Updates & Notifications": channels to subscribe to.

use nextrush::{App, AuthRejection, Authenticated, LiveUpdates, Message, Socket};

use crate::channels::{Claims, Rules};
use crate::current::Current;

pub(super) fn add(app: &mut App, live: LiveUpdates, current: Current) {
    app.ws(
        "/live",
        move |socket: Socket, client: Result<Authenticated<Claims>, AuthRejection>| match client {
            Ok(client) => {
                admit(&socket, client, &current);
                live.connect(&socket);
            }
            Err(rejection) => rejection.reject(&socket),
        },
    );
}

/// Lets a client in as other endpoints do, with the claims that rules of channels ask for.
fn admit(socket: &Socket, client: Authenticated<Claims>, current: &Current) {
    super::bound_rate(socket);
    let now = current.clone();
    socket.filter(move |socket: &Socket, message: &Message| {
        let rules = now.rules.clone();
        let refresh = now
            .jwt()
            .refresh_if(move |socket: &Socket, claims: &Claims| {
                let is_same = socket.user().is_some_and(|user| user.id == claims.user.id);
                if is_same {
                    keep_claims(socket, claims, &rules);
                }
                is_same
            });
        refresh(socket, message)
    });
    keep_claims(socket, &client.claims, &current.rules);
    client.map(|claims| claims.user).admit(socket);
}

/// Keeps what a token says with the socket, which costs memory only where there are rules.
fn keep_claims(socket: &Socket, claims: &Claims, rules: &Rules) {
    if rules.are_there() {
        socket.set_data(claims.clone());
    }
}
