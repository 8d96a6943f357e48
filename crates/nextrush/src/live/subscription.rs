//! A socket that is about to become a subscriber.

use std::sync::Arc;

use nextrush_broker::{History, Publication, TopicName};
use serde_json::value::RawValue;

use super::dialect::Live;
use super::messages::Event;
use super::policies::ChannelPolicies;
use crate::message::request::{Answer, CommandId};
use crate::socket::Socket;
use crate::topic::{Locked, Since, SubscribeError, Wish, newest_by_key};

/// The most bytes of the newest updates that a new subscriber is given, with what waits for it.
const NEWEST_BYTES: usize = 256 * 1024;

/// A socket that is about to become a subscriber, with all that its answer says.
pub(super) struct Subscription {
    pub(super) wish: Wish<Live>,
    pub(super) since: Option<Since>,
    pub(super) history: History,
    pub(super) id: Option<CommandId>,
    /// `true` if the server has subscribed the socket, and its client comes back now.
    pub(super) rejoins: bool,
    /// `true` if the server subscribes it.
    pub(super) joined: bool,
    /// The state that the application has loaded for it.
    pub(super) data: Option<Box<RawValue>>,
}

impl Subscription {
    pub(super) fn socket(&self) -> &Socket {
        self.wish.socket()
    }

    pub(super) fn channel(&self) -> &TopicName {
        self.wish.topic().stored_name()
    }

    fn policies(&self) -> &ChannelPolicies {
        &self.wish.topic().topics().dialect().policies
    }

    /// The key of the updates of which only the newest matters; `None` where all do.
    fn latest_value(&self) -> Option<Option<&str>> {
        self.policies().latest_value(self.wish.topic().name())
    }

    /// `true` if the client gets all that it missed, and needs no state.
    pub(super) fn recovers(&self) -> bool {
        let missed = self.since.as_ref().map(|since| since.missed(&self.history));
        missed.is_some_and(|missed| missed.is_ok())
    }

    /// About the bytes of updates that the socket gets, or of its state.
    pub(super) fn bytes(&self) -> usize {
        let missed = self.since.as_ref().map(|since| since.missed(&self.history));
        match (missed, self.latest_value()) {
            (Some(Ok(missed)), _) => bytes(missed),
            (_, Some(_)) if self.data.is_none() => {
                bytes(&self.history.publications).min(NEWEST_BYTES)
            }
            _ => self.data.as_ref().map_or(0, |data| data.get().len()),
        }
    }

    /// Makes the socket a subscriber: it is answered, told what `tell` does, and gets what it
    /// missed and what follows. `shown` says whether its device is, where that matters.
    pub(super) fn enter(
        &self,
        shown: Option<bool>,
        tell: impl FnOnce(&Locked<'_>),
    ) -> Result<(), SubscribeError> {
        let Self {
            wish,
            since,
            history,
            id,
            rejoins,
            joined,
            data,
        } = self;
        let channel = wish.topic().name();
        let mut entry = wish.admit(history)?;
        // A client that has subscribed already misses nothing.
        let missed = since
            .as_ref()
            .map(|since| since.missed(history))
            .filter(|_| entry.is_new() || *rejoins);
        self.socket().app().came_back(missed.as_ref());
        let data = data.as_deref().filter(|_| entry.is_new());
        let newest = match (self.latest_value(), missed) {
            // The state has them, or newer ones.
            _ if data.is_some() => Vec::new(),
            (Some(key), None | Some(Err(_))) if entry.is_new() => {
                let bytes = NEWEST_BYTES.saturating_sub(self.socket().buffered());
                newest_by_key(&history.publications, key, bytes)
            }
            _ => Vec::new(),
        };
        entry.note_since(since.as_ref(), missed.map(|missed| missed.map(drop)));
        entry.note_given(&newest);
        let mut position = entry.position();
        if let Some(first) = newest.first() {
            // The updates that follow are those after this one.
            position.offset = first.offset - 1;
        }
        let subscribed = Event::Subscribed {
            channel,
            position,
            recovered: missed.map(|missed| missed.map(drop)).into(),
            latest: self.policies().is_latest(channel),
            shown,
            joined: *joined,
            data,
        };
        entry.send(Answer::new(subscribed, id.as_ref()));
        tell(&entry.topic());
        if !entry.is_new()
            && let Some(Ok(missed)) = missed
        {
            // It has been live since the server subscribed it: it gets all behind the answer, also
            // what it has got before.
            for update in missed {
                if let Some(message) = entry.topic().encoded(history.position.epoch, update) {
                    entry.send(message);
                }
            }
            entry.send_held_again(history.position);
        }
        if newest.is_empty() {
            entry.go_live(missed.and_then(Result::ok).unwrap_or_default());
        } else {
            let messages: Vec<_> = newest
                .iter()
                .filter_map(|update| entry.topic().encoded(history.position.epoch, update))
                .collect();
            entry.go_live_after(messages);
        }
        Ok(())
    }
}

fn bytes(publications: &[Arc<Publication>]) -> usize {
    publications.iter().map(|kept| kept.data.len()).sum()
}
