//! The rest of an application, which these routers leave as it is.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::response::IntoResponse;
use nextrush::App;
use nextrush::testing::Network;
use nextrush_admin::{HttpApi, Inspector, health};

use crate::support::{KEY, fetch};

type Mount = fn(&mut App);

#[tokio::test(start_paused = true)]
async fn an_address_of_nothing_is_answered_as_the_application_does() {
    let mounts: [Mount; 4] = [
        |app| {
            app.merge(HttpApi::new(app, KEY).router());
        },
        |app| {
            app.merge(Inspector::new(app, KEY).router());
        },
        |app| {
            app.merge(Inspector::without_key(app).router());
        },
        |app| {
            app.merge(health(app));
        },
    ];
    for (number, mount) in mounts.into_iter().enumerate() {
        for has_fallback in [false, true] {
            let mut app: App = App::new();
            if has_fallback {
                app.fallback(async || (axum::http::StatusCode::GONE, "gone").into_response());
            }
            mount(&mut app);
            let network = Network::new(app);
            let request = Request::get("/nothing").header(header::HOST, "example.com");
            let (status, ..) = fetch(&network, request.body(Body::empty()).unwrap()).await;
            let expected = if has_fallback { 410 } else { 404 };
            assert_eq!(status, expected, "{number}");
        }
    }
}
