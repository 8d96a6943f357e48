//! The way of a client into a channel.

use std::sync::Arc;

use nextrush_broker::HistoryQuery;
use serde_json::value::RawValue;

use super::attempts::Attempt;
use super::client::Client;
use super::device::DeviceName;
use super::dialect::Live;
use super::policies::Refusal;
use super::shown::{Person, device_bytes, user_bytes};
use super::subscribers::Arrival;
use super::subscription::Subscription;
use crate::message::ErrorMessage;
use crate::message::request::CommandId;
use crate::roster::Unsettled;
use crate::socket::Socket;
use crate::socket::join::JoinError;
use crate::socket::work::deliveries;
use crate::topic::{Since, SubscribeError, Topic, Wish};

/// The wish of a client for a channel.
pub(super) struct Wanted<'a> {
    pub(super) channel: &'a str,
    pub(super) since: Option<Since>,
    pub(super) device: Option<DeviceName>,
    pub(super) id: Option<&'a CommandId>,
}

impl<'a> Wanted<'a> {
    /// A channel that the server subscribes the client to.
    pub(super) fn of_server(channel: &'a str) -> Self {
        Self {
            channel,
            since: None,
            device: None,
            id: None,
        }
    }
}

impl Client {
    /// Subscribes the client by its message, if the rule lets it.
    pub(super) async fn subscribe(
        self: &Arc<Self>,
        socket: &Socket,
        wanted: Wanted<'_>,
    ) -> Result<(), SubscribeError> {
        let channel = wanted.channel;
        let live = self.live.live();
        let topic = self.live.topic(channel)?;
        let attempt = live.attempts.begin(socket.id(), channel);
        let entered = self.ask_and_enter(socket, &topic, wanted, &attempt).await;
        if entered.is_ok() {
            let mut channels = self.channels.lock();
            channels.asked.insert(channel.into());
            channels.joined.remove(channel);
        }
        // From now on whoever takes access away finds the subscription.
        let (revoked, is_outdated) = (attempt.revoked(), attempt.take_outdated());
        drop(attempt);
        if is_outdated {
            self.recheck_later(socket, vec![channel.into()]);
        }
        match (entered, revoked) {
            (Err(SubscribeError::GivenUp), Some(reason)) => Err(refused(reason)),
            (entered, _) => entered,
        }
    }

    async fn ask_and_enter(
        &self,
        socket: &Socket,
        topic: &Topic<Live>,
        wanted: Wanted<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<(), SubscribeError> {
        let rejoins = wanted.since.is_some() && {
            let channels = self.channels.lock();
            channels.joined.contains(wanted.channel)
        };
        loop {
            self.ask(socket, topic).await?;
            let is_new = !topic.is_subscribed(socket);
            let wish = topic.wish(socket).await?;
            // Who takes access away from now on finds the wish.
            if let Some(reason) = attempt.revoked() {
                return Err(refused(reason));
            }
            if !attempt.take_outdated() {
                let way = Way {
                    is_new,
                    rejoins,
                    joined: false,
                };
                return self.enter(wish, way, wanted).await;
            }
        }
    }

    /// Asks the rule. A client that it refuses is no subscriber any more.
    async fn ask(&self, socket: &Socket, topic: &Topic<Live>) -> Result<(), SubscribeError> {
        match self.may_subscribe(socket, topic.name()).await {
            Ok(()) => Ok(()),
            Err(refusal) => {
                if matches!(refusal, Refusal::Refused(_)) && self.has_asked_for(topic.name()) {
                    // The answer tells it.
                    self.live.take_out(topic, socket, None).await;
                }
                Err(SubscribeError::Refused(
                    refusal.into_message().map(Box::new),
                ))
            }
        }
    }

    /// Asks whether the client may subscribe.
    pub(super) async fn may_subscribe(
        &self,
        socket: &Socket,
        channel: &str,
    ) -> Result<(), Refusal> {
        let live = self.live.live();
        let user = self.user();
        if let Some(own) = &live.user_channel
            // An id may be empty.
            && (own.matches(channel).is_some() || own.with("") == channel)
        {
            if user.is_none_or(|user| own.with(&user.id.to_string()) != channel) {
                return Err(Refusal::Refused(None));
            }
            if !live.policies.has_policy(channel) {
                return Ok(());
            }
        }
        live.policies.ask_to_subscribe(socket, user, channel).await
    }

    /// Subscribes the socket for the server; `false` if it is a subscriber.
    pub(super) async fn join(
        self: &Arc<Self>,
        socket: &Socket,
        channel: &str,
    ) -> Result<bool, SubscribeError> {
        let _lane = self.lane.lock().await;
        let topic = self.live.topic(channel)?;
        if topic.is_subscribed(socket) {
            return Ok(false);
        }
        let wish = topic.wish(socket).await?;
        let way = Way {
            is_new: true,
            rejoins: false,
            joined: true,
        };
        self.channels.lock().joined.insert(channel.into());
        let entered = self.enter(wish, way, Wanted::of_server(channel)).await;
        if entered.is_err() {
            self.channels.lock().joined.remove(channel);
        }
        entered.map(|()| true)
    }

    /// Makes the socket a subscriber, with its initial state.
    async fn enter(
        &self,
        wish: Wish<Live>,
        way: Way,
        wanted: Wanted<'_>,
    ) -> Result<(), SubscribeError> {
        let (topic, socket) = (wish.topic().clone(), wish.socket().clone());
        let live = self.live.live();
        let channel = wanted.channel;
        let has_presence = live.policies.has_presence(channel);
        // Until the socket is a subscriber, for whom the channel is followed.
        let mut watched = None;
        if has_presence {
            watched = Some(live.presence.watch(topic.stored_name()).await?);
            live.take_over(&topic).await;
        }
        let latest_value = live.policies.latest_value(channel);
        let query = match (&wanted.since, latest_value) {
            // Also for a client that cannot recover.
            (_, Some(Some(_))) => HistoryQuery::Latest(usize::MAX),
            (Some(_), Some(None)) => HistoryQuery::Latest(Since::MAX_PUBLICATIONS),
            (Some(since), None) => since.query(),
            (None, Some(None)) => HistoryQuery::Latest(1),
            (None, None) => HistoryQuery::Latest(0),
        };
        let mut subscription = Subscription {
            history: topic.history(query).await?,
            wish,
            since: wanted.since,
            id: wanted.id.cloned(),
            rejoins: way.rejoins,
            joined: way.joined,
            data: None,
        };
        if way.is_new && !subscription.recovers() {
            // After the position was read: what is published meanwhile follows.
            subscription.data = self.load(&socket, channel).await?;
        }
        let person = self.user.as_ref().map(|(_, person)| person);
        if has_presence && person.is_none() {
            live.tell_of_unseen(&socket, channel);
        }
        let newcomer = person.filter(|_| way.is_new && has_presence);
        if way.is_new || way.rejoins {
            let device = wanted.device.as_ref();
            let told = newcomer.map_or(0, |person| self.telling(&topic, person, device));
            let work = deliveries(subscription.bytes(), 1) + told;
            live.work
                .allow(&self.maker(&socket), work)
                .map_err(|exceeded| refused(exceeded.to_message()))?;
        }
        let entered = match newcomer {
            Some(person) => self.arrive(subscription, person, wanted.device).await,
            None => subscription.enter(None, |_| ()),
        };
        drop(watched);
        entered
    }

    /// The initial state of a channel for the client, if the application has any.
    async fn load(
        &self,
        socket: &Socket,
        channel: &str,
    ) -> Result<Option<Box<RawValue>>, SubscribeError> {
        self.live
            .live()
            .policies
            .load(socket, self.user(), channel)
            .await
            .transpose()
            .map_err(refused)
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

impl Live {
    /// Logs once that presence shows users only. Nothing else tells of a forgotten `admit` or
    /// `identify`, and sockets that only look on need none.
    fn tell_of_unseen(&self, socket: &Socket, channel: &str) {
        self.unseen.call_once(|| {
            tracing::info!(
                endpoint = socket.endpoint(),
                channel,
                "presence does not show a socket without a user: admit or identify it before `connect`"
            );
        });
    }
}

/// The way in which a socket becomes a subscriber.
#[derive(Clone, Copy)]
struct Way {
    /// `true` if the socket was no subscriber before.
    is_new: bool,
    /// `true` if the server subscribed it, and now its client comes back with a position.
    rejoins: bool,
    /// `true` if the server subscribes it.
    joined: bool,
}

fn refused(reason: ErrorMessage) -> SubscribeError {
    SubscribeError::Refused(Some(Box::new(reason)))
}
