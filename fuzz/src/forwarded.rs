use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

// It is no part of the framework's public face.
#[path = "../../crates/nextrush/src/http/forwarded.rs"]
mod read;

use read::{Told, by_forwarded, by_x_forwarded};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The client that the proxy sees.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

/// Any headers with which a client comes to a proxy that adds to them.
///
/// Promises: whatever the client has written, it is the one that the proxy saw, or nobody is
/// known where its own words left the list malformed; a scheme is `http` or `https`, and a host
/// has neither a user nor a path; a second proxy that is trusted changes nothing.
///
/// An input is lines of a name, a colon and a value, in bytes. Names are those of the headers that
/// proxies write; other lines are left out.
pub fn forwarded(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        if let (Some(name), Some(value)) = (parts.next(), parts.next())
            && let Some(name) = name_of(name)
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            headers.append(name, value);
        }
    }
    // As they come, from a client that is no proxy.
    for told in [x(&headers)].into_iter().chain(forwarded_of(&headers)) {
        check(&told);
    }

    for proxies in 0..3 {
        let told = x(&added(&headers, &FOR, "", proxies));
        assert_eq!(told.client.map(|client| client.ip()), Some(CLIENT));
        check(&told);
        let told = forwarded_of(&added(&headers, &FORWARDED, "for=", proxies));
        let told = told.expect("the proxy has written the header");
        assert!(told.client.is_none_or(|client| client.ip() == CLIENT));
        assert!(told.client.is_some() || told == Told::default());
        check(&told);
    }
    // A list that the proxy has written alone is no business of the client.
    let mut own = headers.clone();
    own.remove(&FOR);
    own.remove(FORWARDED);
    let own = added(&own, &FORWARDED, "for=", 1);
    let told = forwarded_of(&own).expect("the proxy has written the header");
    assert_eq!(told.client.map(|client| client.ip()), Some(CLIENT));
}

fn name_of(name: &[u8]) -> Option<HeaderName> {
    [FORWARDED, FOR, PROTO, HOST]
        .into_iter()
        .find(|known| known.as_str().as_bytes() == name)
}

/// The headers with what proxies add, in a line of its own or behind the last one.
fn added(headers: &HeaderMap, name: &HeaderName, before: &str, proxies: usize) -> HeaderMap {
    let mut list = format!("{before}{CLIENT}");
    for number in 0..proxies {
        list.push_str(&format!(", {before}10.0.0.{number}"));
    }
    let mut headers = headers.clone();
    let last = headers.get_all(name).iter().next_back().cloned();
    let joined = last
        .filter(|_| proxies % 2 == 1)
        .map(|last| [last.as_bytes(), b", ", list.as_bytes()].concat());
    match joined.and_then(|joined| HeaderValue::from_bytes(&joined).ok()) {
        Some(joined) => {
            let mut all: Vec<_> = headers.get_all(name).iter().cloned().collect();
            all.pop();
            headers.remove(name);
            for value in all.into_iter().chain([joined]) {
                headers.append(name, value);
            }
        }
        None => {
            let list = HeaderValue::from_str(&list).expect("addresses are plain");
            headers.append(name, list);
        }
    }
    headers
}

fn x(headers: &HeaderMap) -> Told {
    by_x_forwarded(headers, [&FOR, &PROTO, &HOST], is_proxy)
}

fn forwarded_of(headers: &HeaderMap) -> Option<Told> {
    by_forwarded(headers, is_proxy)
}

fn is_proxy(address: IpAddr) -> bool {
    matches!(address.to_canonical(), IpAddr::V4(address) if address.octets()[0] == 10)
}

fn check(told: &Told) {
    assert!(matches!(told.scheme, None | Some("http" | "https")));
    if let Some(host) = &told.host {
        let host = host.to_str().expect("a host is a text");
        assert!(!host.is_empty() && !host.contains(['/', '@', '?', '#', ' ', '\\']));
    }
    let ip = told.client.as_ref().map(SocketAddr::ip);
    assert_eq!(told.address(), ip.map(|ip| ip.to_canonical()));
}
