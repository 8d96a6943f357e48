//! Tickets: the short-lived tokens of the operators' view.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::http::request::Parts;
use nextrush::auth::SignError;
use nextrush::message::Timestamp;
use nextrush::{AuthRejection, Authenticated, Jwt, Message, Socket};
use serde::{Deserialize, Serialize};

use crate::secret::random_secret;

/// The lifetime of a ticket.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The tickets of this process. Its own random key signs them, so that no user's token is a
/// ticket, and no ticket outlives the process.
#[derive(Clone)]
pub(super) struct Tickets(Jwt);

/// The claims of a ticket: none beside its expiry.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Ticket {}

impl Tickets {
    pub(super) fn new() -> Self {
        Self(Jwt::hs256(random_secret()))
    }

    /// Mints a ticket; returns its expiry too.
    pub(super) fn mint(&self) -> Result<(String, Timestamp), SignError> {
        let expires_ms = (Timestamp::now().unix_ms() / 1000 + LIFETIME.as_secs()) * 1000;
        let ticket = self.0.sign_for(&Ticket {}, LIFETIME)?;
        Ok((ticket, Timestamp::from_unix_ms(expires_ms)))
    }

    /// Checks the ticket of a request.
    pub(super) fn check(&self, request: &Parts) -> Result<Authenticated<Ticket>, AuthRejection> {
        self.0
            .authenticate(request)?
            .ok_or(AuthRejection::MissingToken)
    }

    /// The filter that takes a new ticket for an open socket.
    pub(super) fn refresh(&self) -> impl Fn(&Socket, &Message) -> ControlFlow<()> + use<> {
        self.0.refresh_if(|_: &Socket, _: &Ticket| true)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::*;

    fn check(tickets: &Tickets, token: &str) -> Result<Authenticated<Ticket>, AuthRejection> {
        let request = Request::builder().header("authorization", format!("Bearer {token}"));
        tickets.check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_ticket_is_valid_for_ten_minutes_in_its_own_process() {
        let tickets = Tickets::new();
        let before = Timestamp::now().unix_ms();
        let (token, expires_at) = tickets.mint().unwrap();
        let lasts = expires_at.unix_ms() - before;
        assert!((599_000..=601_000).contains(&lasts), "{lasts} ms");
        let ticket = check(&tickets, &token).unwrap();
        let expires = ticket.expires.unwrap();
        assert!(expires.abs_diff(expires_at.unix_ms() / 1000) <= 1);
        let refused = check(&Tickets::new(), &token).unwrap_err();
        assert!(matches!(refused, AuthRejection::InvalidToken(_)));
    }

    #[test]
    fn an_expired_ticket_is_refused() {
        let tickets = Tickets::new();
        let expired = json!({ "exp": Timestamp::now().unix_ms() / 1000 - 60 });
        let expired = tickets.0.sign(&expired).unwrap();
        let refused = check(&tickets, &expired).unwrap_err();
        assert!(matches!(refused, AuthRejection::InvalidToken(_)));
        let none = Request::builder().body(()).unwrap().into_parts().0;
        let refused = tickets.check(&none).unwrap_err();
        assert!(matches!(refused, AuthRejection::MissingToken));
    }
}
