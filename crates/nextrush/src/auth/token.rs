//! The token in a request: in its query, its subprotocols, its headers or its cookies.

use std::borrow::Cow;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, header};

use super::authenticator::cookies;
use super::error::AuthError;
use super::first_message::FirstToken;
use super::rejection::AuthRejection;
use crate::http::origin::OriginPolicy;
use crate::http::{hidden, subprotocol};

/// The cookie in which tokens come, for a layer `Extension(cookie)` around a route.
/// [`App::token_cookie`](crate::App::token_cookie) sets one for all routes, and says when it counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenCookie(Arc<str>);

impl TokenCookie {
    /// The cookie of this name.
    ///
    /// # Panics
    ///
    /// Panics on a text that no cookie can be named (RFC 6265 §4.1.1): an empty one, or one with other
    /// characters than letters, digits and `!#$%&'*+-.^_`|~`.
    #[must_use]
    #[track_caller]
    pub fn new(name: &str) -> Self {
        assert!(Self::is_name(name), "a cookie cannot be named {name:?}");
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Returns whether a cookie can have this name.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !name.is_empty() && name.bytes().all(is_allowed)
    }
}

/// The token of the [first message](super::TokenMessage), else of `?token=` or, where that is absent
/// or empty, of the subprotocol `nextrush.bearer.<token>`, else of `Authorization: Bearer`, which
/// browsers cannot set on a WebSocket, or else of the [`TokenCookie`].
pub(super) fn find(parts: &Parts) -> Result<Option<Cow<'_, str>>, AuthError> {
    if let Some(FirstToken(token)) = parts.extensions.get() {
        return Ok(Some(Cow::Borrowed(token)));
    }
    if let Some(token) = in_query(parts, "token")? {
        return Ok(Some(token));
    }
    let token = match only(subprotocol::tokens(&parts.headers))? {
        Some(token) => Some(token),
        None => in_headers(&parts.headers)?,
    };
    let token = match token {
        Some(token) => Some(token),
        None => in_cookie(parts)?,
    };
    Ok(token.map(Cow::Borrowed))
}

/// The ticket of `?ticket=`, which is not beside a token.
pub(super) fn find_ticket(parts: &Parts) -> Result<Option<Cow<'_, str>>, AuthError> {
    let ticket = in_query(parts, "ticket")?;
    if ticket.is_some() && in_query(parts, "token")?.is_some() {
        return Err(AuthError::Several);
    }
    Ok(ticket)
}

/// The token or API key of a request, for a way of your own to
/// [authenticate](crate::auth::Authenticate): that of the [first message](super::TokenMessage) of a
/// socket, else of `?token=` or, where that is absent or empty, of
/// the subprotocol `nextrush.bearer.<token>`, else of `Authorization: Bearer`, or else of the
/// [cookie](crate::App::token_cookie) for tokens.
///
/// # Errors
///
/// Refuses several in one place, and credentials that are not ASCII.
pub fn token(request: &Parts) -> Result<Option<Cow<'_, str>>, AuthRejection> {
    Ok(find(request)?)
}

pub(super) fn in_query<'a>(
    parts: &'a Parts,
    wanted: &str,
) -> Result<Option<Cow<'a, str>>, AuthError> {
    let pairs = form_urlencoded::parse(hidden::query_of(parts).as_bytes());
    only(pairs.filter_map(|(name, value)| (name == wanted && !value.is_empty()).then_some(value)))
}

/// The token in the cookie for tokens. A browser sends cookies along with the requests of any page, so
/// none counts that came with a page which may not open sockets here. Where every page may, those of
/// the server's own origin have cookies that count.
fn in_cookie(parts: &Parts) -> Result<Option<&str>, AuthError> {
    let Some(TokenCookie(name)) = parts.extensions.get() else {
        return Ok(None);
    };
    let Some(token) = only(cookies(parts, name).filter(|token| !token.is_empty()))? else {
        return Ok(None);
    };
    let policy = match parts.extensions.get() {
        None | Some(OriginPolicy::Any) => &OriginPolicy::SameOrigin,
        Some(policy) => policy,
    };
    if let Err(error) = policy.check_of(parts) {
        tracing::debug!(%error, "a token in a cookie does not count");
        return Ok(None);
    }
    Ok(Some(token))
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
    fn a_cookie_is_looked_at_last_and_only_where_it_has_a_name() {
        for (uri, name, cookies, expected) in [
            ("/", None, "jwt=a", None),
            ("/", Some("jwt"), "jwt=a", Some("a")),
            ("/", Some("jwt"), "theme=b; jwt=\"a\"", Some("a")),
            ("/", Some("jwt"), "jwt=; xjwt=a; JWT=b", None),
            ("/?token=b", Some("jwt"), "jwt=a", Some("b")),
        ] {
            let mut request = Request::get(uri).header("cookie", cookies);
            if let Some(name) = name {
                request = request.extension(TokenCookie::new(name));
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(
                find(&parts).unwrap().as_deref(),
                expected,
                "{uri} {cookies}"
            );
        }
        let request = Request::get("/").extension(TokenCookie::new("jwt"));
        let request = request.header("cookie", "jwt=a; jwt=b").body(()).unwrap();
        assert!(matches!(
            find(&request.into_parts().0),
            Err(AuthError::Several)
        ));
    }

    #[test]
    fn a_cookie_counts_for_pages_that_may_open_sockets() {
        let own = "https://example.com";
        let listed = || OriginPolicy::list(["https://app.example".parse().unwrap()]);
        for (policy, origin, counts) in [
            (None, None, true),
            (None, Some(own), true),
            (None, Some("https://evil.example"), false),
            (None, Some("null"), false),
            (Some(OriginPolicy::Any), Some(own), true),
            (Some(OriginPolicy::Any), Some("https://evil.example"), false),
            (Some(listed()), Some("https://app.example"), true),
            (Some(listed()), Some(own), false),
        ] {
            // With HTTP/2 the host is in the address.
            for (uri, host) in [("/", Some("example.com")), ("https://example.com/", None)] {
                let mut request = Request::get(uri)
                    .header("cookie", "jwt=a")
                    .extension(TokenCookie::new("jwt"));
                for (name, value) in [("host", host), ("origin", origin)] {
                    if let Some(value) = value {
                        request = request.header(name, value);
                    }
                }
                if let Some(policy) = &policy {
                    request = request.extension(policy.clone());
                }
                let (parts, ()) = request.body(()).unwrap().into_parts();
                let found = find(&parts).unwrap();
                assert_eq!(found.is_some(), counts, "{policy:?} {origin:?} {uri}");
            }
        }
    }

    #[test]
    fn a_ticket_is_not_beside_a_token_in_the_address() {
        for (uri, expected) in [
            ("/", Ok(None)),
            ("/?ticket=", Ok(None)),
            ("/?ticket=a", Ok(Some("a"))),
            ("/?ticket=a&token=", Ok(Some("a"))),
            ("/?ticket=a&token=b", Err(())),
            ("/?ticket=a&ticket=b", Err(())),
        ] {
            let (parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
            let ticket = find_ticket(&parts);
            let ticket = ticket.as_ref().map(Option::as_deref).map_err(drop);
            assert_eq!(ticket, expected, "{uri}");
        }
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
