//! The guide's "Live Updates & Notifications": channels to subscribe to.

use nextrush::{App, AuthRejection, Authenticated, LiveUpdates, Message, Socket};

use crate::channels::Rules;
use crate::claims::Claims;
use crate::current::Current;
use crate::hooks::{self, Hooks};

pub(super) fn add(app: &mut App, live: LiveUpdates, current: Current, hooks: Hooks) {
    app.ws(
        "/live",
        move |socket: Socket, client: Result<Authenticated<Claims>, AuthRejection>| match client {
            Ok(client) => {
                let channels = client.claims.channels.clone();
                admit(&socket, client, &current, hooks.tell_claims());
                live.connect(&socket);
                hooks.answer_requests(&socket);
                hooks::join(&live, &socket, channels);
            }
            Err(rejection) => rejection.reject(&socket),
        },
    );
}

/// Lets a client in as other endpoints do, with the claims that rules of channels ask for, or that
/// backends are told.
fn admit(socket: &Socket, client: Authenticated<Claims>, current: &Current, is_told: bool) {
    super::bound_rate(socket, current);
    let now = current.clone();
    socket.filter(move |socket: &Socket, message: &Message| {
        let rules = now.rules.clone();
        let refresh = now
            .jwt()
            .refresh_if(move |socket: &Socket, claims: &Claims| {
                let is_same = socket.user().is_some_and(|user| user.id == claims.user.id);
                if is_same {
                    keep_claims(socket, claims, &rules, is_told);
                }
                is_same
            });
        refresh(socket, message)
    });
    keep_claims(socket, &client.claims, &current.rules, is_told);
    client.map(|claims| claims.user).admit(socket);
}

/// Keeps what a token says with the socket, which costs memory only where somebody asks for it.
fn keep_claims(socket: &Socket, claims: &Claims, rules: &Rules, is_told: bool) {
    if rules.are_there() || is_told {
        socket.set_data(claims.clone());
    }
}
