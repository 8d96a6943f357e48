//! The guide's "Authentication & Authorization", as clients see it on the wire.

use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::server;
use crate::support::{Client, SECRET, sign, token, unix_seconds, url, without_timestamp};

#[tokio::test]
async fn a_client_without_a_token_is_told_so_and_closed() {
    let server = server().await;
    let mut client = Client::connect(&server, "/private-chat/lobby").await;
    assert_eq!(
        client.json().await,
        json!({ "type": "error", "message": "Authentication required", "code": "authentication-required" })
    );
    assert_eq!(
        client.closed().await,
        (1008, "Authentication required".into())
    );
}

#[tokio::test]
async fn a_bad_token_is_told_so_and_closed() {
    let server = server().await;
    let user = json!({ "id": 1, "email": "a@b.c" });
    let with = |name: &str, value: Value| {
        let mut claims = user.clone();
        claims["exp"] = json!(unix_seconds() + 600);
        claims[name] = value;
        claims
    };
    let good = with("id", json!(1));
    let unsigned = {
        let token = sign(&good, SECRET);
        let (rest, _) = token.rsplit_once('.').unwrap();
        // {"alg":"none","typ":"JWT"}
        let (_, claims) = rest.split_once('.').unwrap();
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
    };
    let other_algorithm = {
        use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        encode(&Header::new(Algorithm::HS512), &good, &key).unwrap()
    };
    let bad = [
        ("malformed", "no.jwt".to_owned()),
        (
            "signature",
            sign(&good, "another secret, also thirty-two bytes long"),
        ),
        (
            "expired",
            sign(&with("exp", json!(unix_seconds() - 600)), SECRET),
        ),
        (
            "not yet",
            sign(&with("nbf", json!(unix_seconds() + 300)), SECRET),
        ),
        ("algorithm", other_algorithm),
        ("unsigned", unsigned),
    ];
    for (name, token) in bad {
        let path = format!("/private-chat/lobby?token={token}");
        let mut client = Client::connect(&server, &path).await;
        assert_eq!(
            client.json().await,
            json!({ "type": "error", "message": "Invalid token", "code": "invalid-token" }),
            "{name}"
        );
        assert_eq!(
            client.closed().await,
            (1008, "Invalid token".into()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn members_see_who_says_what() {
    let server = server().await;
    let path = format!("/private-chat/lobby?token={}", token(7, "ada@example.com"));
    let mut ada = Client::connect(&server, &path).await;
    let ada_user = json!({ "id": 7, "email": "ada@example.com" });
    assert_eq!(
        ada.json().await,
        json!({ "type": "authenticated", "user": ada_user, "roomId": "lobby" })
    );

    // The header works too, and an id may be a string.
    let mut request = url(&server, "/private-chat/lobby")
        .into_client_request()
        .unwrap();
    let bearer = format!("Bearer {}", token("b", "bob@example.com"));
    request
        .headers_mut()
        .insert(AUTHORIZATION, bearer.parse().unwrap());
    let mut bob = Client::request(request).await.unwrap();
    assert_eq!(bob.json().await["user"]["id"], "b");
    assert_eq!(
        ada.json().await,
        json!({ "type": "user-joined", "message": "User joined room lobby", "userCount": 2 })
    );

    ada.send_json(json!({ "text": "hi" })).await;
    for client in [&mut ada, &mut bob] {
        assert_eq!(
            without_timestamp(client.json().await),
            json!({ "type": "chat-message", "message": "hi", "user": ada_user })
        );
    }
    for sent in [
        "no json",
        "{}",
        r#"{"text":7}"#,
        r#"["hi"]"#,
        r#""hi""#,
        "null",
    ] {
        bob.send(sent).await;
        assert_eq!(
            bob.json().await,
            json!({ "type": "error", "message": "Invalid message format", "code": "invalid-format" }),
            "{sent}"
        );
    }
    bob.send(r#"{"text":"hi","more":1}"#).await;
    assert_eq!(ada.json().await["message"], "hi");
}

#[tokio::test]
async fn the_query_is_preferred_to_the_header() {
    let server = server().await;
    let path = format!(
        "/private-chat/lobby?token={}",
        token(1, "query@example.com")
    );
    let mut request = url(&server, &path).into_client_request().unwrap();
    let bearer = format!("Bearer {}", token(2, "header@example.com"));
    request
        .headers_mut()
        .insert(AUTHORIZATION, bearer.parse().unwrap());
    let mut client = Client::request(request).await.unwrap();
    assert_eq!(client.json().await["user"]["email"], "query@example.com");
}
