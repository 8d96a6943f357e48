//! The messages of a client, and their answers.

use std::sync::Arc;

use nextrush_broker::HistoryQuery;
use nextrush_engine::Work;

use super::LiveUpdates;
use super::device::DeviceName;
use super::dialect::Live;
use super::messages::{Command, Event, refusal};
use super::shown::{Person, device_bytes, user_bytes};
use super::subscribers::Arrival;
use super::subscription::Subscription;
use crate::message::request::{Answer, CommandId, Request};
use crate::message::{Message, User};
use crate::roster::Unsettled;
use crate::socket::Socket;
use crate::socket::claims::{Claim, Claims};
use crate::socket::handler::Call;
use crate::socket::join::JoinError;
use crate::socket::work::{Maker, deliveries};
use crate::topic::{Since, SubscribeError, Topic};

/// The client of live updates behind a socket.
pub(super) struct Client {
    pub(super) live: LiveUpdates,
    /// The user that the socket was admitted as, and what others see of it.
    pub(super) user: Option<(User, Arc<Person>)>,
}

impl Call<Message> for Client {
    fn call(self: Arc<Self>, socket: Socket, message: Message) -> Work {
        Some(Box::pin(async move { self.handle(&socket, message).await }))
    }

    fn claims(&self) -> Claims<'_, Message> {
        Claims::One(Claim::of::<Command>("LiveUpdates::connect").and_questions())
    }
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

    async fn handle(&self, socket: &Socket, message: Message) {
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
                let subscribed = self.subscribe(socket, &channel, since, device, id);
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
                match live
                    .update_presence(socket, &self.maker(socket), &channel, &message)
                    .await
                {
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
        since: Option<Since>,
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
        // Until the socket is a subscriber, for whom the channel is followed.
        let mut watched = None;
        if has_presence {
            watched = Some(live.presence.watch(topic.stored_name()).await?);
            live.take_over(&topic).await;
        }
        let latest_value = live.policies.latest_value(channel);
        let query = match (&since, latest_value) {
            // Also for a client that cannot recover.
            (_, Some(Some(_))) => HistoryQuery::Latest(usize::MAX),
            (Some(_), Some(None)) => HistoryQuery::Latest(Since::MAX_PUBLICATIONS),
            (Some(since), None) => since.query(),
            (None, Some(None)) => HistoryQuery::Latest(1),
            (None, None) => HistoryQuery::Latest(0),
        };

        let is_new = !topic.is_subscribed(socket);
        let wish = topic.wish(socket).await?;
        let subscription = Subscription {
            history: topic.history(query).await?,
            wish,
            since,
            id: id.cloned(),
        };
        let person = self.user.as_ref().map(|(_, person)| person);
        let newcomer = person.filter(|_| is_new && has_presence);
        if is_new {
            let told = newcomer.map_or(0, |person| self.telling(&topic, person, device.as_ref()));
            let work = deliveries(subscription.bytes(), 1) + told;
            live.work
                .allow(&self.maker(socket), work)
                .map_err(|exceeded| {
                    SubscribeError::Refused(Some(Box::new(exceeded.to_message())))
                })?;
        }
        let entered = match newcomer {
            Some(person) => self.arrive(subscription, person, device).await,
            None => subscription.enter(None, |_| ()),
        };
        drop(watched);
        entered
    }

    /// Makes the socket a subscriber as soon as it is known whether its device is shown.
    async fn arrive(
        &self,
        subscription: Subscription,
        person: &Arc<Person>,
        device: Option<DeviceName>,
    ) -> Result<(), SubscribeError> {
        let presence = &self.live.live().presence;
        let refused = Arc::default();
        let (channel, socket) = (subscription.channel().clone(), subscription.socket().id());
        let arrival = Arrival {
            live: self.live.clone(),
            subscription,
            refused: Arc::clone(&refused),
        };
        let joined = presence.join(&channel, person, device, socket, arrival);
        match joined.await {
            Ok(()) => refused.lock().take().map_or(Ok(()), Err),
            Err(Unsettled::Gone) => Err(JoinError::Closed.into()),
            Err(Unsettled::Store(error)) => Err(error.into()),
        }
    }

    /// The work of telling a channel that a device has come, and in its time that it has left.
    fn telling(
        &self,
        channel: &Topic<Live>,
        person: &Person,
        device: Option<&DeviceName>,
    ) -> usize {
        let presence = &self.live.live().presence;
        if presence.is_known(channel.stored_name(), &person.id, device) {
            return 0;
        }
        let bytes = user_bytes(&person.profile) + device_bytes(None);
        2 * deliveries(bytes, channel.local_subscribers())
    }
}
