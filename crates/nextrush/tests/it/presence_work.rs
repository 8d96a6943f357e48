//! Presence by those who want more of it than a share: pages, and the work of each user.

use std::time::Duration;

use axum::extract::Path;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::{Client, Network};
use nextrush::{App, LiveUpdates, Socket, User};
use serde_json::{Value, json};

/// The deliveries that a user has at once.
const AT_ONCE: usize = 50_000;

/// A network with users whose profiles have so many bytes.
fn network(profile: usize) -> Network {
    let mut app = App::new();
    let channels = ChannelPolicies::new().policy("team", ChannelPolicy::new().presence());
    let live = LiveUpdates::builder()
        .policies(channels)
        .show_user(
            move |_: &Socket, user: &User| json!({ "id": user.id, "about": "x".repeat(profile) }),
        )
        .build(&app, "live");
    app.ws(
        "/live/:name",
        move |socket: Socket, Path(name): Path<String>| {
            let email = format!("{name}@example.com");
            socket.identify(User::new(name, email)).unwrap();
            live.connect(&socket);
        },
    );
    Network::new(app)
}

async fn join(network: &Network, name: &str) -> Client {
    let mut client = network.connect(&format!("/live/{name}")).await.unwrap();
    assert_eq!(ask(&mut client, "subscribe").await["type"], "subscribed");
    client
}

/// Sends a message about the channel and returns its answer; what others do is passed over.
async fn ask(client: &mut Client, kind: &str) -> Value {
    answer(client, json!({ "type": kind })).await
}

async fn answer(client: &mut Client, mut message: Value) -> Value {
    message["channel"] = "team".into();
    message["id"] = "a".into();
    client.send_json(&message);
    loop {
        let answer = client.json().await;
        if answer["id"] == "a" {
            return answer;
        }
    }
}

/// Fills the channel with 100 devices that say 4 KB each.
async fn crowd(network: &Network) -> Vec<Client> {
    let mut devices = Vec::new();
    for device in 0..100 {
        let mut client = join(network, &format!("user-{}", device % 5)).await;
        let data = json!({ "type": "presence-update", "data": "x".repeat(4000) });
        assert_eq!(answer(&mut client, data).await["type"], "ack");
        for other in &mut devices {
            drain(other);
        }
        devices.push(client);
    }
    devices
}

fn drain(client: &mut Client) -> usize {
    std::iter::from_fn(|| client.try_recv()).count()
}

#[tokio::test(start_paused = true)]
async fn pages_and_the_changes_between_them_are_the_whole_channel() {
    let network = network(0);
    let mut devices = crowd(&network).await;
    let mut eve = join(&network, "eve").await;
    let whole = ask(&mut eve, "presence").await;
    assert_eq!(
        (&whole["next"], &whole["after"]),
        (&Value::Null, &Value::Null)
    );
    let count = |message: &Value| -> usize {
        let members = message["members"].as_array().unwrap().iter();
        members
            .map(|member| member["devices"].as_array().unwrap().len())
            .sum()
    };
    assert_eq!(count(&whole), 101);

    let (mut after, mut together, mut version) = (0, 0, None);
    for page in 0.. {
        let ask = json!({ "type": "presence", "after": after });
        let answer = answer(&mut eve, ask).await;
        assert!(answer.to_string().len() <= 64 * 1024);
        assert_eq!(answer["after"], after);
        together += count(&answer);
        if page == 2 {
            // One that is in a page already, and one that would be in a later one.
            devices.remove(99).close(1000, "");
            devices.remove(0).close(1000, "");
            for _ in 0..2 {
                let diff = eve.json().await;
                assert_eq!(diff["type"], "presence-diff");
                version = Some(diff["version"].clone());
            }
        } else if page > 2 {
            assert_eq!(Some(&answer["version"]), version.as_ref());
        }
        match answer["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(together, 100);
    for wrong in [json!(-1), json!("a"), json!(0.5)] {
        let refusal = answer(&mut eve, json!({ "type": "presence", "after": wrong })).await;
        assert_eq!(refusal["code"], "invalid-format");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_the_members_without_end_is_told_when_to_go_on_and_nobody_else_is_held_back() {
    let network = network(0);
    let _devices = crowd(&network).await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(join(&network, "eve").await);
    }
    let mut bob = join(&network, "bob").await;
    let mut bytes = 0;
    let refusal = loop {
        // The sockets of a user count together.
        sockets.rotate_left(1);
        let answer = ask(&mut sockets[0], "presence").await;
        if answer["type"] == "error" {
            break answer;
        }
        bytes += answer.to_string().len();
        assert!(bytes <= AT_ONCE * 1024, "{bytes}");
    };
    // All that one may have at once, and not a fraction of it.
    assert!(bytes > AT_ONCE * 1024 / 10 * 9, "{bytes}");
    assert_eq!(refusal["code"], "rate-limited");
    let ms = refusal["retryAfterMs"].as_u64().unwrap();
    assert!((1..=50).contains(&ms), "{refusal}");
    assert_eq!(ask(&mut bob, "presence").await["type"], "presence");
    network.advance(Duration::from_millis(ms)).await;
    assert_eq!(ask(&mut sockets[1], "presence").await["type"], "presence");
}

#[tokio::test(start_paused = true)]
async fn who_comes_and_goes_without_end_is_held_back_and_nobody_else() {
    let network = network(10_000);
    let mut others = Vec::new();
    for other in 0..20 {
        others.push(join(&network, &format!("user-{other}")).await);
    }
    others.iter_mut().map(drain).sum::<usize>();
    let mut eve = network.connect("/live/eve").await.unwrap();
    let mut told = 0;
    let refusal = loop {
        let answer = ask(&mut eve, "subscribe").await;
        if answer["type"] == "error" {
            break answer;
        }
        assert_eq!(ask(&mut eve, "unsubscribe").await["type"], "unsubscribed");
        told += others.iter_mut().map(drain).sum::<usize>();
        assert!(told * 10 <= AT_ONCE, "{told} messages of 10 KiB");
    };
    assert!(told * 10 > AT_ONCE / 10 * 8, "{told}");
    assert_eq!(refusal["code"], "rate-limited");
    // It is not subscribed, and may end what it does not have.
    assert_eq!(ask(&mut eve, "presence").await["code"], "not-subscribed");
    assert_eq!(ask(&mut eve, "unsubscribe").await["type"], "unsubscribed");
    // Everybody else comes back at once.
    for other in 0..20 {
        join(&network, &format!("user-{other}")).await;
    }
    let ms = refusal["retryAfterMs"].as_u64().unwrap();
    network.advance(Duration::from_millis(ms)).await;
    assert_eq!(ask(&mut eve, "subscribe").await["type"], "subscribed");
}

#[tokio::test(start_paused = true)]
async fn who_changes_its_data_without_end_is_held_back() {
    let network = network(0);
    let mut others = Vec::new();
    for other in 0..50 {
        others.push(join(&network, &format!("user-{other}")).await);
    }
    let mut eve = join(&network, "eve").await;
    others.iter_mut().map(drain).sum::<usize>();
    let mut told = 0;
    let refusal = loop {
        let data = json!({ "type": "presence-update", "data": "x".repeat(4000) });
        let answer = answer(&mut eve, data).await;
        if answer["type"] == "error" {
            break answer;
        }
        told += others.iter_mut().map(drain).sum::<usize>();
        assert!(told * 4 <= AT_ONCE, "{told} messages of 4 KiB");
    };
    assert!(told * 4 > AT_ONCE / 10 * 8, "{told}");
    assert_eq!(refusal["code"], "rate-limited");
}
