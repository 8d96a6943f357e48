//! The endpoints that need no token.

use crate::support::{Client, Http, SECRET, serve, serve_with};

/// An address of each open endpoint.
const OPEN: [&str; 4] = [
    "/chat",
    "/rooms/den",
    "/games/7/players/8",
    "/robust-chat/den",
];

#[tokio::test]
async fn endpoints_without_a_token_are_not_found_unless_asked_for() {
    let closed = serve(&[]).await;
    let opened = serve(&["--open-endpoints"]).await;
    let development = serve_with(&["--dev", "--no-store", "--jwt-secret", SECRET]).await;
    for path in OPEN {
        assert_eq!(Http::of(&closed).get(path).await.0, 404, "{path}");
        // Served, to those who ask for an upgrade.
        for server in [&opened, &development] {
            assert_eq!(Http::of(server).get(path).await.0, 426, "{path}");
        }
    }
    for path in ["/chat/den", "/private-chat/den", "/live"] {
        assert_eq!(Http::of(&closed).get(path).await.0, 426, "{path}");
    }
    let mut client = Client::connect(&opened, "/chat").await;
    assert_eq!(client.text().await, "Welcome to the chat!");
    client.say("hello").await;
    assert_eq!(client.text().await, "Echo: hello");
}
