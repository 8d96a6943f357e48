//! Tickets: the short-lived tokens of the operators' view.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::http::request::Parts;
use hkdf::Hkdf;
use nextrush::auth::SignError;
use nextrush::message::Timestamp;
use nextrush::{AuthRejection, Authenticated, Jwt, Message, Socket};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::Access;
use crate::secret::Secret;

/// The bytes of a key that signs tickets.
const KEY_BYTES: usize = 32;
/// The lifetime of a ticket.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The purpose of the key that is derived from the admin key.
const PURPOSE: &[u8] = b"nextrush inspector tickets 1";
/// The purpose of the key that is derived from the secret of users' tokens. It is another one, so
/// that no ticket of development mode opens a server that has this secret for its admin key.
const DEVELOPMENT_PURPOSE: &[u8] = b"nextrush inspector tickets of development mode 1";

/// The tickets of a server, signed with a key of their own, so that no user's token is a ticket.
///
/// It is derived from the admin key, or without one from the secret of users' tokens: a ticket
/// holds on all servers that have the same. With neither it is random, and no ticket outlives the
/// process.
#[derive(Clone)]
pub(super) struct Tickets(Jwt);

/// The claims of a ticket: none beside its expiry.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Ticket {}

impl Tickets {
    pub(super) fn new(access: &Access) -> Self {
        Self(Jwt::hs256(match access {
            Access::Open(None) => rand::random(),
            Access::Open(Some(secret)) => derived(secret, DEVELOPMENT_PURPOSE),
            Access::Key(key) => derived(&key.secret(), PURPOSE),
        }))
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

/// The key that HKDF (RFC 5869) derives from another one for a purpose.
fn derived(key: &Secret, purpose: &[u8]) -> [u8; KEY_BYTES] {
    let mut derived = [0; KEY_BYTES];
    Hkdf::<Sha256>::new(None, key.expose().as_bytes())
        .expand(purpose, &mut derived)
        .expect("a key is shorter than 255 hashes");
    derived
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::super::InspectorKey;
    use super::*;

    const KEY_OF_OPERATORS: &str = "a key of 32 bytes, or even more of them";

    fn check(tickets: &Tickets, token: &str) -> Result<Authenticated<Ticket>, AuthRejection> {
        let request = Request::builder().header("authorization", format!("Bearer {token}"));
        tickets.check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_ticket_holds_where_the_admin_key_is_the_same() {
        let key = |key: &str| Access::Key(InspectorKey::new(key.into()));
        let minted = Tickets::new(&key(KEY_OF_OPERATORS)).mint().unwrap().0;
        assert!(check(&Tickets::new(&key(KEY_OF_OPERATORS)), &minted).is_ok());
        let open = Access::Open(Some(KEY_OF_OPERATORS.to_owned().into()));
        for other in [
            key("another key, of 32 bytes or more of them"),
            Access::Open(None),
            open,
        ] {
            let refused = check(&Tickets::new(&other), &minted).unwrap_err();
            assert!(matches!(refused, AuthRejection::InvalidToken(_)));
        }
        // The key itself signs nothing.
        let token = Jwt::hs256(KEY_OF_OPERATORS)
            .sign_for(&Ticket {}, LIFETIME)
            .unwrap();
        assert!(check(&Tickets::new(&key(KEY_OF_OPERATORS)), &token).is_err());
    }

    #[test]
    fn a_ticket_of_development_mode_holds_where_the_secret_of_tokens_is_the_same() {
        let open = |secret: &str| Tickets::new(&Access::Open(Some(secret.to_owned().into())));
        let minted = open("a secret of 32 bytes, or even more of them")
            .mint()
            .unwrap()
            .0;
        assert!(check(&open("a secret of 32 bytes, or even more of them"), &minted).is_ok());
        assert!(check(&open("another secret, of 32 bytes or more"), &minted).is_err());
        let with_key = Tickets::new(&Access::Key(InspectorKey::new(
            "a secret of 32 bytes, or even more of them".into(),
        )));
        assert!(check(&with_key, &minted).is_err());
        // No user's token is a ticket.
        let token =
            Jwt::hs256("a secret of 32 bytes, or even more of them").sign_for(&Ticket {}, LIFETIME);
        assert!(
            check(
                &open("a secret of 32 bytes, or even more of them"),
                &token.unwrap()
            )
            .is_err()
        );
    }

    #[test]
    fn a_ticket_is_valid_for_ten_minutes_and_without_a_key_in_its_own_process() {
        let tickets = Tickets::new(&Access::Open(None));
        let before = Timestamp::now().unix_ms();
        let (token, expires_at) = tickets.mint().unwrap();
        let lasts = expires_at.unix_ms() - before;
        assert!((599_000..=601_000).contains(&lasts), "{lasts} ms");
        let ticket = check(&tickets, &token).unwrap();
        let expires = ticket.expires.unwrap();
        assert!(expires.abs_diff(expires_at.unix_ms() / 1000) <= 1);
        let refused = check(&Tickets::new(&Access::Open(None)), &token).unwrap_err();
        assert!(matches!(refused, AuthRejection::InvalidToken(_)));
    }

    #[test]
    fn an_expired_ticket_is_refused() {
        let tickets = Tickets::new(&Access::Open(None));
        let expired = json!({ "exp": Timestamp::now().unix_ms() / 1000 - 60 });
        let expired = tickets.0.sign(&expired).unwrap();
        let refused = check(&tickets, &expired).unwrap_err();
        assert!(matches!(refused, AuthRejection::InvalidToken(_)));
        let none = Request::builder().body(()).unwrap().into_parts().0;
        let refused = tickets.check(&none).unwrap_err();
        assert!(matches!(refused, AuthRejection::MissingToken));
    }
}
