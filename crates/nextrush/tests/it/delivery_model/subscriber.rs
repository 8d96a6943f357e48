//! A client of live updates, as the documentation wants it: it keeps the position of the
//! last update that it has handled, and comes back with it.

use std::collections::VecDeque;

use nextrush::testing::Network;
use nextrush::topic::SlowReaders;
use serde_json::{Value, json};

use super::link::Link;
use super::oracle::{Oracle, Seen};
use super::{CHANNELS, Tally, topic_of_channel};

/// The most updates that a client is sent after coming back.
const RECOVERY_LIMIT: usize = 300;

#[derive(Default)]
pub struct Subscriber {
    pub link: Link,
    views: [View; CHANNELS.len()],
    /// The requests that were not answered yet, the oldest first.
    asked: VecDeque<Asked>,
}

/// A channel as the client knows it.
#[derive(Clone, Default)]
struct View {
    is_subscribed: bool,
    seen: Option<Seen>,
}

enum Asked {
    Subscribe(usize, Option<Seen>),
    Unsubscribe(usize),
}

impl Subscriber {
    pub async fn connect(&mut self, network: &Network) {
        if self.link.client().is_none() {
            self.link.connect(network, "/live").await;
        }
    }

    /// The channels that the client is subscribed to, as far as it knows.
    pub fn channels(&self) -> Vec<usize> {
        let views = self.views.iter().enumerate();
        views
            .filter_map(|(channel, view)| view.is_subscribed.then_some(channel))
            .collect()
    }

    /// Subscribes, with its position if it has one.
    pub fn subscribe(&mut self, channel: usize) {
        let Some(client) = self.link.client() else {
            return;
        };
        // What it is sent until an answer comes, it could not tell apart.
        if self.asked.iter().any(|asked| asked.channel() == channel) {
            return;
        }
        let seen = self.views[channel].seen.clone();
        let mut message = json!({ "type": "subscribe", "channel": CHANNELS[channel].name });
        if let Some(Seen { epoch, offset }) = &seen {
            message["since"] = json!({ "epoch": epoch, "offset": offset });
        }
        client.send_json(&message);
        self.asked.push_back(Asked::Subscribe(channel, seen));
        self.link.is_exposed |= CHANNELS[channel].slow_readers == SlowReaders::Close;
    }

    pub fn unsubscribe(&mut self, channel: usize) {
        if let Some(client) = self.link.client() {
            client.send_json(&json!({ "type": "unsubscribe", "channel": CHANNELS[channel].name }));
            self.asked.push_back(Asked::Unsubscribe(channel));
        }
    }

    /// Loses its connection, with all that has come and was not handled.
    pub fn cut(&mut self) {
        self.link.cut();
        self.asked.clear();
        for view in &mut self.views {
            view.is_subscribed = false;
        }
    }

    /// Handles what has come.
    pub fn handle_all(&mut self, oracle: &Oracle, tally: &mut Tally) {
        while let Some(message) = self.link.take() {
            tally.note(&message);
            self.handle(&message, oracle, tally);
        }
        if self.link.has_ended(tally) {
            self.cut();
        }
    }

    fn handle(&mut self, message: &Value, oracle: &Oracle, tally: &mut Tally) {
        match message["type"].as_str().unwrap() {
            "subscribed" => self.subscribed(message, oracle, tally),
            "unsubscribed" => {
                let Some(Asked::Unsubscribe(channel)) = self.asked.pop_front() else {
                    panic!("unasked: {message}");
                };
                self.views[channel].is_subscribed = false;
            }
            "update" => {
                let channel = channel_of(message);
                let is_latest = CHANNELS[channel].slow_readers == SlowReaders::Latest;
                let seen = self.views[channel].expecting(message);
                let offset = message["offset"].as_u64().unwrap();
                if is_latest && self.link.is_slow() {
                    assert!(offset > seen.offset, "{seen:?}, {message}");
                } else {
                    assert_eq!(offset, seen.offset + 1, "{seen:?}, {message}");
                }
                seen.offset = offset;
                let data = oracle.data(&topic_of_channel(channel), seen);
                assert_eq!(message["data"], data, "{seen:?}");
                tally.delivered += 1;
            }
            "gap" => {
                let channel = channel_of(message);
                let seen = self.views[channel].expecting(message);
                let to = message["to"].as_u64().unwrap();
                assert_eq!(message["epoch"], seen.epoch, "{seen:?}, {message}");
                if to <= seen.offset {
                    // For those who came before the stream began anew.
                    return;
                }
                assert!(self.link.is_slow(), "{message}");
                assert_eq!(message["from"], seen.offset + 1, "{seen:?}, {message}");
                oracle.check_gap(&topic_of_channel(channel), to);
                tally.gaps += to - seen.offset;
                seen.offset = to;
            }
            "reconnect" => assert!(tally.is_ending),
            _ => panic!("unexpected: {message}"),
        }
    }

    fn subscribed(&mut self, message: &Value, oracle: &Oracle, tally: &mut Tally) {
        let channel = channel_of(message);
        let since = match self.asked.pop_front() {
            Some(Asked::Subscribe(asked, since)) if asked == channel => since,
            _ => panic!("unasked: {message}"),
        };
        let view = &mut self.views[channel];
        let now = position(message);
        let is_latest = CHANNELS[channel].slow_readers == SlowReaders::Latest;
        assert_eq!(message.get("latest").is_some(), is_latest, "{message}");
        let is_new = !std::mem::replace(&mut view.is_subscribed, true);
        let Some(since) = since.filter(|_| is_new) else {
            assert_eq!(message.get("recovered"), None, "{message}");
            match &view.seen {
                // Nothing changes; what it has missed may still be on its way.
                Some(seen) if !is_new => {
                    assert_eq!(seen.epoch, now.epoch);
                    assert!(seen.offset <= now.offset, "{seen:?}, {message}");
                }
                _ => view.seen = Some(now),
            }
            return;
        };
        if message["recovered"] == true {
            // What it missed follows, and is checked as it comes.
            assert_eq!(since.epoch, now.epoch);
            tally.recovered += 1;
            return;
        }
        assert_eq!(message["recovered"], false);
        match message["reason"].as_str().unwrap() {
            "epoch" => assert_ne!(since.epoch, now.epoch),
            "history" => {
                oracle.check_lost(&topic_of_channel(channel), &since, &now, RECOVERY_LIMIT);
            }
            reason => panic!("{reason}: {since:?}, {now:?}"),
        }
        tally.refused += 1;
        view.seen = Some(now);
    }

    /// Asserts that, in the end, the client has everything and waits for nothing.
    pub fn check_done(&self, oracle: &Oracle) {
        assert!(self.asked.is_empty(), "it was not answered");
        for (channel, view) in self.views.iter().enumerate() {
            assert!(view.is_subscribed, "it is not subscribed");
            assert_eq!(view.seen, oracle.top(&topic_of_channel(channel)));
        }
    }
}

impl View {
    /// The position of a client that should get this.
    fn expecting(&mut self, message: &Value) -> &mut Seen {
        assert!(self.is_subscribed, "not subscribed: {message}");
        self.seen
            .as_mut()
            .expect("who is subscribed has a position")
    }
}

impl Asked {
    fn channel(&self) -> usize {
        match self {
            Self::Subscribe(channel, _) | Self::Unsubscribe(channel) => *channel,
        }
    }
}

fn channel_of(message: &Value) -> usize {
    let name = message["channel"].as_str().unwrap();
    let channel = CHANNELS.iter().position(|channel| channel.name == name);
    channel.expect("a channel that it has subscribed to")
}

pub fn position(message: &Value) -> Seen {
    Seen {
        epoch: message["epoch"].as_str().unwrap().to_owned(),
        offset: message["offset"].as_u64().unwrap(),
    }
}
