//! A client of live updates, as the documentation wants it: it keeps the position of the
//! last update that it has handled, and comes back with it.

use std::collections::VecDeque;

use nextrush::testing::{Client, Network};
use serde_json::{Value, json};

use super::oracle::{Oracle, Seen};
use super::{CHANNELS, Tally, WINDOW, topic_of_channel};

/// The most updates that a client is sent after coming back.
const RECOVERY_LIMIT: usize = 300;

#[derive(Default)]
pub struct Subscriber {
    client: Option<Client>,
    /// Its messages may have waited for it since it connected.
    is_slow: bool,
    views: [View; CHANNELS.len()],
    /// What it has not been answered yet, the oldest first.
    asked: VecDeque<Asked>,
}

/// What it knows of a channel.
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
    pub fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    pub async fn connect(&mut self, network: &Network) {
        if self.client.is_none() {
            let client = network.connect("/live").await.unwrap();
            client.set_window(WINDOW);
            self.client = Some(client);
            self.is_slow = false;
        }
    }

    /// Subscribes, with its position if it has one.
    pub fn subscribe(&mut self, channel: usize) {
        let Some(client) = &self.client else { return };
        // What it is sent until an answer comes, it could not tell apart.
        if self.asked.iter().any(|asked| asked.channel() == channel) {
            return;
        }
        let seen = self.views[channel].seen.clone();
        let mut message = json!({ "type": "subscribe", "channel": CHANNELS[channel].0 });
        if let Some(Seen { epoch, offset }) = &seen {
            message["since"] = json!({ "epoch": epoch, "offset": offset });
        }
        client.send_json(&message);
        self.asked.push_back(Asked::Subscribe(channel, seen));
    }

    pub fn unsubscribe(&mut self, channel: usize) {
        if let Some(client) = &self.client {
            client.send_json(&json!({ "type": "unsubscribe", "channel": CHANNELS[channel].0 }));
            self.asked.push_back(Asked::Unsubscribe(channel));
        }
    }

    /// Its messages wait for it from now on, or may do so.
    pub fn slow_down(&mut self, how: impl FnOnce(&Client)) {
        if let Some(client) = &self.client {
            how(client);
            self.is_slow = true;
        }
    }

    /// Loses its connection, with all that has come and was not handled.
    pub fn cut(&mut self) {
        self.client = None;
        self.asked.clear();
        for view in &mut self.views {
            view.is_subscribed = false;
        }
    }

    /// Handles what has come.
    pub fn handle_all(&mut self, oracle: &Oracle, tally: &mut Tally) {
        let Some(mut client) = self.client.take() else {
            return;
        };
        while let Some(message) = client.try_recv() {
            let message: Value = message.json().unwrap();
            tally.note(&message);
            self.handle(&message, oracle, tally);
        }
        if client.is_closed() {
            let reason = client.close_frame();
            assert!(
                self.is_slow || tally.is_ending,
                "closed without need: {reason:?}"
            );
            tally.closed += 1;
            self.cut();
        } else {
            self.client = Some(client);
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
                let seen = self.views[channel].expecting(message);
                assert_eq!(message["offset"], seen.offset + 1, "{seen:?}, {message}");
                seen.offset += 1;
                let data = oracle.data(&topic_of_channel(channel), seen);
                assert_eq!(message["data"], data, "{seen:?}");
                tally.delivered += 1;
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
        let is_new = !std::mem::replace(&mut view.is_subscribed, true);
        let Some(since) = since.filter(|_| is_new) else {
            assert_eq!(message.get("recovered"), None, "{message}");
            if !is_new {
                assert_eq!(view.seen.as_ref(), Some(&now), "nothing changes: {message}");
            }
            view.seen = Some(now);
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

    /// Reads again if it was slow.
    pub fn resume(&self) {
        if let Some(client) = &self.client {
            client.set_window(WINDOW);
            client.resume();
        }
    }

    /// In the end it has everything, and waits for nothing.
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
    let channel = CHANNELS.iter().position(|(known, _)| *known == name);
    channel.expect("a channel that it has subscribed to")
}

pub fn position(message: &Value) -> Seen {
    Seen {
        epoch: message["epoch"].as_str().unwrap().to_owned(),
        offset: message["offset"].as_u64().unwrap(),
    }
}
