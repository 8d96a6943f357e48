//! The addresses of servers and their endpoints.

use std::net::IpAddr;
use std::str::FromStr;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Uri};

use super::error::InvalidTarget;

const ROOM: &str = "{room}";
/// The replacement of [`ROOM`] while the URL is parsed: a URL may not contain braces.
const ROOM_ESCAPED: &str = "%7Broom%7D";

/// An endpoint: `ws://host[:port]/path`, or `wss://` with TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl Target {
    /// Host and port, as the Host header has them.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole address, of a target of HTTP.
    #[cfg(feature = "otlp")]
    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host and port to connect to. An IPv6 address is without its brackets.
    pub(super) fn address(&self) -> (&str, u16) {
        let host = self.host.strip_prefix('[');
        let host = host.and_then(|host| host.strip_suffix(']'));
        (host.unwrap_or(&self.host), self.port)
    }

    /// The same endpoint for one of several rooms.
    pub(crate) fn in_room(&self, room: u32) -> Self {
        let path = if self.path.contains(ROOM_ESCAPED) {
            self.path.replace(ROOM_ESCAPED, &room.to_string())
        } else {
            let (path, query) = self
                .path
                .split_at(self.path.find('?').unwrap_or(self.path.len()));
            format!("{path}-{room}{query}")
        };
        Self {
            path,
            ..self.clone()
        }
    }
}

impl Target {
    fn parse(
        text: &str,
        supported: [&'static str; 2],
        example: &'static str,
    ) -> Result<Self, InvalidTarget> {
        let invalid = InvalidTarget::Url { example };
        let uri: Uri = text.parse().map_err(|_| invalid.clone())?;
        let scheme = uri.scheme().map(Scheme::as_str).ok_or(invalid)?;
        let Some(place) = supported.iter().position(|known| *known == scheme) else {
            let found = scheme.to_owned();
            return Err(InvalidTarget::Scheme { found, supported });
        };
        let is_tls = place == 1;
        let host = uri.host().filter(|host| !host.is_empty());
        Ok(Self {
            is_tls,
            host: host.ok_or(InvalidTarget::Host)?.to_owned(),
            port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            path: uri
                .path_and_query()
                .map_or("/", PathAndQuery::as_str)
                .to_owned(),
        })
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let text = text.replace(ROOM, ROOM_ESCAPED);
        Self::parse(&text, ["ws", "wss"], "ws://localhost:3000/rooms/load")
    }
}

/// A server of this program: `http://host[:port][/path]`, or `https://` with TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerUrl(Target);

impl ServerUrl {
    /// A route of this server.
    pub(crate) fn at(&self, path: &str) -> Target {
        Target {
            path: format!("{}{path}", self.0.path),
            ..self.0.clone()
        }
    }

    /// The origin of its pages (RFC 6454 §6.2).
    pub(crate) fn origin(&self) -> String {
        let Target { host, port, .. } = &self.0;
        match (self.0.is_tls, port) {
            (true, 443) => format!("https://{host}"),
            (false, 80) => format!("http://{host}"),
            (true, port) => format!("https://{host}:{port}"),
            (false, port) => format!("http://{host}:{port}"),
        }
    }
}

impl FromStr for ServerUrl {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let mut target = Target::parse(text, ["http", "https"], "http://localhost:3000")?;
        if target.path.contains('?') {
            return Err(InvalidTarget::Query);
        }
        target
            .path
            .truncate(target.path.trim_end_matches('/').len());
        Ok(Self(target))
    }
}

/// The address of a set of keys: `https://host/path`, or `http://` on this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JwksUrl(Target);

impl JwksUrl {
    pub(crate) fn target(&self) -> &Target {
        &self.0
    }
}

impl FromStr for JwksUrl {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let example = "https://id.example.com/.well-known/jwks.json";
        let target = Target::parse(text, ["http", "https"], example)?;
        let (host, _) = target.address();
        let is_here = host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        // Who is on the way could put keys of their own in place of the issuer's.
        match target.is_tls || is_here {
            true => Ok(Self(target)),
            false => Err(InvalidTarget::Plain),
        }
    }
}

/// Parses a header of the form `Name: value`.
pub(crate) fn header(text: &str) -> Result<(HeaderName, HeaderValue), InvalidTarget> {
    let (name, value) = text.split_once(':').ok_or(InvalidTarget::Header)?;
    let name = name.trim().parse().map_err(|_| InvalidTarget::Header)?;
    let value = value.trim().parse().map_err(|_| InvalidTarget::Header)?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for url in [
            "https://id.example.com/.well-known/jwks.json",
            "http://localhost:8080/keys?x=1",
            "http://127.0.0.2/",
            "http://[::1]:1/keys",
        ] {
            assert!(url.parse::<JwksUrl>().is_ok(), "{url}");
        }
        for url in [
            "http://id.example.com/keys",
            "http://192.0.2.1/keys",
            "http://127.0.0.1.example.com/keys",
            "http://localhost@example.com/keys",
        ] {
            assert_eq!(url.parse::<JwksUrl>(), Err(InvalidTarget::Plain), "{url}");
        }
        for url in ["", "id.example.com", "ftp://x/", "file:///etc/passwd"] {
            assert!(url.parse::<JwksUrl>().is_err(), "{url}");
        }
    }

    #[test]
    fn a_url_has_a_host_and_may_have_a_port_and_a_path() {
        for (url, authority, path) in [
            (
                "ws://localhost:3000/rooms/load",
                "localhost:3000",
                "/rooms/load",
            ),
            ("ws://example.com", "example.com:80", "/"),
            ("wss://example.com", "example.com:443", "/"),
            ("ws://[::1]:1/a?b=c", "[::1]:1", "/a?b=c"),
        ] {
            let target: Target = url.parse().unwrap();
            assert_eq!(target.authority(), authority);
            assert_eq!(target.path(), path);
        }
        let target: Target = "ws://[::1]:1/".parse().unwrap();
        assert_eq!(target.address(), ("::1", 1));
    }

    #[test]
    fn other_urls_are_refused_with_the_reason() {
        let error = |url: &str| url.parse::<Target>().unwrap_err();
        for (url, message) in [
            (
                "http://a/",
                "http:// is not supported, only ws:// and wss:// are",
            ),
            (
                "localhost:3000",
                "this is no URL; one looks like ws://localhost:3000/rooms/load",
            ),
            (
                "/rooms",
                "this is no URL; one looks like ws://localhost:3000/rooms/load",
            ),
            ("ws://:80/", "the URL names no host"),
        ] {
            assert_eq!(error(url).to_string(), message, "{url}");
        }
        let error = |url: &str| url.parse::<ServerUrl>().unwrap_err();
        let scheme = error("ftp://a").to_string();
        assert_eq!(
            scheme,
            "ftp:// is not supported, only http:// and https:// are"
        );
        assert_eq!(error("http://a/?b"), InvalidTarget::Query);
        for (server, path) in [
            ("http://[::1]:3000", "/live"),
            ("http://[::1]:3000/a/b/", "/a/b/live"),
        ] {
            let server: ServerUrl = server.parse().unwrap();
            let expected = format!("ws://[::1]:3000{path}");
            assert_eq!(server.at("/live"), expected.parse().unwrap());
        }
    }

    #[test]
    fn a_room_goes_where_the_url_wants_it_or_at_the_end_of_its_path() {
        let path = |url: &str| url.parse::<Target>().unwrap().in_room(7).path;
        assert_eq!(path("ws://a/rooms/load"), "/rooms/load-7");
        assert_eq!(path("ws://a/rooms/load?x=1"), "/rooms/load-7?x=1");
        assert_eq!(path("ws://a/{room}/x?room={room}"), "/7/x?room=7");
    }

    #[test]
    fn a_header_has_a_name_and_a_value() {
        let (name, value) = header("Authorization: Bearer a:b").unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("authorization", &b"Bearer a:b"[..])
        );
        for text in ["", "no colon", "na me: value", "name: a\nb"] {
            assert_eq!(header(text), Err(InvalidTarget::Header), "{text:?}");
        }
    }
}
