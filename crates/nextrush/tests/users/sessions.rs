//! Users whom the application knows by a way of its own.

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use http::{Request, StatusCode};
use nextrush::auth::{self, Authenticator};
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::{Client, Network, Refused};
use nextrush::{App, AuthRejection, Authenticated, CloseCode, LiveUpdates, Socket, User};
use serde_json::json;

/// The table of sessions.
async fn user_of(session: &str) -> Option<User> {
    tokio::task::yield_now().await;
    let user = session.split('-').next()?;
    ["ada", "bob"]
        .contains(&user)
        .then(|| User::new(user, format!("{user}@example.com")))
}

/// Users by session cookie.
fn app() -> App {
    let mut app = App::new();
    app.authenticate(async |request: Parts| {
        let session = auth::cookie(&request, "session")?;
        let user = user_of(session).await?;
        Some(Authenticated::from(user).session(session))
    });
    app.ws("/", |socket: Socket, user: Authenticated| {
        socket.send(user.admit(&socket).email);
    });
    app.ws(
        "/told",
        |socket: Socket, user: Result<Authenticated, AuthRejection>| match user {
            Ok(user) => drop(user.admit(&socket)),
            Err(rejection) => rejection.reject(&socket),
        },
    );
    app.get("/whoami", async |user: Option<Authenticated>| {
        user.map_or("nobody".to_owned(), |user| user.claims.email)
    });
    app
}

async fn connect(network: &Network, path: &str, cookies: &str) -> Result<Client, Refused> {
    let request = Request::get(path).header("cookie", cookies);
    network.connect_with(request.body(()).unwrap()).await
}

async fn whoami(network: &Network, path: &str, header: (&str, &str)) -> (StatusCode, String) {
    let request = Request::get(path).header(header.0, header.1);
    let answer = network.request(request.body(Body::empty()).unwrap()).await;
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1024).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_session_cookie_says_who_a_client_is() {
    let network = Network::new(app());
    for cookies in [
        "session=ada-1",
        "theme=dark; session=ada-2",
        "session=\"ada-3\"; session=bob-1",
    ] {
        let mut client = connect(&network, "/", cookies).await.unwrap();
        assert_eq!(client.text().await, "ada@example.com", "{cookies}");
        let told = whoami(&network, "/whoami", ("cookie", cookies)).await;
        assert_eq!(told, (StatusCode::OK, "ada@example.com".to_owned()));
    }
    for cookies in [
        "",
        "session=",
        "session=eve-1",
        "sessions=ada-1",
        "xsession=ada-1",
    ] {
        let refused = connect(&network, "/", cookies).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{cookies}");
        assert!(refused.body.contains("authentication-required"));
        let mut client = connect(&network, "/told", cookies).await.unwrap();
        assert_eq!(client.json().await["code"], "authentication-required");
        assert_eq!(
            client.closed().await.unwrap().code(),
            CloseCode::POLICY_VIOLATION
        );
        assert_eq!(
            whoami(&network, "/whoami", ("cookie", cookies)).await.1,
            "nobody"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn signing_out_ends_the_sockets_of_one_session_or_of_the_user() {
    let network = Network::new(app());
    let mut laptop = connect(&network, "/told", "session=ada-1").await.unwrap();
    let mut tab = connect(&network, "/told", "session=ada-1").await.unwrap();
    let mut phone = connect(&network, "/told", "session=ada-2").await.unwrap();
    let bob = connect(&network, "/told", "session=bob-1").await.unwrap();
    let app = network.handle();
    assert_eq!(app.session("ada-1").local_len(), 2);
    let socket = app.session("ada-2").local_members().remove(0);
    assert_eq!(socket.session().as_deref(), Some("ada-2"));

    let code = CloseCode::POLICY_VIOLATION;
    let reached = app.disconnect_session("ada-1", code, "Signed out").await;
    assert_eq!(reached.sockets, 2);
    for client in [&mut laptop, &mut tab] {
        assert_eq!(client.closed().await.unwrap().reason(), "Signed out");
    }
    assert!(!phone.is_closed());
    let reached = app
        .disconnect(&"ada".into(), code, "Signed out everywhere")
        .await;
    assert_eq!(reached.sockets, 1);
    assert_eq!(
        phone.closed().await.unwrap().reason(),
        "Signed out everywhere"
    );
    assert!(!bob.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_way_that_fails_hangs_or_panics_refuses_that_request_alone() {
    let mut app = App::new();
    app.authenticate(
        async |request: Parts| -> Result<Option<User>, std::io::Error> {
            match request.uri.path() {
                "/fails" | "/ws/fails" => Err(std::io::Error::other("the database is away")),
                "/hangs" => std::future::pending().await,
                "/panics" => panic!("on purpose"),
                _ => Ok(Some(User::new("ada", "ada@example.com"))),
            }
        },
    );
    for path in ["/fails", "/hangs", "/panics", "/fine"] {
        app.get(path, async |user: Authenticated| user.claims.email);
    }
    app.ws(
        "/ws/fails",
        |socket: Socket, user: Result<Authenticated, AuthRejection>| {
            user.unwrap_err().reject(&socket);
        },
    );
    let network = Network::new(app);
    let begun = tokio::time::Instant::now();
    for path in ["/fails", "/hangs", "/panics"] {
        let (status, body) = whoami(&network, path, ("x", "y")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(
            body.contains(r#""code":"unavailable""#) && !body.contains("database"),
            "{body}"
        );
        let fine = whoami(&network, "/fine", ("x", "y")).await;
        assert_eq!(fine, (StatusCode::OK, "ada@example.com".to_owned()));
    }
    assert_eq!(begun.elapsed().as_secs(), 5);
    let mut client = network.connect("/ws/fails").await.unwrap();
    assert_eq!(client.json().await["code"], "unavailable");
    assert_eq!(
        client.closed().await.unwrap().code(),
        CloseCode::TRY_AGAIN_LATER
    );
}

#[tokio::test(start_paused = true)]
async fn one_route_may_have_a_way_of_its_own() {
    let mut app = app();
    let robots = Authenticator::new(async |request: Parts| {
        let key = auth::token(&request)?;
        match key.as_deref() {
            None => Ok(None),
            Some("robot-key") => Ok(Some(User::new("robot", "robot@example.com"))),
            Some(_) => Err(AuthRejection::Forbidden),
        }
    });
    let whoami_there = async |user: Authenticated<User>| user.claims.email;
    let route = axum::routing::get(whoami_there).layer(Extension::<Authenticator>(robots));
    app.route("/robots", route);
    let network = Network::new(app);
    for (header, status) in [
        (("authorization", "Bearer robot-key"), StatusCode::OK),
        (("authorization", "Bearer other"), StatusCode::FORBIDDEN),
        (("cookie", "session=ada-1"), StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(
            whoami(&network, "/robots", header).await.0,
            status,
            "{header:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn live_updates_need_no_more_than_the_admitted_user() {
    let mut app = app();
    let policies = ChannelPolicies::new().policy("news", ChannelPolicy::new().presence());
    let live = LiveUpdates::builder()
        .policies(policies)
        .build(&app, "live");
    app.ws("/live", move |socket: Socket, user: Authenticated| {
        user.admit(&socket);
        live.connect(&socket);
    });
    let network = Network::new(app);
    let mut ada = connect(&network, "/live", "session=ada-1").await.unwrap();
    ada.send_json(&json!({ "type": "subscribe", "channel": "news" }));
    assert_eq!(ada.json().await["type"], "subscribed");
    let diff = ada.json().await;
    assert_eq!(diff["joined"][0]["user"]["id"], "ada", "{diff}");
}

#[path = "../../../../examples/session_cookie.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

#[tokio::test(start_paused = true)]
async fn the_example_signs_a_client_in_and_out() {
    let network = Network::new(example::app());
    let sign_in = Request::post("/sign-in").body("ada".into()).unwrap();
    let answer = network.request(sign_in).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();

    let mut ada = connect(&network, "/echo", &cookie).await.unwrap();
    assert_eq!(ada.text().await, "Welcome, ada@example.com!");
    let sign_out = Request::post("/sign-out").header("cookie", &cookie);
    let answer = network.request(sign_out.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(ada.closed().await.unwrap().reason(), "Signed out");
    let refused = connect(&network, "/echo", &cookie).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_authenticated_while_its_user_signs_out_is_closed() {
    let moment = std::time::Duration::from_millis(100);
    for is_session in [true, false] {
        let mut app = App::new();
        app.authenticate(move |request: Parts| async move {
            let session = auth::cookie(&request, "session")?;
            let user = user_of(session).await?;
            // The session was there, and much can happen before the socket is.
            tokio::time::sleep(2 * moment).await;
            Some(Authenticated::from(user).session(session))
        });
        app.ws("/", |socket: Socket, user: Authenticated| {
            drop(user.admit(&socket));
        });
        let network = Network::new(app);
        let sign_out = async {
            tokio::time::sleep(moment).await;
            let (app, code) = (network.handle(), CloseCode::POLICY_VIOLATION);
            match is_session {
                true => app.disconnect_session("ada-1", code, "Signed out").await,
                false => app.disconnect(&"ada".into(), code, "Signed out").await,
            }
        };
        let (late, other, reached) = tokio::join!(
            connect(&network, "/", "session=ada-1"),
            connect(&network, "/", "session=bob-1"),
            sign_out
        );
        assert_eq!(reached.sockets, 0);
        let closed = late.unwrap().closed().await.unwrap();
        assert_eq!(closed.reason(), "Signed out", "{is_session}");
        network.advance(moment).await;
        assert!(!other.unwrap().is_closed());
        // Whoever signs in again is let in.
        let again = connect(&network, "/", "session=ada-1").await.unwrap();
        network.advance(moment).await;
        assert!(!again.is_closed());
    }
}
