//! Proxies in front of the server, and the clients that they speak for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use ipnet::IpNet;

use super::FORWARDED_PROTO;
use super::forwarded::{self, Told};
use crate::seldom::Seldom;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

static CONTRADICTION: Seldom = Seldom::new();

/// A proxy, or a network of them, whose word about the clients behind it is taken; for
/// [`Listen::trusted_proxies`](crate::Listen::trusted_proxies).
///
/// As a text: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1` (that address alone), or `unix` for whoever
/// connects over a Unix socket.
///
/// ```
/// use nextrush::server::TrustedProxy;
///
/// let proxy: TrustedProxy = "10.1.2.3/8".parse()?;
/// assert_eq!(proxy.to_string(), "10.0.0.0/8");
/// assert!("0.0.0.0/0".parse::<TrustedProxy>().is_err());
/// # Ok::<(), nextrush::server::InvalidProxy>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrustedProxy(Place);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Network(IpNet),
    Unix,
}

/// A text that names no [`TrustedProxy`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProxy {
    /// Nothing that could be a network.
    #[error("expected an address such as 192.0.2.1, a network such as 10.0.0.0/8, or unix")]
    Shape,
    /// A network that everybody is in.
    #[error("a network of all addresses would let every client say that it is another")]
    Everybody,
}

impl FromStr for TrustedProxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        if text == "unix" {
            return Ok(Self(Place::Unix));
        }
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| address());
        let network = network.map_err(|_| InvalidProxy::Shape)?.trunc();
        match network.prefix_len() {
            0 => Err(InvalidProxy::Everybody),
            _ => Ok(Self(Place::Network(network))),
        }
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Place::Unix => f.write_str("unix"),
            Place::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                network.addr().fmt(f)
            }
            Place::Network(network) => network.fmt(f),
        }
    }
}

/// The proxies that a server trusts. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Arc<[TrustedProxy]>);

impl FromIterator<TrustedProxy> for Proxies {
    fn from_iter<T: IntoIterator<Item = TrustedProxy>>(proxies: T) -> Self {
        Self(proxies.into_iter().collect())
    }
}

impl Proxies {
    /// Returns whether the other end of a connection is a trusted proxy; without an address it is at
    /// the other end of a Unix socket.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        // A dual-stack socket shows IPv4 as a part of IPv6.
        let peer = peer.map(|peer| peer.to_canonical());
        self.0.iter().any(|proxy| match (proxy.0, peer) {
            (Place::Unix, None) => true,
            (Place::Network(network), Some(peer)) => network.contains(&peer),
            _ => false,
        })
    }

    /// Writes into a request what a trusted proxy says of its client, and takes out what nobody
    /// trusted says. Returns the client's address, if a proxy says it.
    ///
    /// Whoever asks the request for its host, scheme or address then need not know of proxies.
    pub(crate) fn settle<B>(
        &self,
        request: &mut Request<B>,
        is_from_proxy: bool,
    ) -> Option<SocketAddr> {
        if self.0.is_empty() {
            return None;
        }
        let headers = request.headers_mut();
        let told = match is_from_proxy {
            true => self.told(headers),
            false => None,
        };
        let Some(Told {
            client,
            scheme,
            host,
        }) = told
        else {
            for name in [FORWARDED, FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST] {
                headers.remove(name);
            }
            return None;
        };
        match scheme {
            Some(scheme) => {
                headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
            }
            None => {
                headers.remove(FORWARDED_PROTO);
            }
        }
        if let Some(host) = host {
            headers.insert(HOST, host);
        }
        client
    }

    /// The words of the proxies about a request; `None` if its two kinds of headers contradict
    /// each other.
    ///
    /// A proxy writes one kind, and passes on the other as the client has sent it: which is which
    /// cannot be known.
    pub(crate) fn told(&self, headers: &HeaderMap) -> Option<Told> {
        let trusts = |proxy| self.trusts(Some(proxy));
        let by_forwarded = forwarded::by_forwarded(headers, trusts);
        let by_x = forwarded::by_x_forwarded(
            headers,
            [&FORWARDED_FOR, &FORWARDED_PROTO, &FORWARDED_HOST],
            trusts,
        );
        let Some(told) = by_forwarded else {
            return Some(by_x);
        };
        let is_one_client =
            !headers.contains_key(FORWARDED_FOR) || told.address() == by_x.address();
        let is_one_place = agree(&told.scheme, &by_x.scheme) && agree(&told.host, &by_x.host);
        if is_one_client && is_one_place {
            return Some(Told {
                client: told.client,
                scheme: told.scheme.or(by_x.scheme),
                host: told.host.or(by_x.host),
            });
        }
        if CONTRADICTION.is_due() {
            tracing::warn!(
                "Forwarded and X-Forwarded headers of a request name two clients, schemes or hosts, \
                 and neither is believed: let the proxy remove the header that it does not write"
            );
        }
        None
    }
}

/// Returns whether two kinds of headers do not say different things.
fn agree<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
    one.is_none() || other.is_none() || one == other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(texts: &[&str]) -> Proxies {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn request(fields: &[(&'static str, &str)]) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in fields {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(*name, value);
        }
        request
    }

    #[test]
    fn networks_addresses_and_unix_sockets_can_be_trusted() {
        let trusted = proxies(&["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "unix"]);
        for (peer, is_trusted) in [
            (Some("10.255.0.1"), true),
            (Some("::ffff:10.0.0.1"), true),
            (Some("11.0.0.1"), false),
            (Some("192.0.2.1"), true),
            (Some("192.0.2.2"), false),
            (Some("2001:db8:ffff::1"), true),
            (Some("2001:db9::1"), false),
            (None, true),
        ] {
            let address = peer.map(|peer| peer.parse().unwrap());
            assert_eq!(trusted.trusts(address), is_trusted, "{peer:?}");
        }
        assert!(!proxies(&["10.0.0.0/8"]).trusts(None));
        assert!(!Proxies::default().trusts(None));
    }

    #[test]
    fn a_proxy_displays_as_what_it_is_read_from() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.1/32", "192.0.2.1"),
            ("::1", "::1"),
            ("fd00::1/8", "fd00::/8"),
            ("unix", "unix"),
        ] {
            let proxy: TrustedProxy = text.parse().unwrap();
            assert_eq!(proxy.to_string(), shown);
        }
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0/8", "unix:", "*"] {
            let read = text.parse::<TrustedProxy>();
            assert_eq!(read, Err(InvalidProxy::Shape), "{text}");
        }
        for text in ["0.0.0.0/0", "::/0", "1.2.3.4/0"] {
            let read = text.parse::<TrustedProxy>();
            assert_eq!(read, Err(InvalidProxy::Everybody), "{text}");
        }
    }

    #[test]
    fn a_request_has_the_address_scheme_and_host_that_a_trusted_proxy_tells() {
        let mut request = request(&[
            ("host", "10.0.0.2:3000"),
            ("x-forwarded-for", "203.0.113.9, 192.0.2.7, 10.0.0.3"),
            ("x-forwarded-proto", "http, https, http"),
            ("x-forwarded-host", "example.com"),
        ]);
        let client = proxies(&["10.0.0.0/8"]).settle(&mut request, true);
        // The one before it was written by whoever that is.
        assert_eq!(client, Some("192.0.2.7:0".parse().unwrap()));
        assert_eq!(request.headers()["x-forwarded-proto"], "https");
        assert_eq!(request.headers()["host"], "example.com");
    }

    #[test]
    fn what_others_say_of_themselves_is_taken_out() {
        let fields = [
            ("host", "example.com"),
            ("forwarded", "for=192.0.2.7;proto=https;host=evil.example"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
        ];
        let mut foreign = request(&fields);
        let client = proxies(&["10.0.0.0/8"]).settle(&mut foreign, false);
        assert_eq!(client, None);
        assert_eq!(foreign.headers().len(), 1);
        assert_eq!(foreign.headers()["host"], "example.com");

        // Without proxies nothing is taken from or added to a request.
        let mut plain = request(&fields);
        assert_eq!(Proxies::default().settle(&mut plain, false), None);
        assert_eq!(plain.headers(), request(&fields).headers());
    }

    #[test]
    fn of_two_headers_that_contradict_each_other_neither_is_believed() {
        let trusted = proxies(&["10.0.0.0/8"]);
        let fields = |forwarded: &'static str| {
            request(&[
                ("host", "example.com"),
                ("forwarded", forwarded),
                ("x-forwarded-for", "192.0.2.7"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "example.com"),
            ])
        };
        let mut same = fields("for=\"192.0.2.7:4711\"");
        let client = trusted.settle(&mut same, true);
        assert_eq!(client, Some("192.0.2.7:4711".parse().unwrap()));
        assert_eq!(same.headers()["x-forwarded-proto"], "https");

        for forwarded in [
            "for=203.0.113.9",
            "for=unknown",
            "nonsense",
            "",
            // A client knows its own address, and may write the rest.
            "for=192.0.2.7;proto=http",
            "for=192.0.2.7;proto=https;host=evil.example",
        ] {
            let mut two = fields(forwarded);
            assert_eq!(trusted.settle(&mut two, true), None, "{forwarded}");
            assert!(!two.headers().contains_key("x-forwarded-proto"));
            assert_eq!(two.headers()["host"], "example.com");
        }
    }
}
