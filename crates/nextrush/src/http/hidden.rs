//! Secrets in addresses, which layers are not shown: whoever logs a request logs its address.

use axum::extract::Request;
use http::Uri;
use http::request::Parts;
use http::uri::PathAndQuery;

/// The names of the secrets in a query.
const SECRETS: [&str; 2] = ["token", "ticket"];

/// The value that layers see in their place.
const HIDDEN: &str = "hidden";

/// The query as the client has sent it.
#[derive(Clone)]
struct Sent(Box<str>);

/// Hides the secrets in the address of a request.
pub(crate) fn hide(request: &mut Request) {
    let Some(query) = request.uri().query() else {
        return;
    };
    let Some(hidden) = without_secrets(query) else {
        return;
    };
    let sent = Sent(query.into());
    if let Some(uri) = with_query(request.uri(), &hidden) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(sent);
    }
}

/// Gives a request back the query that it was sent with: behind all layers of the application.
pub(crate) fn restore(mut request: Request) -> Request {
    let sent = request.extensions().get::<Sent>();
    if let Some(uri) = sent.and_then(|Sent(query)| with_query(request.uri(), query)) {
        *request.uri_mut() = uri;
    }
    request
}

/// The query of a request as the client has sent it; empty without one.
pub(crate) fn query_of(request: &Parts) -> &str {
    match request.extensions.get::<Sent>() {
        Some(Sent(query)) => query,
        None => request.uri.query().unwrap_or_default(),
    }
}

/// The query without its secrets; `None` if there are none.
fn without_secrets(query: &str) -> Option<String> {
    let is_secret = |pair: &str| {
        let mut pairs = form_urlencoded::parse(pair.as_bytes());
        pairs
            .next()
            .is_some_and(|(name, value)| SECRETS.contains(&&*name) && !value.is_empty())
    };
    if !query.split('&').any(is_secret) {
        return None;
    }
    let pairs = query.split('&').map(|pair| match is_secret(pair) {
        true => {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            format!("{name}={HIDDEN}")
        }
        false => pair.to_owned(),
    });
    Some(pairs.collect::<Vec<_>>().join("&"))
}

/// The same address with another query.
fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let path_and_query = PathAndQuery::try_from(format!("{}?{query}", uri.path()));
    parts.path_and_query = Some(path_and_query.ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn secrets_in_an_address_are_hidden_and_restored() {
        for (sent, shown) in [
            ("/live", "/live"),
            ("/live?a=1&tokens=2", "/live?a=1&tokens=2"),
            ("/live?token=", "/live?token="),
            ("/live?token=a.b.c", "/live?token=hidden"),
            ("/live?a=%20&token=x&b", "/live?a=%20&token=hidden&b"),
            ("/live?%74oken=x", "/live?%74oken=hidden"),
            (
                "/live?ticket=x&token=y&token=z",
                "/live?ticket=hidden&token=hidden&token=hidden",
            ),
            (
                "http://example.com/live?ticket=x",
                "http://example.com/live?ticket=hidden",
            ),
        ] {
            let mut request = Request::get(sent).body(Body::empty()).unwrap();
            hide(&mut request);
            assert_eq!(request.uri().to_string(), shown);
            let (parts, body) = request.into_parts();
            let query = sent.split_once('?').map_or("", |(_, query)| query);
            assert_eq!(query_of(&parts), query);
            let request = restore(Request::from_parts(parts, body));
            assert_eq!(request.uri().to_string(), sent);
        }
    }

    #[test]
    fn a_path_that_a_router_has_shortened_stays_short() {
        let mut request = Request::get("/files/live?token=x")
            .body(Body::empty())
            .unwrap();
        hide(&mut request);
        *request.uri_mut() = "/live?token=hidden".parse().unwrap();
        assert_eq!(restore(request).uri().to_string(), "/live?token=x");
    }
}
