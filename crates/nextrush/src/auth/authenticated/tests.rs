use axum::body::Body;
use axum::routing::get;
use axum::{Extension, Router};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::auth::AuthError;
use crate::message::UserId;

const SECRET: &str = "a secret of thirty-two bytes, no less";

fn token(id: impl Into<UserId>, exp: u64) -> String {
    let claims = json!({ "id": id.into(), "email": "ada@example.com", "exp": exp });
    Jwt::hs256(SECRET).sign(&claims).unwrap()
}

fn router() -> Router {
    async fn required(user: Authenticated) -> String {
        serde_json::to_string(&user.claims).unwrap()
    }
    async fn optional(user: Option<Authenticated>) -> String {
        user.map_or("nobody".to_owned(), |user| user.claims.email)
    }
    async fn result(user: Result<Authenticated, AuthRejection>) -> String {
        match user {
            Ok(user) => user.claims.email,
            Err(rejection) => rejection.to_string(),
        }
    }
    #[derive(serde::Deserialize)]
    struct Mail {
        email: String,
    }
    async fn own(
        Authenticated {
            claims, expires, ..
        }: Authenticated<Mail>,
    ) -> String {
        format!("{} {}", claims.email, expires.unwrap())
    }
    Router::new()
        .route("/required", get(required))
        .route("/optional", get(optional))
        .route("/result", get(result))
        .route("/own", get(own))
}

fn configured() -> Router {
    router().layer(Extension(Jwt::hs256(SECRET)))
}

struct Answer {
    status: StatusCode,
    challenge: Option<String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn ask(router: Router, uri: &str, authorization: Option<&str>) -> Answer {
    let mut request = Request::builder().uri(uri);
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let challenge = response.headers().get("www-authenticate");
    Answer {
        status: response.status(),
        challenge: challenge.map(|value| value.to_str().unwrap().to_owned()),
        body: {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            String::from_utf8(body.to_vec()).unwrap()
        },
    }
}

#[tokio::test]
async fn a_token_in_the_query_or_the_header_lets_in() {
    let token = token("ada", 4_102_444_800);
    for (uri, authorization) in [
        (format!("/required?token={token}"), None),
        ("/required".to_owned(), Some(format!("Bearer {token}"))),
        ("/required".to_owned(), Some(format!("bearer {token}"))),
    ] {
        let answer = ask(configured(), &uri, authorization.as_deref()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body, r#"{"id":"ada","email":"ada@example.com"}"#);
    }
}

#[tokio::test]
async fn claims_of_ones_own_come_with_the_expiry() {
    let uri = format!("/own?token={}", token(1, 4_102_444_800));
    let answer = ask(configured(), &uri, None).await;
    assert_eq!(answer.body, "ada@example.com 4102444800");
}

#[tokio::test]
async fn without_a_token_the_answer_is_401_with_a_challenge() {
    for authorization in [None, Some("Basic YTpi"), Some("Bearer ")] {
        let answer = ask(configured(), "/required", authorization).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.challenge.as_deref(), Some("Bearer"));
        let expected = json!({ "type": "error", "message": "Authentication required", "code": "authentication-required" });
        assert_eq!(answer.json(), expected);
    }
}

#[tokio::test]
async fn an_invalid_token_is_401_and_does_not_say_why() {
    let expired = token(1, 1);
    let large = "a".repeat(60_000);
    for token in [expired.as_str(), "a.b.c", "nonsense", &large] {
        for (uri, authorization) in [
            (format!("/required?token={token}"), None),
            ("/required".to_owned(), Some(format!("Bearer {token}"))),
        ] {
            let answer = ask(configured(), &uri, authorization.as_deref()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
            let challenge = answer.challenge.as_deref();
            assert_eq!(challenge, Some(r#"Bearer error="invalid_token""#));
            let expected =
                json!({ "type": "error", "message": "Invalid token", "code": "invalid-token" });
            assert_eq!(answer.json(), expected);
        }
    }
}

#[tokio::test]
async fn an_invalid_token_in_the_query_is_not_made_good_by_the_header() {
    let authorization = format!("Bearer {}", token(1, 4_102_444_800));
    let answer = ask(configured(), "/required?token=x", Some(&authorization)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_optional_extractor_takes_nobody_but_no_invalid_token() {
    let valid = token(1, 4_102_444_800);
    let answer = ask(configured(), "/optional", None).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::OK, "nobody")
    );
    let answer = ask(configured(), &format!("/optional?token={valid}"), None).await;
    assert_eq!(answer.body, "ada@example.com");
    let answer = ask(configured(), "/optional?token=x", None).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_result_extractor_leaves_the_refusal_to_the_handler() {
    for (uri, message) in [
        ("/result", "Authentication required"),
        ("/result?token=x", "Invalid token"),
    ] {
        let answer = ask(configured(), uri, None).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::OK, message)
        );
    }
}

#[test]
fn other_claims_leave_everything_else_as_it_is() {
    #[derive(serde::Deserialize)]
    struct Member {
        id: UserId,
        team: String,
    }
    let claims = json!({ "id": "ada", "team": "red", "exp": 4_102_444_800_u64, "sid": "s" });
    let jwt = Jwt::hs256(SECRET).leeway(std::time::Duration::from_secs(7));
    let mut client = jwt.verify::<Member>(&jwt.sign(&claims).unwrap()).unwrap();
    let asked_at = Instant::now();
    client.asked_at.looked_up = Some(asked_at);
    let user = client.map(|member| User::new(member.id, member.team));
    assert_eq!(user.claims, User::new("ada", "red"));
    assert_eq!(user.session.as_deref(), Some("s"));
    assert_eq!(user.valid_until(), Some(4_102_444_807));
    assert_eq!(user.asked_at.looked_up, Some(asked_at));
}

#[tokio::test]
async fn without_a_key_the_server_says_that_it_is_at_fault() {
    let uri = format!("/required?token={}", token(1, 4_102_444_800));
    let answer = ask(router(), &uri, None).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.challenge, None);
    let expected = json!({ "type": "error", "message": "Authentication is not configured", "code": "internal" });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn a_refused_token_does_not_show_in_the_rejection() {
    let token = "SECRET.SECRET.SECRET";
    let request = Request::builder().uri(format!("/?token={token}"));
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    parts.extensions.insert(Jwt::hs256(SECRET));
    let rejection = authenticate::<User>(&mut parts).await.unwrap_err();
    assert!(matches!(
        rejection,
        AuthRejection::InvalidToken(AuthError::Malformed)
    ));
    let texts = format!("{rejection} {rejection:?}");
    assert!(!texts.contains("SECRET"), "{texts}");
}
