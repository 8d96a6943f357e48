//! Revoking the tokens of a user that were issued before a moment.

use nextrush::broker::{HistoryQuery, MemoryBroker, MemoryLimits, TopicName};
use nextrush::message::Timestamp;
use nextrush::testing::{Client, Cluster, Network};
use nextrush::{App, AppBuilder, Authenticated, CloseCode, Handle, Socket, User};
use serde_json::json;

use crate::support::{SECOND, ada, get, jwt, now, token, with_endpoints};

const CODE: CloseCode = CloseCode::POLICY_VIOLATION;

/// The moment so many seconds ago.
fn ago(seconds: u64) -> Timestamp {
    Timestamp::from_unix_ms((now() - seconds) * 1000)
}

async fn revoke(network: &Network, before: Timestamp) -> usize {
    let user = "ada".into();
    let revoked = network
        .handle()
        .revoke(&user, before, CODE, "Password changed");
    let reached = network.run_until(revoked).await.unwrap();
    assert_eq!(reached.unanswered, []);
    reached.sockets
}

async fn connect(network: &Network, token: &str) -> Client {
    let mut client = network
        .connect(&format!("/ws?token={token}"))
        .await
        .unwrap();
    assert_eq!(client.text().await, "ada@example.com");
    client
}

async fn assert_ended(client: &mut Client) {
    let frame = client.closed().await.unwrap();
    assert_eq!((frame.code(), frame.reason()), (CODE, "Password changed"));
}

#[tokio::test(start_paused = true)]
async fn revoking_ends_sockets_and_refuses_tokens_that_were_issued_before_the_moment() {
    let network = Network::new(with_endpoints(App::new()));
    let (old, new, silent) = (token(Some(100)), token(Some(10)), token(None));
    let mut first = connect(&network, &old).await;
    let second = connect(&network, &new).await;
    let mut third = connect(&network, &silent).await;
    assert_eq!(revoke(&network, ago(50)).await, 2);
    assert_ended(&mut first).await;
    assert_ended(&mut third).await;
    assert!(!second.is_closed());
    for (token, status) in [
        (&old, 401),
        (&new, 200),
        (&silent, 401),
        (&token(Some(49)), 200),
    ] {
        let by_address = get(&network, &format!("/whoami?token={token}"), &[]).await;
        let header = format!("Bearer {token}");
        let by_header = get(&network, "/whoami", &[("authorization", &header)]).await;
        assert_eq!((by_address.0, by_header.0), (status, status));
    }
    // An earlier moment changes nothing, a later one does.
    assert_eq!(revoke(&network, ago(80)).await, 0);
    assert_eq!(
        get(&network, &format!("/whoami?token={old}"), &[]).await.0,
        401
    );
    assert_eq!(revoke(&network, ago(5)).await, 1);
    assert_eq!(
        get(&network, &format!("/whoami?token={new}"), &[]).await.0,
        401
    );
    // Others are not meant.
    let bob = jwt().sign_for(&User::new("bob", ""), SECOND * 60).unwrap();
    assert_eq!(
        get(&network, &format!("/whoami?token={bob}"), &[]).await.0,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_time_of_issue_is_none_counts_as_issued_long_ago() {
    let network = Network::new(with_endpoints(App::new()));
    let times = [
        json!(now().to_string()),
        json!(true),
        json!([now()]),
        json!({}),
        json!(null),
    ];
    let tokens = times.map(|iat| {
        let claims = json!({ "id": "ada", "email": "", "iat": iat, "exp": now() + 60 });
        jwt().sign(&claims).unwrap()
    });
    for (revoked, status) in [(false, 200), (true, 401)] {
        if revoked {
            revoke(&network, ago(50)).await;
        }
        for token in &tokens {
            let answer = get(&network, &format!("/whoami?token={token}"), &[]).await;
            assert_eq!(answer.0, status, "{token}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_moment_that_lies_ahead_counts_as_now() {
    let network = Network::new(with_endpoints(App::new()));
    let ahead = Timestamp::from_unix_ms((now() + 1000) * 1000);
    revoke(&network, ahead).await;
    let issued = json!({ "id": "ada", "email": "", "iat": now() + 1, "exp": now() + 60 });
    let token = jwt().sign(&issued).unwrap();
    assert_eq!(
        get(&network, &format!("/whoami?token={token}"), &[])
            .await
            .0,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_socket_cannot_refresh_with_a_revoked_token_and_counts_as_issued_with_the_new_one()
{
    let network = Network::new(with_endpoints(App::new()));
    let mut client = connect(&network, &token(Some(10))).await;
    let mut refreshed = connect(&network, &token(Some(200))).await;
    refreshed.send_json(&json!({ "type": "refresh", "token": token(Some(5)) }));
    assert_eq!(refreshed.json().await["type"], "refreshed");
    assert_eq!(revoke(&network, ago(50)).await, 0);
    client.send_json(&json!({ "type": "refresh", "token": token(Some(60)) }));
    assert_eq!(client.json().await["code"], "invalid-token");
    assert!(!client.is_closed() && !refreshed.is_closed());
}

#[tokio::test(start_paused = true)]
async fn on_all_nodes_and_on_those_that_start_later() {
    let make = |builder: AppBuilder| with_endpoints(builder.build());
    let cluster = Cluster::new(1, ["one", "two"], make);
    cluster.settle().await;
    let (one, two) = (cluster.node("one"), cluster.node("two"));
    let mut here = connect(&one, &token(Some(100))).await;
    let mut there = connect(&two, &token(Some(100))).await;
    let newer = connect(&two, &token(Some(10))).await;
    assert_eq!(revoke(&one, ago(50)).await, 2);
    assert_ended(&mut here).await;
    assert_ended(&mut there).await;
    assert!(!newer.is_closed());
    cluster.start("three");
    for name in ["one", "two", "three"] {
        let node = cluster.node(name);
        let old = get(&node, &format!("/whoami?token={}", token(Some(100))), &[]).await;
        let new = get(&node, &format!("/whoami?token={}", token(Some(10))), &[]).await;
        assert_eq!((old.0, new.0), (401, 200), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_learns_of_it_when_it_is_back() {
    let make = |builder: AppBuilder| with_endpoints(builder.build());
    let cluster = Cluster::new(1, ["one", "two"], make);
    cluster.settle().await;
    let (one, two) = (cluster.node("one"), cluster.node("two"));
    let mut there = connect(&two, &token(Some(100))).await;
    cluster.cut("two");
    let user = "ada".into();
    let revoked = one
        .handle()
        .revoke(&user, ago(50), CODE, "Password changed");
    let reached = cluster.run_until(revoked).await.unwrap();
    assert_eq!(reached.sockets, 0);
    assert!(!there.is_closed());
    cluster.mend("two");
    cluster.advance(SECOND * 20).await;
    assert_ended(&mut there).await;
    let old = get(&two, &format!("/whoami?token={}", token(Some(100))), &[]).await;
    assert_eq!(old.0, 401);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_admitted_meanwhile_does_not_slip_through() {
    let mut app: App = App::new();
    app.jwt(jwt());
    app.ws(
        "/slow",
        async |socket: Socket, app: Handle, user: Authenticated| {
            let revoked = app
                .revoke(&user.claims.id, ago(50), CODE, "Password changed")
                .await;
            assert_eq!(revoked.unwrap().sockets, 0);
            user.admit(&socket);
        },
    );
    let network = Network::new(app);
    let path = format!("/slow?token={}", token(Some(100)));
    let mut client = network.connect(&path).await.unwrap();
    assert_ended(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn users_by_a_way_of_ones_own_are_refused_where_it_says_when_they_signed_in() {
    let mut app: App = App::new();
    app.authenticate(async |request: http::request::Parts| {
        let user = Authenticated::from(ada());
        Some(match request.headers.get("x-signed-in") {
            Some(seconds) => user.issued_at(seconds.to_str().unwrap().parse().unwrap()),
            None => user,
        })
    });
    app.get("/whoami", async |user: Authenticated| user.claims.email);
    app.ws("/ws", |socket: Socket, user: Authenticated| {
        socket.send(user.admit(&socket).email);
    });
    let network = Network::new(app);
    let mut client = connect(&network, "").await;
    assert_eq!(revoke(&network, ago(50)).await, 1);
    assert_ended(&mut client).await;
    let (before, after) = ((now() - 60).to_string(), now().to_string());
    for (headers, status) in [
        (&[][..], 200),
        (&[("x-signed-in", &*before)], 401),
        (&[("x-signed-in", &*after)], 200),
    ] {
        assert_eq!(
            get(&network, "/whoami", headers).await.0,
            status,
            "{headers:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_of_another_claim_is_revoked_by_it() {
    let mut app = App::new();
    let jwt = jwt().id_claim("sub");
    app.jwt(jwt.clone());
    app.get("/whoami", async |user: Authenticated| user.claims.email);
    app.ws("/ws", |socket: Socket, user: Authenticated| {
        socket.send(user.admit(&socket).email);
    });
    let network = Network::new(app);
    let token = |issued: u64| {
        let claims =
            json!({ "sub": "ada", "name": "ada@example.com", "iat": issued, "exp": now() + 60 });
        jwt.sign(&claims).unwrap()
    };
    let (old, new) = (token(now() - 100), token(now() - 10));
    let mut client = connect(&network, &old).await;
    assert_eq!(revoke(&network, ago(50)).await, 1);
    assert_ended(&mut client).await;
    for (token, status) in [(&old, 401), (&new, 200)] {
        let answer = get(&network, &format!("/whoami?token={token}"), &[]).await;
        assert_eq!(answer.0, status);
    }
}

#[tokio::test(start_paused = true)]
async fn revocations_are_kept_however_much_else_is_said() {
    let limits = MemoryLimits::default().topics(8).history_bytes(100_000);
    let broker = MemoryBroker::builder().limits(limits).build();
    let app = App::builder().broker(broker).build();
    let network = Network::new(with_endpoints(app));
    for number in 0..40 {
        let user = format!("user {number} with a long name {}", "x".repeat(1000)).into();
        let revoked = network.handle().revoke(&user, ago(50), CODE, "Gone");
        network.run_until(revoked).await.unwrap();
    }
    for number in 0..100 {
        let topic = network.handle().topic(&format!("topic-{number}"));
        let said = "x".repeat(1000);
        for _ in 0..10 {
            let publish = topic.publish(&said);
            network.run_until(publish).await.unwrap();
        }
    }
    let topic = TopicName::try_from("nr.auth/tokens/revoked").unwrap();
    let app = network.handle();
    let kept = app
        .broker()
        .history(&topic, HistoryQuery::Latest(100))
        .await
        .unwrap();
    assert_eq!(kept.publications.len(), 40);
}
