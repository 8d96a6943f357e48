//! The messages of a client, and their answers.

use std::sync::Arc;

use nextrush_broker::{HistoryQuery, Publication};

use super::LiveUpdates;
use super::device::DeviceName;
use super::dialect::{Live, announce};
use super::messages::{Command, Event, refusal};
use super::roster::Joined;
use super::shown::{Person, device_bytes, user_bytes};
use crate::message::request::{Answer, CommandId, Request};
use crate::message::{Message, User};
use crate::socket::Socket;
use crate::socket::join::JoinError;
use crate::socket::work::{Maker, deliveries};
use crate::topic::{Since, SubscribeError, Topic, newest_by_key};

/// The most bytes of the newest updates that a new subscriber is given, with what waits for it.
const NEWEST_BYTES: usize = 256 * 1024;

/// The client of live updates behind a socket.
pub(super) struct Client {
    pub(super) live: LiveUpdates,
    /// The user that the socket was admitted as, and what others see of it.
    pub(super) user: Option<(User, Arc<Person>)>,
}

impl Client {
    /// The one for whom the work of this socket counts.
    fn maker(&self, socket: &Socket) -> Maker {
        match &self.user {
            Some((user, _)) => Maker::User(user.id.clone()),
            None => Maker::Socket(socket.id()),
        }
    }

    fn user(&self) -> Option<&User> {
        self.user.as_ref().map(|(user, _)| user)
    }

    pub(super) async fn handle(&self, socket: &Socket, message: Message) {
        let seen_as = self.user.as_ref().map(|(_, person)| &person.profile);
        let Some(request) = Request::receive(socket, &message, &seen_as) else {
            return;
        };
        let id = request.id.as_ref();
        let live = &self.live;
        match request.command {
            Command::Subscribe {
                channel,
                since,
                device,
            } => {
                let subscribed = self.subscribe(socket, &channel, since.as_ref(), device, id);
                match subscribed.await {
                    Ok(()) | Err(SubscribeError::Join(JoinError::Closed)) => {}
                    Err(error) => socket.send(Answer::new(refusal(&channel, error), id)),
                }
            }
            Command::Unsubscribe { channel } => {
                if let Err(error) = live.unsubscribe(&channel, socket).await {
                    tracing::warn!(%error, channel, "the broker could not be told that a channel is unused");
                }
                let channel = &*channel;
                socket.send(Answer::new(Event::Unsubscribed { channel }, id));
            }
            Command::Publish => live.answer_publish(socket, self.user(), &message, id).await,
            Command::Presence { channel, after } => {
                let maker = self.maker(socket);
                if let Err(refusal) = live.answer_presence(socket, &maker, &channel, after, id) {
                    socket.send(Answer::new(refusal, id));
                }
            }
            Command::PresenceUpdate { channel } => {
                match live.update_presence(socket, &self.maker(socket), &channel, &message) {
                    Ok(()) if id.is_some() => {
                        socket.send(Answer::new(Event::Ack { published: None }, id));
                    }
                    Ok(()) => {}
                    Err(refusal) => socket.send(Answer::new(refusal, id)),
                }
            }
        }
    }

    async fn subscribe(
        &self,
        socket: &Socket,
        channel: &str,
        since: Option<&Since>,
        device: Option<DeviceName>,
        id: Option<&CommandId>,
    ) -> Result<(), SubscribeError> {
        let live = self.live.live();
        let topic = self.live.0.topic(channel)?;
        let asked = live.policies.ask_to_subscribe(socket, self.user(), channel);
        asked
            .await
            .map_err(|refusal| SubscribeError::Refused(refusal.map(Box::new)))?;
        let has_presence = live.policies.has_presence(channel);
        if has_presence {
            live.take_over(&topic).await;
        }
        let latest_value = live.policies.latest_value(channel);
        let query = match (since, latest_value) {
            // Also for a client that cannot recover.
            (_, Some(Some(_))) => HistoryQuery::Latest(usize::MAX),
            (Some(_), Some(None)) => HistoryQuery::Latest(Since::MAX_PUBLICATIONS),
            (Some(since), None) => since.query(),
            (None, Some(None)) => HistoryQuery::Latest(1),
            (None, None) => HistoryQuery::Latest(0),
        };

        let is_new = !topic.is_subscribed(socket);
        let wish = topic.wish(socket).await?;
        let history = topic.history(query).await?;
        let missed = since.map(|since| since.missed(&history));
        if is_new {
            let history = match (missed, latest_value) {
                (Some(Ok(missed)), _) => bytes(missed),
                (_, Some(_)) => bytes(&history.publications).min(NEWEST_BYTES),
                (_, None) => 0,
            };
            let told = match &self.user {
                Some((_, person)) if has_presence => self.telling(&topic, person, device.as_ref()),
                _ => 0,
            };
            let allowed = live
                .work
                .allow(&self.maker(socket), deliveries(history, 1) + told);
            allowed.map_err(|exceeded| {
                SubscribeError::Refused(Some(Box::new(exceeded.to_message())))
            })?;
        }
        let entry = wish.admit(&history)?;
        // A client that is subscribed already misses nothing.
        let missed = missed.filter(|_| entry.is_new());
        let newest = match (latest_value, missed) {
            (Some(key), None | Some(Err(_))) if entry.is_new() => {
                let bytes = NEWEST_BYTES.saturating_sub(socket.buffered());
                newest_by_key(&history.publications, key, bytes)
            }
            _ => Vec::new(),
        };
        let mut position = entry.position();
        if let Some(first) = newest.first() {
            // The updates that follow are those after this one.
            position.offset = first.offset - 1;
        }
        let joined = match &self.user {
            Some((_, person)) if entry.is_new() && has_presence => {
                Some(live.presence.join(channel, person, device, socket.id()))
            }
            _ => None,
        };
        let subscribed = Event::Subscribed {
            channel,
            position,
            recovered: missed.map(|missed| missed.map(drop)).into(),
            latest: live.policies.is_latest(channel),
            shown: joined
                .as_ref()
                .and_then(|joined| (!joined.is_shown()).then_some(false)),
        };
        entry.send(Answer::new(subscribed, id));
        announce(
            &entry.topic(),
            joined.map(Joined::into_diffs).unwrap_or_default(),
        );
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

    /// The work of telling a channel that a device has come, and in its time that it has left.
    fn telling(
        &self,
        channel: &Topic<Live>,
        person: &Person,
        device: Option<&DeviceName>,
    ) -> usize {
        let presence = &self.live.live().presence;
        if presence.is_waited_for(channel.name(), &person.id, device) {
            return 0;
        }
        let bytes = user_bytes(&person.profile) + device_bytes(None);
        2 * deliveries(bytes, channel.local_subscribers())
    }
}

fn bytes(publications: &[Arc<Publication>]) -> usize {
    publications.iter().map(|kept| kept.data.len()).sum()
}
