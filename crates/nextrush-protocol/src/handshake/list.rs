//! Comma-separated header values (RFC 9110 §5.6.1), read in one pass over the bytes.

use http::header::AsHeaderName;
use http::{HeaderMap, HeaderValue};

/// The elements of all values of `name`, in order, trimmed and without empty ones.
pub(super) fn elements(
    headers: &HeaderMap,
    name: impl AsHeaderName,
) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Returns `true` if the list `name` has `token`, in any case.
pub(super) fn contains(headers: &HeaderMap, name: impl AsHeaderName, token: &str) -> bool {
    elements(headers, name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// Returns `true` if the list `name` has `token`, in any case, and nothing else.
pub(super) fn is_only(headers: &HeaderMap, name: impl AsHeaderName, token: &str) -> bool {
    let mut elements = elements(headers, name).peekable();
    elements.peek().is_some()
        && elements.all(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The number of times that a header is there.
pub(super) enum Occurrence<'h> {
    Missing,
    Once(&'h HeaderValue),
    Repeated,
}

pub(super) fn single(headers: &HeaderMap, name: impl AsHeaderName) -> Occurrence<'_> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Occurrence::Missing,
        (Some(value), None) => Occurrence::Once(value),
        (Some(_), Some(_)) => Occurrence::Repeated,
    }
}

/// The bytes as text; `None` if they are not a token (RFC 9110 §5.6.2).
pub(super) fn token(bytes: &[u8]) -> Option<&str> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if bytes.is_empty() || !bytes.iter().all(is_token) {
        return None;
    }
    str::from_utf8(bytes).ok()
}
