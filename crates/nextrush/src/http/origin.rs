//! The check of the web page that connects.
//!
//! A browser lets any page open a WebSocket to any server and sends the server's
//! cookies along; the `Origin` header tells the server which page it is (RFC 6455 §10.2).
//! Other clients write into that header what they like, so the check protects the users of
//! browsers and nobody else.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::http::FORWARDED_PROTO;
use crate::http::refusal;
use crate::message::ErrorCode;
use crate::seldom::Seldom;

/// The web pages that may open WebSockets.
///
/// A request without `Origin` comes from no browser and is let through by every
/// policy; only tokens keep such clients out.
///
/// ```
/// use nextrush::{App, OriginPolicy};
///
/// let mut app: App = App::new();
/// app.origins(OriginPolicy::list(["https://example.com".parse()?]));
/// # Ok::<(), nextrush::limits::InvalidOrigin>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OriginPolicy {
    /// Pages from the server's own host and port, as the `Host` header has them.
    ///
    /// The scheme counts as well, but the request does not say which one the client
    /// used: behind a proxy that ends TLS it is https, though this server sees plain
    /// HTTP. It is taken from `X-Forwarded-Proto` where a proxy sets that. Otherwise
    /// the port tells: 443 is https and any other http. Where `Host` has no port, as
    /// with the default port of either scheme, both are accepted; give a
    /// [`List`](Self::List) to rule out http there.
    ///
    /// `X-Forwarded-Proto` may be believed here whoever sent it: a web page cannot set
    /// it on a WebSocket, and other clients are not held back by this check anyway.
    #[default]
    SameOrigin,
    /// Pages from one of these origins and from no other; the server's own is not
    /// among them unless it is listed.
    List(Arc<[Origin]>),
    /// Every page. Right only where nothing depends on cookies, client certificates
    /// or the client's place in a network.
    Any,
}

impl OriginPolicy {
    /// The policy that lets pages of these origins through and no others.
    #[must_use]
    pub fn list(origins: impl IntoIterator<Item = Origin>) -> Self {
        Self::List(origins.into_iter().collect())
    }

    /// Checks the headers of a request.
    ///
    /// # Errors
    ///
    /// Fails when there is an `Origin` that the policy does not let through.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), OriginError> {
        match (self, single(headers, &header::ORIGIN)) {
            (Self::Any, _) | (_, Single::None) => Ok(()),
            (_, Single::Several) => Err(OriginError::Several),
            (_, Single::One(value)) => {
                let origin = parse(value).ok_or(OriginError::Malformed)?;
                if self.allows(&origin, headers) {
                    return Ok(());
                }
                Err(OriginError::Foreign(origin))
            }
        }
    }

    /// Checks a request, whose host is in its address with HTTP/2 (RFC 9113 §8.3.1).
    pub(crate) fn check_of(&self, request: &Parts) -> Result<(), OriginError> {
        let authority = request.uri.authority().map(Authority::as_str);
        let host = authority.and_then(|authority| HeaderValue::from_str(authority).ok());
        match host {
            Some(host) if !request.headers.contains_key(header::HOST) => {
                let mut headers = request.headers.clone();
                headers.insert(header::HOST, host);
                self.check(&headers)
            }
            _ => self.check(&request.headers),
        }
    }

    fn allows(&self, origin: &Origin, headers: &HeaderMap) -> bool {
        match self {
            Self::SameOrigin => is_own(origin, headers),
            Self::List(list) => list.contains(origin),
            Self::Any => true,
        }
    }
}

/// The refused origins of an application, of which the log has one a minute.
#[derive(Debug, Default)]
pub(crate) struct RefusedOrigins(Seldom);

impl RefusedOrigins {
    /// Tells what was compared.
    pub(crate) fn tell(&self, policy: &OriginPolicy, headers: &HeaderMap) {
        if !self.0.is_due() {
            return;
        }
        let origins: Vec<_> = headers.get_all(header::ORIGIN).iter().collect();
        match policy {
            OriginPolicy::List(list) => {
                let allowed: Vec<_> = list.iter().map(ToString::to_string).collect();
                tracing::warn!(
                    ?origins,
                    ?allowed,
                    "a page's origin was refused: it is not allowed"
                );
            }
            OriginPolicy::SameOrigin | OriginPolicy::Any => {
                let host = headers.get(header::HOST);
                let forwarded_proto = headers.get(FORWARDED_PROTO);
                tracing::warn!(
                    ?origins,
                    ?host,
                    ?forwarded_proto,
                    "a page's origin was refused: it is not the one of this host"
                );
            }
        }
    }
}

fn is_own(origin: &Origin, headers: &HeaderMap) -> bool {
    let Single::One(host) = single(headers, &header::HOST) else {
        return false;
    };
    let Some((host, port)) = host.to_str().ok().and_then(split_authority) else {
        return false;
    };
    let forwarded = headers.get(FORWARDED_PROTO).and_then(forwarded_scheme);
    let schemes: &[&str] = match (forwarded, port) {
        (Some("https"), _) | (None, Some(443)) => &["https"],
        (Some(_), _) | (None, Some(_)) => &["http"],
        (None, None) => &["http", "https"],
    };
    schemes.contains(&&*origin.scheme)
        && origin.host == host
        && origin.port == port.or(default_port(&origin.scheme))
}

/// The client's scheme: the first of several proxies that were passed. Some name
/// the WebSocket's own.
fn forwarded_scheme(value: &HeaderValue) -> Option<&'static str> {
    let first = value.to_str().ok()?.split(',').next()?.trim();
    match first.to_ascii_lowercase().as_str() {
        "http" | "ws" => Some("http"),
        "https" | "wss" => Some("https"),
        _ => None,
    }
}

/// The origin of a web page: scheme, host and port (RFC 6454).
///
/// Read from its text form, `https://example.com` or `http://localhost:8080`, without
/// a path, not even `/`. Case does not matter, and the default port of http and https
/// may be left out. Apps have schemes of their own, `app://chat`, `capacitor://localhost`; from a file
/// they send `file://`, and browsers `null`, as pages in a sandbox do: whoever allows `null`
/// allows every page that is put into a frame with a sandbox.
///
/// ```
/// use nextrush::limits::Origin;
///
/// let origin: Origin = "https://Example.com:443".parse()?;
/// assert_eq!(origin.to_string(), "https://example.com");
/// assert!("null".parse::<Origin>().is_ok() && "file://".parse::<Origin>().is_ok());
/// assert!("example.com".parse::<Origin>().is_err());
/// # Ok::<(), nextrush::limits::InvalidOrigin>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin {
    /// Empty for `null`, which has no other part.
    scheme: String,
    host: String,
    /// Always there for http and https.
    port: Option<u16>,
}

/// A text is no origin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected an origin such as https://example.com or app://name, without a path, or null")]
#[non_exhaustive]
pub struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text == "null" {
            let (scheme, host) = (String::new(), String::new());
            return Ok(Self {
                scheme,
                host,
                port: None,
            });
        }
        let (scheme, authority) = text.split_once("://").ok_or(InvalidOrigin)?;
        let mut letters = scheme.bytes();
        // RFC 3986 §3.1
        let is_scheme = letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|next| next.is_ascii_alphanumeric() || b"+-.".contains(&next));
        if !is_scheme {
            return Err(InvalidOrigin);
        }
        let scheme = scheme.to_ascii_lowercase();
        let needs_host = default_port(&scheme).is_some() || ["ws", "wss"].contains(&&*scheme);
        if authority.is_empty() && !needs_host {
            let (host, port) = (String::new(), None);
            return Ok(Self { scheme, host, port });
        }
        let (host, port) = split_authority(authority).ok_or(InvalidOrigin)?;
        Ok(Self {
            port: port.or(default_port(&scheme)),
            scheme,
            host,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scheme.is_empty() {
            return f.write_str("null");
        }
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port {
            Some(port) if default_port(&self.scheme) != Some(port) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

/// Host in lower case, and port, of a text that consists of nothing else: no user
/// before it, no path after it, no empty port.
fn split_authority(text: &str) -> Option<(String, Option<u16>)> {
    let authority: Authority = text.parse().ok()?;
    let (host, port) = (authority.host(), authority.port_u16());
    let rest = text.strip_prefix(host)?;
    let is_exact = match port {
        Some(port) => rest.strip_prefix(':')? == port.to_string(),
        None => rest.is_empty(),
    };
    (is_exact && !host.is_empty()).then(|| (host.to_ascii_lowercase(), port))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn parse(value: &HeaderValue) -> Option<Origin> {
    value.to_str().ok()?.parse().ok()
}

enum Single<'a> {
    None,
    One(&'a HeaderValue),
    Several,
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Single<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Single::None,
        (Some(value), None) => Single::One(value),
        (Some(_), Some(_)) => Single::Several,
    }
}

/// The reason why a request's origin was refused. As a response: 403 with
/// `{"type":"error","message":"Origin not allowed","code":"origin-refused"}`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// A page from an origin that the policy does not let through.
    #[error("the origin {0} is not allowed")]
    Foreign(Origin),
    /// No origin at all.
    #[error("the origin is malformed")]
    Malformed,
    /// More than one `Origin` header.
    #[error("there are several origins")]
    Several,
}

impl IntoResponse for OriginError {
    fn into_response(self) -> Response {
        refusal::new(
            StatusCode::FORBIDDEN,
            ErrorCode::OriginRefused,
            "Origin not allowed",
        )
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        headers
    }

    fn same(host: &str, origin: &str) -> Result<(), OriginError> {
        OriginPolicy::SameOrigin.check(&headers(&[("host", host), ("origin", origin)]))
    }

    fn list(origins: &[&str]) -> OriginPolicy {
        OriginPolicy::list(origins.iter().map(|origin| origin.parse().unwrap()))
    }

    #[test]
    fn the_default_is_same_origin() {
        assert_eq!(OriginPolicy::default(), OriginPolicy::SameOrigin);
    }

    #[test]
    fn a_client_without_origin_is_no_browser_and_let_through() {
        let none = headers(&[("host", "example.com")]);
        for policy in [OriginPolicy::SameOrigin, list(&[]), OriginPolicy::Any] {
            assert_eq!(policy.check(&none), Ok(()));
        }
    }

    #[test]
    fn pages_of_the_same_host_and_port_are_let_through() {
        for (host, origin) in [
            ("localhost:3000", "http://localhost:3000"),
            ("127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("[::1]:3000", "http://[::1]:3000"),
            ("example.com", "http://example.com"),
            ("example.com", "http://example.com:80"),
            ("example.com:80", "http://example.com"),
            ("Example.COM", "http://example.com"),
            ("example.com", "HTTP://EXAMPLE.com"),
            // Behind a proxy that ends TLS.
            ("example.com", "https://example.com"),
            ("example.com:443", "https://example.com"),
            ("example.com", "https://example.com:443"),
            ("xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(same(host, origin), Ok(()), "{host} {origin}");
        }
    }

    #[test]
    fn foreign_pages_are_refused() {
        for (host, origin) in [
            ("example.com", "https://evil.example"),
            // Suffix, prefix, subdomain, parent.
            ("example.com", "https://example.com.evil.example"),
            ("example.com", "https://evilexample.com"),
            ("example.com", "https://example.comevil"),
            ("example.com", "https://www.example.com"),
            ("www.example.com", "https://example.com"),
            ("example.com", "https://example.com."),
            ("example.com", "https://example_com"),
            ("127.0.0.1:3000", "http://localhost:3000"),
            ("127.0.0.1:3000", "http://127.0.0.1.evil.example:3000"),
            // Port.
            ("localhost:3000", "http://localhost"),
            ("localhost:3000", "http://localhost:3001"),
            ("localhost:3000", "http://localhost:30000"),
            ("localhost", "http://localhost:3000"),
            ("example.com", "https://example.com:80"),
            ("example.com", "http://example.com:443"),
            // Scheme.
            ("localhost:3000", "https://localhost:3000"),
            ("example.com:80", "https://example.com"),
            ("example.com:443", "http://example.com"),
            ("example.com", "ftp://example.com"),
            ("example.com", "ws://example.com"),
            ("example.com", "wss://example.com"),
            ("example.com", "file://example.com"),
            ("example.com", "chrome-extension://example.com"),
        ] {
            let refused = same(host, origin);
            assert!(
                matches!(refused, Err(OriginError::Foreign(_))),
                "{host} {origin}: {refused:?}"
            );
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for origin in [
            "NULL",
            "http://",
            "",
            " ",
            "*",
            "example.com",
            "//example.com",
            "://example.com",
            "https:example.com",
            "https:/example.com",
            "https://",
            "https://:443",
            "https://example.com/",
            "https://example.com/chat",
            "https://example.com?x",
            "https://example.com#x",
            "https://example.com\\@evil.example",
            "https://example.com:",
            "https://example.com:0443",
            "https://example.com:+443",
            "https://example.com:99999",
            "https://example.com:443:443",
            "https://example.com@evil.example",
            "https://evil.example@example.com",
            "https://user:password@example.com",
            "https://@example.com",
            "https://example.com https://example.com",
            "https://example.com,https://example.com",
            "https://example.com, https://evil.example",
            "1https://example.com",
            "ht tp://example.com",
            "https://exa mple.com",
            "https://exämple.com",
            "https://[::1",
            "https://::1",
        ] {
            assert_eq!(
                same("example.com", origin),
                Err(OriginError::Malformed),
                "{origin}"
            );
            let listed = list(&["https://example.com"]);
            let refused = listed.check(&headers(&[("origin", origin)]));
            assert_eq!(refused, Err(OriginError::Malformed), "{origin}");
        }
    }

    #[test]
    fn several_origins_are_refused_even_if_each_is_fine() {
        let own = ("origin", "http://example.com");
        let two = headers(&[("host", "example.com"), own, own]);
        let policies = [OriginPolicy::SameOrigin, list(&["http://example.com"])];
        for policy in policies {
            assert_eq!(policy.check(&two), Err(OriginError::Several));
        }
    }

    #[test]
    fn a_page_is_not_of_the_same_origin_as_an_unclear_host() {
        let origin = ("origin", "http://example.com");
        for fields in [
            &[origin][..],
            &[origin, ("host", "example.com"), ("host", "example.com")],
            &[origin, ("host", "")],
            &[origin, ("host", "user@example.com")],
            &[origin, ("host", "example.com:")],
            &[origin, ("host", "example.com:99999")],
            &[origin, ("host", "example.com/")],
            &[origin, ("host", "http://example.com")],
        ] {
            let refused = OriginPolicy::SameOrigin.check(&headers(fields));
            assert!(
                matches!(refused, Err(OriginError::Foreign(_))),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn a_proxy_decides_which_scheme_the_client_used() {
        for (host, forwarded, origin, allowed) in [
            ("example.com", "https", "https://example.com", true),
            ("example.com", "https", "http://example.com", false),
            ("example.com", "http", "http://example.com", true),
            ("example.com", "http", "https://example.com", false),
            ("example.com", "wss", "https://example.com", true),
            ("example.com", "WSS", "http://example.com", false),
            ("example.com", "https, http", "https://example.com", true),
            ("example.com", "https, http", "http://example.com", false),
            (
                "example.com:8443",
                "https",
                "https://example.com:8443",
                true,
            ),
            (
                "example.com:8443",
                "https",
                "http://example.com:8443",
                false,
            ),
            ("example.com:8443", "https", "https://example.com", false),
            ("example.com", "https", "https://evil.example", false),
            ("example.com", "nonsense", "https://example.com", true),
            (
                "example.com:8443",
                "nonsense",
                "https://example.com:8443",
                false,
            ),
            ("example.com", "", "http://example.com", true),
        ] {
            let fields = [
                ("host", host),
                ("x-forwarded-proto", forwarded),
                ("origin", origin),
            ];
            let checked = OriginPolicy::SameOrigin.check(&headers(&fields));
            assert_eq!(checked.is_ok(), allowed, "{host} {forwarded} {origin}");
        }
    }

    #[test]
    fn a_list_lets_its_own_origins_through_and_no_others() {
        let policy = list(&["https://example.com", "http://localhost:8080", "app://chat"]);
        for (origin, allowed) in [
            ("https://example.com", true),
            ("https://example.com:443", true),
            ("HTTPS://EXAMPLE.COM", true),
            ("http://localhost:8080", true),
            ("app://chat", true),
            ("http://example.com", false),
            ("http://example.com:443", false),
            ("https://example.com:8443", false),
            ("https://www.example.com", false),
            ("http://localhost", false),
            ("http://localhost:80800", false),
            ("app://other", false),
            ("app://chat:1", false),
            ("https://server.example", false),
        ] {
            let fields = [("host", "server.example"), ("origin", origin)];
            let checked = policy.check(&headers(&fields));
            assert_eq!(checked.is_ok(), allowed, "{origin}");
        }
    }

    #[test]
    fn null_files_and_apps_are_let_through_by_name_alone() {
        let names = [
            "null",
            "file://",
            "app://",
            "app://.",
            "capacitor://localhost",
        ];
        for name in names {
            let field = [("host", "example.com"), ("origin", name)];
            for other in names {
                let checked = list(&[other]).check(&headers(&field));
                assert_eq!(checked.is_ok(), name == other, "{name} {other}");
            }
            for policy in [OriginPolicy::SameOrigin, list(&["https://example.com"])] {
                let refused = policy.check(&headers(&field)).unwrap_err();
                assert_eq!(refused, OriginError::Foreign(name.parse().unwrap()));
            }
        }
        // What could be taken for it is another.
        let nulls = [("host", "null"), ("origin", "null")];
        assert!(OriginPolicy::SameOrigin.check(&headers(&nulls)).is_err());
        let empty = [("host", ""), ("origin", "file://")];
        assert!(OriginPolicy::SameOrigin.check(&headers(&empty)).is_err());
    }

    #[test]
    fn any_lets_everything_through() {
        for origin in ["https://evil.example", "null", "nonsense"] {
            let fields = [("host", "example.com"), ("origin", origin)];
            assert_eq!(OriginPolicy::Any.check(&headers(&fields)), Ok(()));
        }
    }

    #[test]
    fn an_origin_displays_in_its_normal_form() {
        for (text, expected) in [
            ("HTTPS://Example.com:443", "https://example.com"),
            ("http://example.com:80", "http://example.com"),
            ("http://example.com:443", "http://example.com:443"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("app://chat", "app://chat"),
            ("App://", "app://"),
            ("file://", "file://"),
            ("null", "null"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), expected);
        }
    }

    #[tokio::test]
    async fn a_refused_origin_is_answered_with_403() {
        let refused = same("example.com", "https://evil.example").unwrap_err();
        let response = refused.into_response();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let body = to_bytes(response.into_body(), 1024).await.unwrap();
        let expected = r#"{"type":"error","message":"Origin not allowed","code":"origin-refused"}"#;
        assert_eq!(body, expected);
    }
}
