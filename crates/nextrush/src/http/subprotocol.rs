//! Subprotocols (RFC 6455 §1.9): the choice of one, and the token that comes among them.
//!
//! Browsers cannot set headers on a WebSocket but for its subprotocols, and a token in an address
//! ends up in logs. So a client may offer `nextrush.bearer.<token>` beside the subprotocol that it
//! speaks. A token is never chosen: the answer would repeat it.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::header::{AUTHORIZATION, COOKIE, Entry, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::http::refusal;
use crate::message::ErrorCode;

/// The subprotocol of chats and live updates.
pub(crate) const OWN: &str = "nextrush.v1";
/// The beginning of an offer that is a token.
const BEARER: &str = "nextrush.bearer.";
/// The longest offer that is chosen unknown: a connection keeps it.
const LONGEST: usize = 64;

/// The subprotocol that a handshake agrees on, of those that the client offers. `spoken` are those
/// of the endpoint.
pub(crate) fn choose<'a>(offered: &'a [String], spoken: Option<&[Arc<str>]>) -> Option<&'a str> {
    let find = |name: &str| offered.iter().find(|offer| *offer == name);
    let chosen = match spoken {
        Some(spoken) => spoken.iter().find_map(|name| find(name)),
        None => find(OWN).or_else(|| offered.iter().find(|offer| is_plain(offer))),
    };
    chosen.map(String::as_str)
}

/// Returns whether an offer is the name of a protocol. Other conventions for tokens have this word
/// in them, too.
fn is_plain(offer: &str) -> bool {
    offer.len() <= LONGEST && !offer.to_ascii_lowercase().contains("bearer.")
}

/// The token of an offer.
fn token_of(offer: &str) -> Option<&str> {
    let (start, token) = offer.split_at_checked(BEARER.len())?;
    (start.eq_ignore_ascii_case(BEARER) && !token.is_empty()).then_some(token)
}

/// The tokens that the request offers among its subprotocols.
pub(crate) fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .filter_map(token_of)
}

/// Returns whether a client offers a token and no subprotocol. It is refused: none could be chosen,
/// and a browser fails a connection whose answer chooses none.
pub(crate) fn is_token_alone(offered: &[String]) -> bool {
    !offered.is_empty() && offered.iter().all(|offer| token_of(offer).is_some())
}

/// The refusal of a [token alone](is_token_alone).
pub(crate) fn refuse_token_alone() -> Response {
    refusal::new(
        StatusCode::BAD_REQUEST,
        ErrorCode::InvalidHandshake,
        "Offer a subprotocol beside the token, such as nextrush.v1",
    )
}

/// Says in a refusal that the endpoint speaks the clients' own subprotocol, so that a client which
/// asks with a plain request learns where its token may stand.
pub(crate) fn name_own(response: &mut Response, spoken: Option<&[Arc<str>]>) {
    if spoken.is_none_or(|spoken| spoken.iter().any(|name| &**name == OWN)) {
        let own = HeaderValue::from_static(OWN);
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, own);
    }
}

/// Marks the headers that carry secrets, so that a layer that logs headers does not show them.
pub(crate) fn hide_secrets(mut request: Request) -> Request {
    let headers = request.headers_mut();
    let mut hide = |name: HeaderName, is_secret: fn(&HeaderValue) -> bool| {
        if let Entry::Occupied(mut values) = headers.entry(name) {
            for value in values.iter_mut().filter(|value| is_secret(value)) {
                value.set_sensitive(true);
            }
        }
    };
    hide(AUTHORIZATION, |_| true);
    hide(COOKIE, |_| true);
    hide(SEC_WEBSOCKET_PROTOCOL, |offers| {
        let mut words = offers.as_bytes().windows(7);
        words.any(|word| word.eq_ignore_ascii_case(b"bearer."))
    });
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of a list with commas.
    fn names(list: &str) -> Vec<String> {
        let names = list.split(", ").filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }

    #[test]
    fn a_handshake_agrees_on_what_the_endpoint_likes_best_and_never_on_a_token() {
        let (long, fits) = ("x".repeat(65), "x".repeat(64));
        let long_and_a = format!("{long}, a");
        for (offered, spoken, expected) in [
            ("", None, None),
            ("nextrush.v1", None, Some("nextrush.v1")),
            ("a, b", None, Some("a")),
            ("a, nextrush.v1", None, Some("nextrush.v1")),
            ("nextrush.bearer.t, nextrush.v1", None, Some("nextrush.v1")),
            ("nextrush.bearer.t", None, None),
            ("NextRush.Bearer.t, a", None, Some("a")),
            ("base64url.bearer.phx.t, a", None, Some("a")),
            (&long_and_a, None, Some("a")),
            (&fits, None, Some(&*fits)),
            ("a, b", Some("b, a"), Some("b")),
            ("a, b", Some("c, a"), Some("a")),
            ("a, nextrush.v1", Some("b"), None),
            ("A", Some("a"), None),
            ("a", Some(""), None),
            (&long, Some(&*long), Some(&*long)),
        ] {
            let spoken = spoken.map(names);
            let spoken = spoken.map(|names| names.into_iter().map(Arc::from).collect::<Vec<_>>());
            let chosen = names(offered);
            let chosen = choose(&chosen, spoken.as_deref());
            assert_eq!(chosen, expected, "{offered} {spoken:?}");
        }
    }

    #[test]
    fn a_token_needs_a_subprotocol_beside_it() {
        for (offered, is_alone) in [
            ("", false),
            ("nextrush.bearer.t", true),
            ("nextrush.bearer.t, nextrush.bearer.u", true),
            ("nextrush.bearer.t, nextrush.v1", false),
        ] {
            assert_eq!(is_token_alone(&names(offered)), is_alone, "{offered}");
        }
    }
}
