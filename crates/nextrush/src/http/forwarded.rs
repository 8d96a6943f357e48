//! The headers in which proxies tell of the client that they pass on.
//!
//! `Forwarded` is RFC 7239; `X-Forwarded-For`, `-Proto` and `-Host` are what nearly all proxies write.
//! Each proxy adds what it sees at the right end, so these lists are read from there, past the
//! addresses of trusted proxies. What lies left of the first other address was written by nobody
//! who is trusted.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The words of trusted proxies about a request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Told {
    /// The client's address, with port 0 if the port is not told.
    pub(crate) client: Option<SocketAddr>,
    /// `http` or `https`.
    pub(crate) scheme: Option<&'static str>,
    pub(crate) host: Option<HeaderValue>,
}

impl Told {
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.client.map(|client| client.ip().to_canonical())
    }
}

/// The words of `Forwarded`; `None` if the request has no such header.
pub(crate) fn by_forwarded(headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> Option<Told> {
    if !headers.contains_key(FORWARDED) {
        return None;
    }
    // One word that cannot be read leaves the others without their place.
    let Some(hops) = hops(headers) else {
        return Some(Told::default());
    };
    let nodes = hops.iter().rev().map(|hop| hop.node.and_then(address));
    let (skipped, client) = client(nodes, trusts);
    let hop = hops.iter().rev().nth(skipped);
    Some(Told {
        client,
        scheme: hop.and_then(|hop| hop.proto).and_then(scheme),
        host: hop.and_then(|hop| hop.host).and_then(host),
    })
}

/// The words of the older headers, which are these for the client, the scheme and the host.
pub(crate) fn by_x_forwarded(
    headers: &HeaderMap,
    [of_client, of_scheme, of_host]: [&HeaderName; 3],
    trusts: impl Fn(IpAddr) -> bool,
) -> Told {
    let nodes = list(headers, of_client);
    let (skipped, client) = client(nodes.iter().rev().map(|node| address(node)), trusts);
    // A proxy that does not add to a list has written all of it.
    let told = |name| {
        let words = list(headers, name);
        words.iter().rev().nth(skipped).or(words.first()).copied()
    };
    Told {
        client,
        scheme: told(of_scheme).and_then(scheme),
        host: told(of_host).and_then(host),
    }
}

/// The first address from the right that is no trusted proxy, or the last that is known, and the
/// number of those that were passed over.
fn client(
    nodes: impl Iterator<Item = Option<SocketAddr>>,
    trusts: impl Fn(IpAddr) -> bool,
) -> (usize, Option<SocketAddr>) {
    let mut last = (0, None);
    for (skipped, node) in nodes.enumerate() {
        let Some(node) = node else {
            break;
        };
        last = (skipped, Some(node));
        if !trusts(node.ip()) {
            break;
        }
    }
    last
}

/// The words of a list that may be spread over several headers.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        // What is no text is a word that cannot be read, and not an absent one. It says nothing of the
        // words beside it: a client may have written it, and its proxy those.
        .map(|word| str::from_utf8(word).map_or("?", str::trim))
        .collect()
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(node: &str) -> Option<SocketAddr> {
    if let Ok(address) = node.parse::<SocketAddr>() {
        return Some(address);
    }
    let (bare, port) = match node.strip_prefix('[') {
        Some(rest) => {
            let (bare, rest) = rest.split_once(']')?;
            bare.parse::<std::net::Ipv6Addr>().ok()?;
            (bare, rest.strip_prefix(':'))
        }
        None => match node.split_once(':') {
            // More than one colon: an IPv6 address.
            Some((_, rest)) if rest.contains(':') => (node, None),
            Some((bare, port)) => (bare, Some(port)),
            None => (node, None),
        },
    };
    // RFC 7239 §6.3 has ports that are hidden, such as `_gazonk`.
    if port.is_some_and(|port| !port.starts_with('_')) {
        return None;
    }
    bare.parse::<IpAddr>().ok().map(|ip| (ip, 0).into())
}

fn scheme(word: &str) -> Option<&'static str> {
    match &*word.to_ascii_lowercase() {
        // Some name the WebSocket's own.
        "http" | "ws" => Some("http"),
        "https" | "wss" => Some("https"),
        _ => None,
    }
}

fn host(word: &str) -> Option<HeaderValue> {
    let authority: Authority = word.parse().ok()?;
    let is_host = !authority.host().is_empty() && !word.contains('@');
    is_host.then(|| HeaderValue::from_str(word).ok())?
}

/// An element of `Forwarded`, which one proxy has added.
#[derive(Debug, Default)]
struct Hop<'a> {
    node: Option<&'a str>,
    proto: Option<&'a str>,
    host: Option<&'a str>,
}

/// The elements of `Forwarded` (RFC 7239 §4); `None` if it is malformed.
fn hops(headers: &HeaderMap) -> Option<Vec<Hop<'_>>> {
    let mut hops = Vec::new();
    for value in headers.get_all(FORWARDED) {
        let mut rest = value.to_str().ok()?;
        let mut hop = Hop::default();
        loop {
            let (name, after) = rest.trim_start().split_once('=')?;
            let (word, after) = word(after)?;
            let mut ignored = None;
            let place = match name {
                name if name.eq_ignore_ascii_case("for") => &mut hop.node,
                name if name.eq_ignore_ascii_case("proto") => &mut hop.proto,
                name if name.eq_ignore_ascii_case("host") => &mut hop.host,
                // `by`, and what is not known yet.
                name if is_token(name) => &mut ignored,
                _ => return None,
            };
            // Each parameter comes once at most.
            if place.replace(word).is_some() {
                return None;
            }
            match after.trim_start().split_at_checked(1) {
                None => break,
                Some((";", after)) => rest = after,
                Some((",", after)) => {
                    hops.push(std::mem::take(&mut hop));
                    rest = after;
                }
                Some(_) => return None,
            }
        }
        hops.push(hop);
    }
    Some(hops)
}

/// A token or a quoted string at the beginning of a text, and what follows. None of the parameters
/// has a use for a backslash, so a string with one is malformed here.
fn word(text: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (word, after) = quoted.split_once('"')?;
        return (!word.contains('\\')).then_some((word, after));
    }
    let end = text.find([';', ',', ' ', '\t']).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    is_token(word).then_some((word, after))
}

/// Returns whether a text is a token (RFC 9110 §5.6.2). Colons and brackets are let through, which
/// some proxies do not quote.
fn is_token(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let name = HeaderName::from_static(name);
        let value = |value: &&str| HeaderValue::from_bytes(value.as_bytes()).unwrap();
        let values = values.iter().map(value);
        values.map(|value| (name.clone(), value)).collect()
    }

    fn is_proxy(address: IpAddr) -> bool {
        address.to_string().starts_with("10.")
    }

    fn by_x(values: &[&str]) -> Option<String> {
        let none = HeaderName::from_static("x-none");
        let name = HeaderName::from_static("x-forwarded-for");
        let headers = headers("x-forwarded-for", values);
        let told = by_x_forwarded(&headers, [&name, &none, &none], is_proxy);
        told.client.map(|client| client.to_string())
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        for (values, expected) in [
            (&["192.0.2.1"][..], Some("192.0.2.1:0")),
            (&["203.0.113.9, 192.0.2.1"], Some("192.0.2.1:0")),
            (&["192.0.2.1, 10.0.0.1"], Some("192.0.2.1:0")),
            (&["192.0.2.1", "10.0.0.1"], Some("192.0.2.1:0")),
            (&["x, 192.0.2.1 ,10.0.0.1,10.0.0.2"], Some("192.0.2.1:0")),
            // A client in the network of the proxies.
            (&["10.0.0.9, 10.0.0.1"], Some("10.0.0.9:0")),
            // Nobody is known beyond what cannot be read.
            (&["192.0.2.1, unknown, 10.0.0.1"], Some("10.0.0.1:0")),
            (&["192.0.2.1, , 10.0.0.1"], Some("10.0.0.1:0")),
            (&["192.0.2.1", "\u{e9}", "10.0.0.1"], Some("10.0.0.1:0")),
            (&["\u{e9}, 192.0.2.1, 10.0.0.1"], Some("192.0.2.1:0")),
            (&["unknown"], None),
            (&[""], None),
            (&[], None),
            (&["192.0.2.1:4711"], Some("192.0.2.1:4711")),
            (&["2001:db8::1"], Some("[2001:db8::1]:0")),
            (&["[2001:db8::1]"], Some("[2001:db8::1]:0")),
            (&["[2001:db8::1]:80"], Some("[2001:db8::1]:80")),
            (&["[192.0.2.1]"], None),
            (&["192.0.2.1:"], None),
            (&["192.0.2.1:99999"], None),
            (&["192.0.2.256"], None),
        ] {
            assert_eq!(by_x(values).as_deref(), expected, "{values:?}");
        }
    }

    #[test]
    fn the_scheme_and_the_host_are_those_of_the_hop_of_the_client() {
        for (clients, words, expected) in [
            ("192.0.2.1", "https", Some("https")),
            ("192.0.2.1", "http, https", Some("https")),
            ("192.0.2.1, 10.0.0.1", "https, http", Some("https")),
            (
                "9.9.9.9, 192.0.2.1, 10.0.0.1",
                "http, https, http",
                Some("https"),
            ),
            // Written by the proxy before the last, and passed on.
            ("192.0.2.1, 10.0.0.1", "https", Some("https")),
            ("192.0.2.1", "WSS", Some("https")),
            ("192.0.2.1", "gopher", None),
            ("192.0.2.1", "", None),
        ] {
            let mut fields = headers("x-forwarded-for", &[clients]);
            fields.extend(headers("x-forwarded-proto", &[words]));
            let names = ["x-forwarded-for", "x-forwarded-proto", "x-none"];
            let [a, b, c] = names.map(HeaderName::from_static);
            let told = by_x_forwarded(&fields, [&a, &b, &c], is_proxy);
            assert_eq!(told.scheme, expected, "{clients} {words}");
        }
    }

    #[test]
    fn a_forwarded_header_is_read_as_in_rfc_7239() {
        let long =
            "for=9.9.9.9, for=192.0.2.1;proto=https;host=example.com;by=10.0.0.1, for=10.0.0.1";
        for (values, client, scheme, host) in [
            (&["for=192.0.2.1"][..], Some("192.0.2.1:0"), None, None),
            (
                &["For=192.0.2.1;Proto=HTTPS"],
                Some("192.0.2.1:0"),
                Some("https"),
                None,
            ),
            (
                &[long],
                Some("192.0.2.1:0"),
                Some("https"),
                Some("example.com"),
            ),
            (
                &["for=192.0.2.1", "for=10.0.0.1"],
                Some("192.0.2.1:0"),
                None,
                None,
            ),
            (
                &["for=\"[2001:db8::1]:80\""],
                Some("[2001:db8::1]:80"),
                None,
                None,
            ),
            (
                &["for=\"192.0.2.1:_hidden\""],
                Some("192.0.2.1:0"),
                None,
                None,
            ),
            (&["for=[2001:db8::1]"], Some("[2001:db8::1]:0"), None, None),
            (&["proto=https"], None, Some("https"), None),
            (&["for=_hidden;proto=https"], None, Some("https"), None),
            (
                &["for=192.0.2.1;host=\"a@b\""],
                Some("192.0.2.1:0"),
                None,
                None,
            ),
            (
                &["for=192.0.2.1 ; secret=x , for=10.0.0.1"],
                Some("192.0.2.1:0"),
                None,
                None,
            ),
            // Malformed: nothing of it is believed.
            (&["for=192.0.2.1;for=192.0.2.2"], None, None, None),
            (&["for=192.0.2.1,"], None, None, None),
            (&["for=\"192.0.2.1"], None, None, None),
            (&["for=\"192\\.0.2.1\""], None, None, None),
            (&["for"], None, None, None),
            (&["for=192.0.2.1 for=192.0.2.2"], None, None, None),
            (&["x", "for=10.0.0.1"], None, None, None),
        ] {
            let told = by_forwarded(&headers("forwarded", values), is_proxy).unwrap();
            let address = told.client.map(|client| client.to_string());
            assert_eq!(address.as_deref(), client, "{values:?}");
            assert_eq!(told.scheme, scheme, "{values:?}");
            let told = told.host.as_ref().map(|host| host.to_str().unwrap());
            assert_eq!(told, host, "{values:?}");
        }
        assert_eq!(by_forwarded(&HeaderMap::new(), is_proxy), None);
    }

    proptest! {
        /// The promise that all of this is for: a client that writes into the header itself changes
        /// nothing, since its proxy adds what it sees behind that.
        #[test]
        fn what_a_client_writes_before_its_proxy_changes_nothing(
            written in "[ -~\u{e9}]{0,60}",
            proxies in 0..3_u8,
        ) {
            let mut list = "192.0.2.1".to_owned();
            for number in 0..proxies {
                list.push_str(&format!(", 10.0.0.{number}"));
            }
            let client = Some("192.0.2.1:0".to_owned());
            prop_assert_eq!(by_x(&[&written, &list]), client.clone());
            let forged = format!("{written}, {list}");
            prop_assert_eq!(by_x(&[&forged]), client.clone());

            let list = format!("for={}", list.replace(", ", ", for="));
            let told = by_forwarded(&headers("forwarded", &[&written, &list]), is_proxy).unwrap();
            let told = told.client.map(|client| client.to_string());
            // Where the client's own words are malformed nothing is believed.
            prop_assert!(told.is_none() || told == client);
        }
    }
}
