//! The token in a request: in its query, its subprotocols or its headers.

use std::borrow::Cow;

use http::request::Parts;
use http::{HeaderMap, header};

use super::error::AuthError;
use super::rejection::AuthRejection;
use crate::http::subprotocol;

/// The token of `?token=` or, where that is absent or empty, of the subprotocol
/// `nextrush.bearer.<token>` or else of `Authorization: Bearer`, which browsers cannot set on a
/// WebSocket.
pub(super) fn find(parts: &Parts) -> Result<Option<Cow<'_, str>>, AuthError> {
    if let Some(token) = in_query(parts.uri.query().unwrap_or_default())? {
        return Ok(Some(token));
    }
    let token = match only(subprotocol::tokens(&parts.headers))? {
        Some(token) => Some(token),
        None => in_headers(&parts.headers)?,
    };
    Ok(token.map(Cow::Borrowed))
}

/// The token or API key of a request, for a way of your own to
/// [authenticate](crate::auth::Authenticate): that of `?token=` or, where that is absent or empty, of
/// the subprotocol `nextrush.bearer.<token>` or else of `Authorization: Bearer`.
///
/// # Errors
///
/// Refuses several in one place, and credentials that are not ASCII.
pub fn token(request: &Parts) -> Result<Option<Cow<'_, str>>, AuthRejection> {
    Ok(find(request)?)
}

fn in_query(query: &str) -> Result<Option<Cow<'_, str>>, AuthError> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    only(pairs.filter_map(|(name, value)| (name == "token" && !value.is_empty()).then_some(value)))
}

/// RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1). Other
/// schemes are not ours.
fn in_headers(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let Some(credentials) = only(headers.get_all(header::AUTHORIZATION).iter())? else {
        return Ok(None);
    };
    let credentials = credentials.to_str().map_err(|_| AuthError::Malformed)?;
    let (scheme, token) = credentials.split_once(' ').unwrap_or((credentials, ""));
    let token = token.trim_matches(' ');
    let is_token = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    Ok(is_token.then_some(token))
}

/// The only token. Two are refused: a proxy may have checked the one and we the other.
fn only<T>(mut tokens: impl Iterator<Item = T>) -> Result<Option<T>, AuthError> {
    let first = tokens.next();
    match tokens.next() {
        Some(_) => Err(AuthError::Several),
        None => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn found(uri: &str, authorization: &[&[u8]]) -> Result<Option<String>, AuthError> {
        let mut request = Request::builder().uri(uri);
        for value in authorization {
            request = request.header("authorization", *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        find(&parts).map(|token| token.map(Cow::into_owned))
    }

    #[test]
    fn the_token_is_found_in_the_query_then_in_the_header() {
        for (uri, authorization, expected) in [
            ("/", None, None),
            ("/?token=a.b.c", None, Some("a.b.c")),
            ("/?x=1&token=a.b.c&y=2", None, Some("a.b.c")),
            ("/?token=a%2Eb%2ec", None, Some("a.b.c")),
            ("/?%74oken=a", None, Some("a")),
            ("/?token=a", Some("Bearer b"), Some("a")),
            ("/?token=", Some("Bearer b"), Some("b")),
            ("/?token", Some("Bearer b"), Some("b")),
            ("/?TOKEN=a", None, None),
            ("/?mytoken=a", None, None),
            ("/", Some("Bearer a.b.c"), Some("a.b.c")),
            ("/", Some("bearer a"), Some("a")),
            ("/", Some("BEARER  a "), Some("a")),
            ("/", Some("Bearer"), None),
            ("/", Some("Bearer "), None),
            ("/", Some("Bearera"), None),
            ("/", Some("Basic YTpi"), None),
            ("/", Some(""), None),
            ("/", Some("a.b.c"), None),
        ] {
            let header: Vec<_> = authorization.map(str::as_bytes).into_iter().collect();
            let token = found(uri, &header).unwrap();
            assert_eq!(token.as_deref(), expected, "{uri} {authorization:?}");
        }
    }

    #[test]
    fn a_token_is_found_among_the_subprotocols() {
        for (uri, offers, expected) in [
            ("/", "nextrush.v1, nextrush.bearer.a.b.c", Some("a.b.c")),
            ("/", "nextrush.bearer.a,x", Some("a")),
            ("/", "NEXTRUSH.BEARER.a", Some("a")),
            ("/?token=b", "nextrush.v1, nextrush.bearer.a", Some("b")),
            ("/?token=", "nextrush.v1, nextrush.bearer.a", Some("a")),
            ("/", "nextrush.v1, nextrush.bearer.", Some("c")),
            ("/", "bearer.a, a", Some("c")),
        ] {
            let (parts, ()) = Request::get(uri)
                .header("sec-websocket-protocol", offers)
                .header("authorization", "Bearer c")
                .body(())
                .unwrap()
                .into_parts();
            assert_eq!(find(&parts).unwrap().as_deref(), expected, "{uri} {offers}");
        }
        let (parts, ()) = Request::get("/")
            .header("sec-websocket-protocol", "x, nextrush.bearer.a")
            .header("sec-websocket-protocol", "nextrush.bearer.b")
            .body(())
            .unwrap()
            .into_parts();
        assert!(matches!(find(&parts), Err(AuthError::Several)));
    }

    #[test]
    fn several_tokens_in_one_place_are_refused() {
        let query = found("/?token=a&token=a", &[]);
        assert!(matches!(query, Err(AuthError::Several)), "{query:?}");
        let headers = found("/", &[b"Bearer a", b"Bearer b"]);
        assert!(matches!(headers, Err(AuthError::Several)), "{headers:?}");
    }

    #[test]
    fn credentials_that_are_not_ascii_are_refused() {
        let token = found("/", &[b"Bearer a\xff"]);
        assert!(matches!(token, Err(AuthError::Malformed)), "{token:?}");
    }

    #[test]
    fn a_query_that_is_not_utf_8_yields_no_valid_token_and_no_panic() {
        let token = found("/?token=a%ff%0", &[]).unwrap();
        assert_eq!(token.as_deref(), Some("a\u{fffd}%0"));
    }
}
