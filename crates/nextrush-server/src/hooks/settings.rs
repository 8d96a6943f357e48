//! The settings of hooks.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderName, Uri};
use nextrush_admin::Secret;

/// The settings of all hooks; one at least has an address.
#[derive(Clone, Debug)]
pub(crate) struct HookSettings {
    pub(crate) connect: Option<HookUrl>,
    pub(crate) subscribe: Option<HookUrl>,
    pub(crate) publish: Option<HookUrl>,
    pub(crate) request: Option<HookUrl>,
    pub(crate) secret: Secret,
    pub(crate) timeout: Duration,
    /// The most calls of a hook at once.
    pub(crate) calls: NonZeroUsize,
    pub(crate) headers: Vec<HeaderName>,
    pub(crate) passes_tokens: bool,
}

/// The address of a backend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HookUrl(Uri);

/// A text that is no address of a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidHookUrl {
    #[error(
        "a backend's address looks like http://127.0.0.1:8000/nextrush, or begins with https://"
    )]
    Url,
    #[error("a backend's address has no user and password: calls are signed")]
    User,
}

impl HookUrl {
    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }

    pub(super) fn is_tls(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }
}

impl FromStr for HookUrl {
    type Err = InvalidHookUrl;

    fn from_str(text: &str) -> Result<Self, InvalidHookUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidHookUrl::Url)?;
        let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        let authority = uri.authority().filter(|_| is_http);
        let authority = authority.ok_or(InvalidHookUrl::Url)?;
        if authority.as_str().contains('@') {
            return Err(InvalidHookUrl::User);
        }
        match authority.host() {
            "" => Err(InvalidHookUrl::Url),
            _ => Ok(Self(uri)),
        }
    }
}

/// The address without its query, which may hold a key.
impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self
            .0
            .authority()
            .map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority}{}", self.0.path())
    }
}

/// The time in which a backend has to answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct HookTimeout(pub(crate) Duration);

/// A text that is no time for an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a time for an answer is 100ms to 30s, such as \"500ms\" or \"2s\"")]
pub(crate) struct InvalidHookTimeout;

impl FromStr for HookTimeout {
    type Err = InvalidHookTimeout;

    fn from_str(text: &str) -> Result<Self, InvalidHookTimeout> {
        let (number, unit) = match text.strip_suffix("ms") {
            Some(number) => (number, 1),
            None => (text.strip_suffix('s').ok_or(InvalidHookTimeout)?, 1000),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidHookTimeout);
        }
        let number: u64 = number.parse().map_err(|_| InvalidHookTimeout)?;
        match number.checked_mul(unit) {
            Some(ms @ 100..=30_000) => Ok(Self(Duration::from_millis(ms))),
            _ => Err(InvalidHookTimeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_or_https_with_a_host_and_without_a_user() {
        for (text, shown) in [
            ("http://127.0.0.1:8000/hooks", "http://127.0.0.1:8000/hooks"),
            ("https://backend", "https://backend/"),
            ("http://[::1]:8000/a?key=b", "http://[::1]:8000/a"),
        ] {
            assert_eq!(text.parse::<HookUrl>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "backend:8000",
            "/hooks",
            "ftp://backend",
            "http://",
            "http://:80/",
        ] {
            assert_eq!(text.parse::<HookUrl>(), Err(InvalidHookUrl::Url), "{text}");
        }
        let error = "http://ada:secret@backend/".parse::<HookUrl>();
        assert_eq!(error, Err(InvalidHookUrl::User));
    }

    #[test]
    fn a_time_has_a_unit_and_is_neither_nothing_nor_endless() {
        for (text, ms) in [("100ms", 100), ("2s", 2000), ("30s", 30_000)] {
            let timeout = HookTimeout(Duration::from_millis(ms));
            assert_eq!(text.parse(), Ok(timeout), "{text}");
        }
        for text in ["", "2", "s", "ms", "99ms", "31s", "+2s", "1.5s", "1m"] {
            assert_eq!(
                text.parse::<HookTimeout>(),
                Err(InvalidHookTimeout),
                "{text}"
            );
        }
    }
}
