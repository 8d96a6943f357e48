//! The path below which a proxy has the application.

use std::fmt;
use std::str::FromStr;

use axum::extract::OriginalUri;
use axum::response::{IntoResponse, Redirect, Response};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};

/// A path below which an application is served, such as `/chat`; for
/// [`Listen::base_path`](crate::Listen::base_path).
///
/// As a text it begins with `/`, and has letters, digits, `-`, `.`, `_`, `~` and further `/`; one at the
/// end is dropped. `/` is the root.
///
/// ```
/// use nextrush::server::BasePath;
///
/// let base: BasePath = "/team/chat/".parse()?;
/// assert_eq!(base.to_string(), "/team/chat");
/// assert!("chat".parse::<BasePath>().is_err());
/// # Ok::<(), nextrush::server::InvalidBasePath>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BasePath(String);

/// A text is no [`BasePath`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a path such as /chat, of letters, digits and -._~ between single slashes")]
#[non_exhaustive]
pub struct InvalidBasePath;

impl FromStr for BasePath {
    type Err = InvalidBasePath;

    fn from_str(text: &str) -> Result<Self, InvalidBasePath> {
        let path = text.strip_suffix('/').unwrap_or(text);
        if path.is_empty() && !text.is_empty() {
            return Ok(Self::default());
        }
        let names = path.strip_prefix('/').ok_or(InvalidBasePath)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_name = |name: &str| !["", ".", ".."].contains(&name) && name.bytes().all(is_plain);
        match names.split('/').all(is_name) {
            true => Ok(Self(path.to_owned())),
            false => Err(InvalidBasePath),
        }
    }
}

/// The path without a slash at its end; empty for the root.
impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl BasePath {
    /// Takes the path off that of a request, if it is there. Returns the answer to a request for the
    /// path without the slash at its end, from where a page's relative addresses lead elsewhere.
    pub(crate) fn settle<B>(&self, request: &mut Request<B>) -> Option<Response> {
        if self.0.is_empty() {
            return None;
        }
        let below = request.uri().path().strip_prefix(&*self.0)?;
        if below.is_empty() {
            if ![Method::GET, Method::HEAD].contains(request.method()) {
                return None;
            }
            let query = request.uri().query();
            let query = query.map_or_else(String::new, |query| format!("?{query}"));
            return Some(Redirect::permanent(&format!("{}/{query}", self.0)).into_response());
        }
        if !below.starts_with('/') {
            return None;
        }
        let original = request.uri().clone();
        let mut parts = original.clone().into_parts();
        let rest = parts.path_and_query.as_ref().map(PathAndQuery::as_str);
        let rest = rest.and_then(|rest| rest.strip_prefix(&*self.0));
        parts.path_and_query = rest.and_then(|rest| rest.parse().ok());
        // What was a URI without the path is one.
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(OriginalUri(original));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_plain_names_between_single_slashes() {
        for (text, shown) in [
            ("/", ""),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a-1/b.c/~d_", "/a-1/b.c/~d_"),
        ] {
            assert_eq!(text.parse::<BasePath>().unwrap().to_string(), shown);
        }
        for text in [
            "", "a", "//", "/a//b", "/a//", "/../a", "/a/.", "/a b", "/ä", "/a?b", "/%61",
        ] {
            assert_eq!(text.parse::<BasePath>(), Err(InvalidBasePath), "{text}");
        }
    }

    #[test]
    fn a_request_loses_the_path_if_it_is_below_it() {
        let base: BasePath = "/chat".parse().unwrap();
        for (asked, expected) in [
            ("/chat/", "/"),
            ("/chat/a/b?c=/chat/d", "/a/b?c=/chat/d"),
            ("/chat/chat/", "/chat/"),
            ("http://example.com/chat/a?b", "http://example.com/a?b"),
            ("/chats/a", "/chats/a"),
            ("/a/chat/b", "/a/chat/b"),
            ("/chat//a", "//a"),
            ("/", "/"),
        ] {
            let mut request = Request::get(asked).body(()).unwrap();
            assert!(base.settle(&mut request).is_none(), "{asked}");
            assert_eq!(request.uri(), expected, "{asked}");
            let original = request.extensions().get::<OriginalUri>();
            let original = original.map_or(request.uri(), |OriginalUri(original)| original);
            assert_eq!(original, asked);
        }
        let mut request = Request::get("/chat/a").body(()).unwrap();
        assert!(BasePath::default().settle(&mut request).is_none());
        assert_eq!(request.uri(), "/chat/a");
    }

    #[test]
    fn a_request_for_the_path_itself_is_led_below_it() {
        let base: BasePath = "/chat".parse().unwrap();
        for (asked, location) in [("/chat", "/chat/"), ("/chat?a=b", "/chat/?a=b")] {
            let mut request = Request::get(asked).body(()).unwrap();
            let response = base.settle(&mut request).unwrap();
            assert_eq!(response.status(), 308);
            assert_eq!(response.headers()["location"], location);
        }
        let mut posted = Request::post("/chat").body(()).unwrap();
        assert!(base.settle(&mut posted).is_none());
    }
}
