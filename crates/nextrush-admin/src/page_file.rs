//! Files of a page that are embedded in the program.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::EmbeddedFile;

/// The headers of each file: the page loads nothing from elsewhere, and nobody embeds it.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        // The address may hold a token.
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// The answer to a request for a file, with its hash as the `ETag`: 404 if there is none, or if its path leads
/// out of the folder or into another one.
///
/// For the page of the server program, which is more than the inspector.
#[must_use]
pub fn page_file(path: &str, file: Option<EmbeddedFile>, request: &HeaderMap) -> Response {
    // The folders are flat. A debug build reads from the disk, and there rust-embed follows any link that a
    // path leads to, such as `../../../etc/os-release`.
    let Some(file) = file.filter(|_| !path.contains(['/', '\\'])) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let hash = file.metadata.sha256_hash();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{hash}\"");
    let seen = request.get(header::IF_NONE_MATCH);
    let mut response = if seen.is_some_and(|seen| seen.as_bytes() == etag.as_bytes()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = mime_guess::from_path(path).first_or_octet_stream();
        (
            [(header::CONTENT_TYPE, kind.as_ref())],
            Body::from(file.data),
        )
            .into_response()
    };
    response.headers_mut().extend(HEADERS);
    let policy = content_security_policy(request);
    let name = header::CONTENT_SECURITY_POLICY;
    response.headers_mut().insert(name, policy);
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// The policy of the page: it connects to its own origin, whose sockets are named, since not every
/// browser takes them for a part of `'self'`.
fn content_security_policy(request: &HeaderMap) -> HeaderValue {
    let host = request
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    // Nothing that could begin a further source or directive.
    let host = host.filter(|host| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(is_plain)
    });
    let scheme = request.get("x-forwarded-proto");
    let sockets = match (host, scheme.map(HeaderValue::as_bytes)) {
        (None, _) => String::new(),
        (Some(host), Some(b"https")) => format!(" wss://{host}"),
        (Some(host), Some(b"http")) => format!(" ws://{host}"),
        // A proxy that ends TLS may not say so.
        (Some(host), _) => format!(" ws://{host} wss://{host}"),
    };
    let policy = format!(
        "default-src 'self'; connect-src 'self'{sockets}; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("a policy of visible characters is a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_connects_to_its_own_origin_alone() {
        for (host, scheme, connects_to) in [
            (
                Some("example.com"),
                Some("https"),
                "'self' wss://example.com",
            ),
            (Some("example.com"), Some("http"), "'self' ws://example.com"),
            (
                Some("[::1]:3000"),
                None,
                "'self' ws://[::1]:3000 wss://[::1]:3000",
            ),
            (Some("a; script-src *"), None, "'self'"),
            (Some("a b"), None, "'self'"),
            (Some("*"), None, "'self'"),
            (Some(""), None, "'self'"),
            (None, Some("https"), "'self'"),
        ] {
            let mut request = HeaderMap::new();
            for (name, value) in [("host", host), ("x-forwarded-proto", scheme)] {
                if let Some(value) = value {
                    request.insert(name, value.parse().unwrap());
                }
            }
            let expected = format!(
                "default-src 'self'; connect-src {connects_to}; base-uri 'none'; \
                 form-action 'self'; frame-ancestors 'none'"
            );
            assert_eq!(content_security_policy(&request), expected);
        }
    }
}
