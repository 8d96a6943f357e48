//! Tickets, each of which is good for one request.

use std::time::Duration;

use axum::extract::Request;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nextrush::auth::{Ticket, TicketError};
use nextrush::limits::{ClientLimit, TokenBucket};
use nextrush::message::Timestamp;
use nextrush::testing::{Cluster, Network};
use nextrush::{App, Authenticated, CloseCode, Jwt, User};
use serde_json::Value;

use crate::support::{SECOND, ada, get, jwt, now, token, with_endpoints};

async fn ticket(network: &Network) -> String {
    let ticket = Ticket::new(ada());
    let issued = network.handle().issue_ticket(&ticket);
    network.run_until(issued).await.unwrap().ticket
}

#[tokio::test(start_paused = true)]
async fn a_ticket_opens_one_socket_and_no_second_one() {
    let network = Network::new(with_endpoints(App::new()));
    let ticket = ticket(&network).await;
    let path = format!("/ws?ticket={ticket}");
    let mut client = network.connect(&path).await.unwrap();
    assert_eq!(client.text().await, "ada@example.com");
    client.send("hello");
    assert_eq!(client.text().await, "hello");
    for path in [path, format!("/whoami?ticket={ticket}")] {
        assert_eq!(get(&network, &path, &[]).await.0, 401);
    }
    let again = network.connect(&format!("/ws?ticket={ticket}")).await;
    let refused = again.unwrap_err();
    assert_eq!(refused.status.as_u16(), 401);
    assert!(
        refused.body.contains(r#""code":"invalid-token""#),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn of_all_nodes_one_takes_a_ticket_and_any_may() {
    let make = |builder: nextrush::AppBuilder| with_endpoints(builder.build());
    let cluster = Cluster::new(1, ["one", "two", "three"], make);
    cluster.settle().await;
    let [one, two, three] = ["one", "two", "three"].map(|name| cluster.node(name));
    for issuer in [&one, &two] {
        let path = format!("/whoami?ticket={}", ticket(issuer).await);
        let answers = tokio::join!(
            get(&one, &path, &[]),
            get(&two, &path, &[]),
            get(&three, &path, &[]),
        );
        let mut statuses = [answers.0.0, answers.1.0, answers.2.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401, 401]);
        cluster.advance(SECOND).await;
        assert_eq!(get(&two, &path, &[]).await.0, 401);
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_node_has_signed_is_no_ticket_and_no_ticket_is_a_token() {
    let network = Network::new(with_endpoints(App::new()));
    let forged = Jwt::hs256("another secret of tests, thirty-two bytes and more");
    let claims = serde_json::json!({ "claims": ada(), "jti": "1", "issued": now() * 1000 });
    let forged = forged
        .audience("nextrush.ticket")
        .sign_for(&claims, SECOND * 30)
        .unwrap();
    let real = ticket(&network).await;
    for (path, status) in [
        (format!("/whoami?ticket={forged}"), 401),
        ("/whoami?ticket=x".to_owned(), 401),
        (format!("/whoami?ticket={}", token(Some(0))), 401),
        (format!("/whoami?token={real}"), 401),
        (
            format!("/whoami?ticket={real}&token={}", token(Some(0))),
            401,
        ),
        (format!("/whoami?ticket={real}&ticket={real}"), 401),
        // None of these has used it up.
        (format!("/whoami?ticket={real}"), 200),
    ] {
        let answer = get(&network, &path, &[]).await;
        assert_eq!(answer.0, status, "{path} {}", answer.1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_several_parts_of_a_request_ask_for_is_taken_once() {
    let mut app = with_endpoints(App::new());
    app.get(
        "/twice",
        async |one: Authenticated, two: Option<Authenticated>| {
            format!("{} {}", one.claims.email, two.unwrap().claims.email)
        },
    );
    app.layer(ClientLimit::per_user(TokenBucket::new(100, 100)));
    let network = Network::new(app);
    let path = format!("/twice?ticket={}", ticket(&network).await);
    let (status, _) = get(&network, &path, &[]).await;
    assert_eq!(status, 200);
    assert_eq!(get(&network, &path, &[]).await.0, 401);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_lasts_for_30_s_or_up_to_10_minutes_and_its_socket_for_as_long_as_it_says() {
    for (ttl, seconds) in [(None, 30), (Some(0), 1), (Some(7), 7), (Some(9000), 600)] {
        let mut given = Ticket::new(ada());
        if let Some(ttl) = ttl {
            given = given.ttl(Duration::from_secs(ttl));
        }
        let network = Network::new(App::new());
        let before = now();
        let issued = network.handle().issue_ticket(&given).await.unwrap();
        let expires = issued.expires_at.unix_ms();
        assert_eq!(expires % 1000, 0);
        assert!(
            (before..=now()).contains(&(expires / 1000 - seconds)),
            "{ttl:?}"
        );
        assert!(!format!("{issued:?}").contains(&issued.ticket));
        // What is checked is what is signed, and for nothing else than a ticket.
        let signed = issued.ticket.split('.').nth(1).unwrap();
        let signed: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed).unwrap()).unwrap();
        assert_eq!(signed["exp"], expires / 1000, "{ttl:?}");
        assert_eq!(signed["aud"], "nextrush.ticket");
    }
    let mut app = with_endpoints(App::new());
    app.get("/session", async |user: Authenticated| {
        format!("{:?} {:?}", user.session, user.expires)
    });
    let network = Network::new(app);
    let given = Ticket::new(ada()).session("s-1").expires(now() + 60);
    let issued = network.handle().issue_ticket(&given).await.unwrap();
    let (_, told) = get(&network, &format!("/session?ticket={}", issued.ticket), &[]).await;
    assert_eq!(told, format!("Some(\"s-1\") Some({})", now() + 60));
    let issued = network.handle().issue_ticket(&given).await.unwrap();
    let opened = network
        .connect(&format!("/ws?ticket={}", issued.ticket))
        .await;
    let mut client = opened.unwrap();
    network.advance(SECOND * 70).await;
    assert_eq!(client.text().await, "ada@example.com");
    assert_eq!(client.closed().await.unwrap().reason(), "Token expired");
}

#[tokio::test(start_paused = true)]
async fn tickets_go_with_a_way_of_the_applications_own_and_with_other_claims() {
    let mut app: App = App::new();
    app.authenticate(async |_: Parts| None::<User>);
    app.get("/whoami", async |user: Authenticated| user.claims.email);
    app.get("/number", async |user: Authenticated<u64>| {
        user.claims.to_string()
    });
    let network = Network::new(app);
    let path = format!("/whoami?ticket={}", ticket(&network).await);
    assert_eq!(get(&network, &path, &[]).await.0, 200);
    assert_eq!(get(&network, &path, &[]).await.0, 401);
    let issued = network
        .handle()
        .issue_ticket(&Ticket::new(7))
        .await
        .unwrap();
    let path = format!("/number?ticket={}", issued.ticket);
    assert_eq!(get(&network, &path, &[]).await, (200, "7".to_owned()));
    let long = Ticket::new("x".repeat(8 * 1024));
    let issued = network.handle().issue_ticket(&long).await;
    assert!(matches!(issued, Err(TicketError::TooLong)), "{issued:?}");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_user_has_no_tickets_of_before() {
    let network = Network::new(with_endpoints(App::new()));
    let ticket = ticket(&network).await;
    // A millisecond of the clock has to pass: the ticket is of the moment before.
    let issued = Timestamp::now();
    while Timestamp::now() == issued {
        std::hint::spin_loop();
    }
    let (user, code) = ("ada".into(), CloseCode::POLICY_VIOLATION);
    let revoked = network
        .handle()
        .revoke(&user, Timestamp::now(), code, "Gone");
    network.run_until(revoked).await.unwrap();
    let (status, _) = get(&network, &format!("/whoami?ticket={ticket}"), &[]).await;
    assert_eq!(status, 401);
    assert_eq!(jwt().verify::<User>(&token(Some(0))).unwrap().claims, ada());
}

#[tokio::test(start_paused = true)]
async fn while_the_broker_is_away_a_ticket_is_unavailable_and_not_used_up() {
    let make = |builder: nextrush::AppBuilder| with_endpoints(builder.build());
    let cluster = Cluster::new(1, ["one", "two"], make);
    cluster.settle().await;
    let (one, two) = (cluster.node("one"), cluster.node("two"));
    // Both know the key.
    for node in [&one, &two] {
        let path = format!("/whoami?ticket={}", ticket(node).await);
        assert_eq!(get(node, &path, &[]).await.0, 200);
    }
    let path = format!("/whoami?ticket={}", ticket(&one).await);
    cluster.cut("two");
    cluster.advance(SECOND * 10).await;
    let request = Request::get(&path).body(axum::body::Body::empty()).unwrap();
    assert_eq!(two.request(request).await.status().as_u16(), 503);
    assert_eq!(get(&one, &path, &[]).await.0, 200);
}
