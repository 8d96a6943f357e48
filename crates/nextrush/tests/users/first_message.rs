//! Tokens in the first message of a socket, where that is allowed and asked for.

use axum::Extension;
use axum::extract::Request;
use axum::http::request::Parts;
use nextrush::auth::{Ticket, TokenMessage, token as token_of};
use nextrush::message::Timestamp;
use nextrush::testing::{Client, Network};
use nextrush::{
    App, AuthRejection, Authenticated, CloseCode, ErrorCode, ErrorMessage, Message, Socket, User,
    ws,
};
use serde_json::{Value, json};

use crate::support::{SECOND, ada, jwt, now, token, with_endpoints};

const PATH: &str = "/ws?auth=message";

fn network() -> Network {
    let mut app = with_endpoints(App::new());
    app.token_message(TokenMessage::default());
    app.ws(
        "/told",
        |socket: Socket, user: Result<Authenticated, AuthRejection>| match user {
            Ok(user) => socket.send(user.admit(&socket).email),
            Err(refused) => refused.reject(&socket),
        },
    );
    app.ws("/open", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    Network::new(app)
}

fn auth(token: &str) -> Value {
    json!({ "type": "auth", "token": token })
}

/// A frame of a client with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

async fn assert_refused(client: &mut Client, code: &str, close: CloseCode, reason: &str) {
    let told = client.json().await;
    assert_eq!(told["code"], code, "{told}");
    assert_eq!(
        (&told["type"], &told["message"]),
        (&json!("error"), &json!(reason))
    );
    let frame = client.closed().await.unwrap();
    assert_eq!((frame.code(), frame.reason()), (close, reason));
}

#[tokio::test(start_paused = true)]
async fn a_token_in_the_first_message_opens_the_endpoint_and_what_follows_is_the_endpoints() {
    let network = network();
    let mut client = network.connect(PATH).await.unwrap();
    network.advance(SECOND * 9).await;
    // All in one piece, as a client sends it that does not wait; the last is longer than a token may be.
    let long = "x".repeat(60_000);
    client.send_json(&auth(&token(Some(0))));
    client.send("hello");
    client.send_json(&auth("a second time"));
    client.send(&long);
    assert_eq!(client.text().await, "ada@example.com");
    assert_eq!(client.text().await, "hello");
    assert_eq!(client.json().await, auth("a second time"));
    assert_eq!(client.text().await, long);
    let sockets = network.handle().user(&"ada".into()).local_len();
    assert_eq!(sockets, 1);
    network.advance(SECOND * 60).await;
    assert!(!client.is_closed());
}

#[tokio::test(start_paused = true)]
async fn whoever_tells_by_itself_is_given_the_refusal() {
    let network = network();
    let path = "/told?auth=message";
    let mut client = network.connect(path).await.unwrap();
    client.send_json(&auth(&token(Some(0))));
    assert_eq!(client.text().await, "ada@example.com");
    let mut client = network.connect(path).await.unwrap();
    client.send_json(&auth("of nobody"));
    assert_refused(
        &mut client,
        "invalid-token",
        CloseCode::POLICY_VIOLATION,
        "Invalid token",
    )
    .await;
    // An endpoint for everybody waits all the same, and does not see the message.
    let mut client = network.connect("/open?auth=message").await.unwrap();
    client.send_json(&auth("any"));
    client.send("hello");
    assert_eq!(client.text().await, "hello");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_token_is_refused_and_closed() {
    let network = network();
    let expired = jwt()
        .sign(&json!({ "id": "ada", "email": "a", "exp": now() - 60 }))
        .unwrap();
    let wanting = ("authentication-required", "Authentication required");
    let wrong = ("invalid-token", "Invalid token");
    for (first, (code, reason)) in [
        (auth("of.no.body"), wrong),
        (auth(&expired), wrong),
        (auth(""), wanting),
        (json!({ "type": "auth" }), wanting),
        (json!({ "type": "auth", "token": 7 }), wanting),
        (json!({ "type": "hello", "id": "1" }), wanting),
        (json!("hello"), wanting),
    ] {
        let mut client = network.connect(PATH).await.unwrap();
        client.send_json(&first);
        client.send_json(&auth(&token(Some(0))));
        assert_refused(&mut client, code, CloseCode::POLICY_VIOLATION, reason).await;
    }
    let mut client = network.connect(PATH).await.unwrap();
    let binary = auth(&token(Some(0))).to_string();
    client.send_binary(binary.as_bytes());
    assert_refused(
        &mut client,
        wanting.0,
        CloseCode::POLICY_VIOLATION,
        wanting.1,
    )
    .await;
    network.advance(SECOND * 3).await;
    assert_eq!(network.handle().local_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_message_in_10_seconds_the_client_is_told_and_closed() {
    let network = network();
    let mut client = network.connect(PATH).await.unwrap();
    // What is not a message gives it no more time.
    for _ in 0..9 {
        network.advance(SECOND).await;
        client.send_bytes(&frame(0x89, b"are you there"));
        client.send_bytes(&frame(0x8a, b"I am"));
    }
    // Nor does the begin of one.
    client.send_bytes(&frame(0x01, br#"{"type":"auth","#));
    assert!(!client.is_closed());
    network.advance(SECOND).await;
    let (code, reason) = ("authentication-timeout", "No token came in time");
    assert_refused(&mut client, code, CloseCode::TIMEOUT, reason).await;

    let mut app = with_endpoints(App::new());
    app.layer(Extension(TokenMessage::default().within(SECOND)));
    let network = Network::new(app);
    let mut client = network.connect(PATH).await.unwrap();
    network.advance(SECOND).await;
    assert_refused(&mut client, code, CloseCode::TIMEOUT, reason).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_message_is_16_kib_at_most_in_one_piece_or_in_fragments_among_pings() {
    let network = network();
    let padded = |bytes: usize| {
        let mut text = auth(&token(Some(0))).to_string();
        text.push_str(&" ".repeat(bytes - text.len()));
        text
    };
    let mut client = network.connect(PATH).await.unwrap();
    client.send(&padded(16 * 1024));
    assert_eq!(client.text().await, "ada@example.com");
    let mut client = network.connect(PATH).await.unwrap();
    client.send(&padded(16 * 1024 + 1));
    assert_eq!(
        client.closed().await.unwrap().code(),
        CloseCode::MESSAGE_TOO_BIG
    );

    for (bytes, is_let_in) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
        let mut client = network.connect(PATH).await.unwrap();
        let text = padded(bytes);
        let (first, rest) = text.as_bytes().split_at(100);
        let (second, third) = rest.split_at(9_000);
        for frame in [
            frame(0x01, first),
            frame(0x89, b"meanwhile"),
            frame(0x00, second),
            frame(0x89, b""),
            frame(0x80, third),
        ] {
            client.send_bytes(&frame);
            network.settle().await;
        }
        if is_let_in {
            assert_eq!(client.text().await, "ada@example.com");
        } else {
            let frame = client.closed().await.unwrap();
            assert_eq!(frame.code(), CloseCode::MESSAGE_TOO_BIG);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_meanwhile_leaves_nothing_behind() {
    let network = network();
    let client = network.connect(PATH).await.unwrap();
    network.connect(PATH).await.unwrap().cut();
    assert_eq!(network.handle().local_connections(), 2);
    client.close(1000, "");
    network.advance(SECOND * 3).await;
    assert_eq!(network.handle().local_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_it_is_not_allowed_or_not_asked_for() {
    let network = Network::new(with_endpoints(App::new()));
    let refused = network.connect(PATH).await.unwrap_err();
    assert_eq!(refused.status.as_u16(), 401);
    let path = format!("{PATH}&token={}", token(Some(0)));
    let mut client = network.connect(&path).await.unwrap();
    assert_eq!(client.text().await, "ada@example.com");

    let network = self::network();
    for path in ["/ws", "/ws?auth=", "/ws?auth=other", "/ws?Auth=message"] {
        let refused = network.connect(path).await.unwrap_err();
        assert_eq!(refused.status.as_u16(), 401, "{path}");
    }
    let other = format!("/ws?auth=header&token={}", token(Some(0)));
    let mut client = network.connect(&other).await.unwrap();
    assert_eq!(client.text().await, "ada@example.com");
}

#[tokio::test(start_paused = true)]
async fn a_token_or_ticket_beside_it_in_the_address_is_refused_and_not_used_up() {
    let network = network();
    let ticket = Ticket::new(ada());
    let issued = network.handle().issue_ticket(&ticket);
    let ticket = network.run_until(issued).await.unwrap().ticket;
    let token = token(Some(0));
    for path in [
        format!("{PATH}&ticket={ticket}"),
        format!("{PATH}&token={token}"),
        format!("{PATH}&auth=message"),
    ] {
        let refused = network.connect(&path).await.unwrap_err();
        assert_eq!(refused.status.as_u16(), 401, "{path}");
        assert!(refused.body.contains("invalid-token"), "{refused}");
    }
    let ticket = format!("/ws?ticket={ticket}");
    let mut client = network.connect(&ticket).await.unwrap();
    assert_eq!(client.text().await, "ada@example.com");
}

#[tokio::test(start_paused = true)]
async fn the_first_message_goes_before_headers_and_cookies() {
    let mut app = with_endpoints(App::new());
    app.token_message(TokenMessage::default());
    app.token_cookie("jwt");
    let network = Network::new(app);
    let good = token(Some(0));
    for (name, value) in [
        ("authorization", format!("Bearer {good}")),
        ("cookie", format!("jwt={good}")),
        (
            "sec-websocket-protocol",
            format!("nextrush.v1, nextrush.bearer.{good}"),
        ),
    ] {
        let connect =
            || network.connect_with(Request::get(PATH).header(name, &value).body(()).unwrap());
        let mut client = connect().await.unwrap();
        client.send_json(&auth("of nobody"));
        assert_eq!(client.json().await["code"], "invalid-token", "{name}");
        let mut client = connect().await.unwrap();
        client.send_json(&auth(&good));
        assert_eq!(client.text().await, "ada@example.com", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_gets_nothing_that_is_sent_to_all() {
    let network = network();
    let mut stranger = network.connect(PATH).await.unwrap();
    let mut open = network.connect("/open").await.unwrap();
    network.settle().await;
    let all = network.handle().all();
    assert_eq!((all.local_len(), all.local_members().len()), (1, 1));
    let waiting = network.handle().local_sockets();
    assert_eq!(
        waiting.iter().filter(|socket| all.contains(socket)).count(),
        1
    );
    all.send("for those who are known");
    assert_eq!(open.text().await, "for those who are known");
    stranger.send_json(&auth(&token(Some(0))));
    assert_eq!(stranger.text().await, "ada@example.com");
    assert_eq!(all.local_len(), 2);
    all.send("for both");
    assert_eq!(stranger.text().await, "for both");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_revoked_while_it_was_awaited_is_refused() {
    let network = network();
    let mut client = network.connect(PATH).await.unwrap();
    let (old, new) = (token(Some(10)), token(Some(0)));
    let before = Timestamp::from_unix_ms((now() - 5) * 1000);
    let user = "ada".into();
    let revoked = network.handle().revoke(&user, before, 1008, "Gone");
    network.run_until(revoked).await.unwrap();
    client.send_json(&auth(&old));
    assert_refused(
        &mut client,
        "invalid-token",
        CloseCode::POLICY_VIOLATION,
        "Invalid token",
    )
    .await;
    let mut client = network.connect(PATH).await.unwrap();
    client.send_json(&auth(&new));
    assert_eq!(client.text().await, "ada@example.com");
}

#[tokio::test(start_paused = true)]
async fn a_way_of_the_applications_own_has_the_token_and_its_refusals_are_told() {
    let mut app: App = App::new();
    app.token_message(TokenMessage::default());
    app.authenticate(async |request: Parts| {
        let refusal = |code, message: &'static str| ErrorMessage::new(code, message);
        match token_of(&request)?.as_deref() {
            Some("key-of-ada") => Ok(Some(ada())),
            Some("away") => Err(AuthRejection::unavailable("the database is away")),
            Some("later") => {
                let later = refusal(ErrorCode::RateLimited, "Later").retry_after_ms(7000);
                Err(AuthRejection::Told(later))
            }
            Some("banned") => Err(AuthRejection::Forbidden),
            Some("panic") => panic!("on purpose"),
            _ => Ok(None::<User>),
        }
    });
    app.ws("/ws", |socket: Socket, user: Authenticated| {
        socket.send(user.admit(&socket).email);
    });
    let network = Network::new(app);
    let unavailable = "Authentication is not available";
    for (token, code, close, reason) in [
        (
            "away",
            "unavailable",
            CloseCode::TRY_AGAIN_LATER,
            unavailable,
        ),
        (
            "panic",
            "unavailable",
            CloseCode::TRY_AGAIN_LATER,
            unavailable,
        ),
        ("later", "rate-limited", CloseCode::TRY_AGAIN_LATER, "Later"),
        (
            "banned",
            "forbidden",
            CloseCode::POLICY_VIOLATION,
            "Forbidden",
        ),
        (
            "x",
            "authentication-required",
            CloseCode::POLICY_VIOLATION,
            "Authentication required",
        ),
    ] {
        let mut client = network.connect(PATH).await.unwrap();
        client.send_json(&auth(token));
        assert_refused(&mut client, code, close, reason).await;
    }
    let mut client = network.connect(PATH).await.unwrap();
    client.send_json(&auth("key-of-ada"));
    assert_eq!(client.text().await, "ada@example.com");
}

#[tokio::test(start_paused = true)]
async fn an_async_endpoint_in_a_router_with_state_receives_what_came_behind_the_token() {
    let mut app: App<&'static str> = App::new();
    app.jwt(jwt());
    app.token_message(TokenMessage::default());
    app.route(
        "/ws",
        ws(
            async |socket: Socket,
                   state: axum::extract::State<&'static str>,
                   user: Authenticated| {
                let user = user.admit(&socket);
                socket.send(format!("{} {}", *state, user.email));
                while let Some(message) = socket.recv().await {
                    socket.send(message);
                }
            },
        ),
    );
    let network = Network::new(app.with_state("hello"));
    let mut client = network.connect(PATH).await.unwrap();
    client.send_json(&auth(&token(Some(0))));
    client.send("1");
    client.send("2");
    assert_eq!(client.text().await, "hello ada@example.com");
    assert_eq!(
        (client.text().await, client.text().await),
        ("1".into(), "2".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_sends_strangers_away_too() {
    let network = network();
    let mut stranger = network.connect(PATH).await.unwrap();
    let app = network.handle().clone();
    network.run_until(app.drain(SECOND)).await;
    let frame = stranger.closed().await.unwrap();
    assert_eq!(frame.code(), CloseCode::SERVICE_RESTART);
}
