//! Addresses as layers and handlers see them.

use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get as on_get;
use http::Uri;
use nextrush::App;
use nextrush::auth;
use nextrush::testing::Network;

use crate::support::get;

/// A layer that tells what it sees, as those do that log requests.
async fn log(request: Request, next: Next) -> Response {
    let seen = request.uri().to_string();
    let (parts, body) = request.into_parts();
    let token = auth::token(&parts)
        .unwrap()
        .map(std::borrow::Cow::into_owned);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let headers = response.headers_mut();
    headers.insert("x-seen", seen.parse().unwrap());
    headers.insert("x-token", token.unwrap_or_default().parse().unwrap());
    response
}

async fn tell(uri: Uri, OriginalUri(original): OriginalUri) -> String {
    format!("{uri} {original}")
}

#[tokio::test(start_paused = true)]
async fn layers_see_no_token_in_an_address_and_handlers_see_all_of_it() {
    let mut app = App::new();
    app.get("/plain", tell);
    app.nest("/nested", Router::new().route("/in", on_get(tell)));
    app.merge(Router::new().route("/merged", on_get(tell)));
    app.fallback(tell);
    app.layer(middleware::from_fn(log));
    let network = Network::new(app);
    for (path, seen) in [
        ("/plain?token=s3cret&a=1", "/plain?token=hidden&a=1"),
        ("/nested/in?a=1&token=s3cret", "/nested/in?a=1&token=hidden"),
        ("/merged?token=s3cret", "/merged?token=hidden"),
        ("/elsewhere?token=s3cret", "/elsewhere?token=hidden"),
    ] {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = network.request(request).await;
        assert_eq!(answer.headers()["x-seen"], seen);
        assert_eq!(answer.headers()["x-token"], "s3cret");
        let (_, told) = get(&network, path, &[]).await;
        let (inner, original) = told.split_once(' ').unwrap();
        assert_eq!(original, path);
        assert_eq!(inner, path.strip_prefix("/nested").unwrap_or(path));
    }
}
