//! The host that a request is for.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Version};

/// Writes `:authority` into `Host`, whose place it takes in HTTP/2 (RFC 9113 §8.3.1), so that
/// whoever asks for the host need not know the version. `false` if there is no single host where
/// there has to be one (RFC 9112 §3.2).
pub(crate) fn settle<B>(request: &mut Request<B>) -> bool {
    let version = request.version();
    if version >= Version::HTTP_2 {
        let authority = request.uri().authority().map(Authority::as_str);
        if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
            request.headers_mut().insert(HOST, host);
        }
    }
    match request.headers().get_all(HOST).iter().count() {
        0 => version != Version::HTTP_11,
        count => count == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_host_by_header_or_authority() {
        for (version, uri, hosts, expected) in [
            (Version::HTTP_11, "/", &["a"][..], Some(Some("a"))),
            (Version::HTTP_11, "/", &["a", "a"], None),
            (Version::HTTP_11, "/", &[], None),
            (Version::HTTP_10, "/", &[], Some(None)),
            (Version::HTTP_10, "/", &["a", "b"], None),
            (Version::HTTP_2, "https://a/", &[], Some(Some("a"))),
            (Version::HTTP_2, "https://a/", &["b", "c"], Some(Some("a"))),
            (Version::HTTP_2, "/", &["a"], Some(Some("a"))),
            (Version::HTTP_2, "/", &["a", "b"], None),
        ] {
            let mut request = Request::builder().version(version).uri(uri);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            let mut request = request.body(()).unwrap();
            let settled = settle(&mut request).then(|| {
                let host = request.headers().get(HOST)?;
                host.to_str().ok().map(str::to_owned)
            });
            let expected = expected.map(|host: Option<&str>| host.map(str::to_owned));
            assert_eq!(settled, expected, "{version:?} {uri} {hosts:?}");
        }
    }
}
