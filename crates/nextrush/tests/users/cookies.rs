//! Tokens in cookies.

use axum::extract::Request;
use http::StatusCode;
use nextrush::testing::Network;
use nextrush::{App, OriginPolicy};

use crate::support::{get, token, with_endpoints};

#[tokio::test(start_paused = true)]
async fn a_token_in_a_cookie_counts_for_pages_of_the_own_origin_alone() {
    for policy in [OriginPolicy::SameOrigin, OriginPolicy::Any] {
        let mut app = with_endpoints(App::new());
        app.token_cookie("__Host-jwt");
        app.origins(policy.clone());
        let network = Network::new(app);
        let cookie = format!("theme=dark; __Host-jwt={}", token(Some(0)));
        for (origin, counts) in [
            ("http://localhost", true),
            ("https://localhost", true),
            ("http://evil.example", false),
            ("null", false),
        ] {
            let request = Request::get("/ws")
                .header("cookie", &cookie)
                .header("origin", origin);
            let opened = network.connect_with(request.body(()).unwrap()).await;
            match opened {
                Ok(mut client) => {
                    assert!(counts, "{policy:?} {origin}");
                    assert_eq!(client.text().await, "ada@example.com");
                }
                Err(refused) => {
                    let status = match policy {
                        OriginPolicy::Any => StatusCode::UNAUTHORIZED,
                        _ => StatusCode::FORBIDDEN,
                    };
                    assert_eq!((refused.status, counts), (status, false), "{origin}");
                }
            }
            let headers = [("cookie", &*cookie), ("origin", origin)];
            let (status, _) = get(&network, "/whoami", &headers).await;
            assert_eq!(
                status,
                if counts { 200 } else { 401 },
                "{policy:?} {origin}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_cookie_is_a_token_unless_the_application_names_it() {
    let network = Network::new(with_endpoints(App::new()));
    let cookie = format!("token={}", token(Some(0)));
    let (status, _) = get(&network, "/whoami", &[("cookie", &cookie)]).await;
    assert_eq!(status, 401);
}

#[test]
#[should_panic(expected = "a cookie cannot be named \"a b\"")]
fn a_cookie_needs_a_name_that_cookies_can_have() {
    App::<()>::new().token_cookie("a b");
}
