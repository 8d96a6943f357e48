//! A client of the chat: it comes back with the position of the last message that it has
//! handled, and says again what was not acknowledged.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::MUCH;
use super::channels::topic_of_room;
use super::link::Link;
use super::node::Node;
use super::oracle::{Oracle, Seen};
use super::subscriber::position;
use super::tally::Tally;

/// The messages that a room keeps.
const KEPT: usize = 100;
/// The messages that a client gets if it comes without a position, or cannot recover.
const LAST: u64 = 50;

pub struct Talker {
    name: String,
    room: usize,
    pub link: Link,
    /// True if the history with which a connection begins has come.
    is_in: bool,
    since: Option<Seen>,
    seen: Option<Seen>,
    said: u32,
    /// The texts that were not acknowledged, by id.
    unanswered: BTreeMap<String, String>,
}

impl Talker {
    pub fn new(number: usize, room: usize) -> Self {
        Self {
            name: format!("talker-{number}"),
            room,
            link: Link::default(),
            is_in: false,
            since: None,
            seen: None,
            said: 0,
            unanswered: BTreeMap::new(),
        }
    }

    pub async fn connect(&mut self, node: &Node) {
        if self.link.client().is_some() {
            return;
        }
        let mut path = format!("/chat/{}?user={}", self.room, self.name);
        if let Some(Seen { epoch, offset }) = &self.seen {
            path = format!("{path}&epoch={epoch}&offset={offset}");
        }
        self.link.connect(node, &path).await;
        self.since.clone_from(&self.seen);
        self.is_in = false;
        for (id, text) in &self.unanswered {
            self.send(id, text);
        }
    }

    pub fn say(&mut self, padding: &str) {
        self.said += 1;
        let id = format!("{} {}", self.name, self.said);
        let text = format!("{id} {padding}");
        if self.link.client().is_some() {
            self.send(&id, &text);
            self.unanswered.insert(id, text);
        }
    }

    /// Says more than may wait for a slow reader.
    pub fn flood(&mut self) {
        for _ in 0..30 {
            self.say(&"x".repeat(MUCH));
        }
    }

    fn send(&self, id: &str, text: &str) {
        if let Some(client) = self.link.client() {
            client.send_json(&json!({ "type": "chat", "id": id, "text": text }));
        }
    }

    pub fn cut(&mut self) {
        self.link.cut();
    }

    pub fn handle_all(&mut self, oracle: &Oracle, tally: &mut Tally) {
        while let Some(message) = self.link.take() {
            tally.note(&message);
            self.handle(&message, oracle, tally);
        }
        self.link.has_ended(tally);
    }

    fn handle(&mut self, message: &Value, oracle: &Oracle, tally: &mut Tally) {
        let kind = message["type"].as_str().unwrap();
        assert!(
            self.is_in || kind == "room-history" || kind == "reconnect",
            "the history comes first: {message}"
        );
        match kind {
            "room-history" => self.begin(message, oracle, tally),
            "chat-message" => {
                self.next(message, oracle);
                tally.delivered += 1;
            }
            "ack" => {
                let id = message["id"].as_str().unwrap();
                let text = self.unanswered.remove(id).expect("one answer to each");
                let is_it = |said: &Value| said["text"] == *text;
                let said = oracle.data(&topic_of_room(self.room), &position(message), is_it);
                assert_eq!(said["text"], *text, "where it was said");
            }
            "user-joined" | "user-left" => {}
            "reconnect" => assert!(tally.is_ending),
            _ => panic!("unexpected: {message}"),
        }
    }

    fn begin(&mut self, message: &Value, oracle: &Oracle, tally: &mut Tally) {
        let topic = topic_of_room(self.room);
        let now = position(message);
        let messages = message["messages"].as_array().unwrap();
        if std::mem::replace(&mut self.is_in, true) {
            return self.heal(message, messages, &now, oracle, tally);
        }
        let since = self.since.take();
        match (&since, message.get("recovered")) {
            (None, None) => {}
            (Some(since), Some(Value::Bool(true))) => {
                assert_eq!(since.epoch, now.epoch);
                tally.recovered += 1;
                self.all(messages, since.offset, &now, oracle);
                return;
            }
            (Some(since), Some(Value::Bool(false))) => {
                match message["reason"].as_str().unwrap() {
                    "epoch" => assert_ne!(since.epoch, now.epoch),
                    "history" => oracle.check_lost(&topic, since, &now, KEPT),
                    reason => panic!("{reason}: {since:?}, {now:?}"),
                }
                tally.refused += 1;
            }
            _ => panic!("{since:?}, {message}"),
        }
        let before = now.offset.saturating_sub(LAST);
        self.all(messages, before, &now, oracle);
    }

    /// Takes what it missed as it was slow, or the next part of it.
    fn heal(
        &mut self,
        message: &Value,
        messages: &[Value],
        now: &Seen,
        oracle: &Oracle,
        tally: &mut Tally,
    ) {
        assert!(self.link.is_slow(), "{message}");
        let seen = self.seen.clone().expect("a history has come");
        assert_eq!(seen.epoch, now.epoch);
        let mut before = seen.offset;
        if message["recovered"] == false {
            assert_eq!(message["reason"], "history");
            let first = messages.first();
            before = first.map_or(now.offset, |first| first["offset"].as_u64().unwrap() - 1);
            assert!(before > seen.offset, "nothing is missing: {message}");
            oracle.check_gap(&topic_of_room(self.room), before);
            tally.gaps += before - seen.offset;
        }
        self.all(messages, before, now, oracle);
    }

    /// Takes a history that has to hold all that is after `before`, up to `now`.
    fn all(&mut self, messages: &[Value], before: u64, now: &Seen, oracle: &Oracle) {
        self.seen = Some(Seen {
            offset: before,
            ..now.clone()
        });
        for message in messages {
            self.next(message, oracle);
        }
        assert_eq!(self.seen.as_ref(), Some(now), "the history is whole");
    }

    fn next(&mut self, message: &Value, oracle: &Oracle) {
        let seen = self.seen.as_mut().expect("a history has come");
        assert_eq!(message["offset"], seen.offset + 1, "{seen:?}, {message}");
        seen.offset += 1;
        let is_it = |said: &Value| said["text"] == message["text"];
        let said = oracle.data(&topic_of_room(self.room), seen, is_it);
        assert_eq!(message["text"], said["text"], "{seen:?}");
        assert_eq!(message["user"], said["user"], "{seen:?}");
    }

    pub fn check_done(&self, oracle: &Oracle) {
        assert!(self.is_in, "no history came");
        assert!(self.unanswered.is_empty(), "{:?}", self.unanswered);
        assert_eq!(self.seen, oracle.top(&topic_of_room(self.room)));
    }
}
