//! Tokens of development mode.

use serde_json::{Value, json};

use crate::support::{Http, serve_with};

#[tokio::test]
async fn a_token_of_development_mode_needs_a_name_and_this_machine() {
    let server = serve_with(&["--dev", "--no-store", "--jwt-secret", ""]).await;
    let http = Http::of(&server);
    let (status, minted) = http
        .post("/api/dev/token", json!({ "name": " Ada B " }))
        .await;
    assert_eq!(status, 201);
    let user = json!({ "id": "ada-b", "email": "ada-b@localhost" });
    assert_eq!(minted["user"], user);
    let with = Http::with(&server, minted["token"].as_str().unwrap());
    assert_eq!(with.get("/api/posts").await.0, 200);
    // Scripts and emoji need joiners, which no id has.
    for name in ["می\u{200c}خواهم", "👩\u{200d}🔬"] {
        let (status, minted) = http.post("/api/dev/token", json!({ "name": name })).await;
        assert_eq!(status, 201, "{minted}");
        assert_eq!(minted["user"]["email"], format!("{name}@localhost"));
        let with = Http::with(&server, minted["token"].as_str().unwrap());
        assert_eq!(with.get("/api/posts").await.0, 200, "{name}");
    }
    for name in ["", " ", "\u{200d}", "a\nb", &"x".repeat(41)] {
        let (status, refusal) = http.post("/api/dev/token", json!({ "name": name })).await;
        assert_eq!((status, &refusal["code"]), (400, &json!("invalid-format")));
    }
    let elsewhere = ("host", "example.com");
    let refused = json!({
        "type": "error",
        "message": "development mode is for this machine only",
        "code": "forbidden",
    });
    let answer = http.call_with(elsewhere, "GET", "/api/dev", &Value::Null);
    assert_eq!(answer.await, (403, refused));
}
