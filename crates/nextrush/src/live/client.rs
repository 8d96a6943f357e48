//! The client of live updates behind a socket, as code finds it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::LiveUpdates;
use super::shown::Person;
use crate::message::User;
use crate::socket::Socket;
use crate::socket::work::Maker;

/// The client of live updates behind a socket.
pub(super) struct Client {
    pub(super) live: LiveUpdates,
    /// The user that the socket was admitted as, and what others see of it.
    pub(super) user: Option<(User, Arc<Person>)>,
    /// Held while a message is handled, a rule asked again, or the server subscribes the socket:
    /// one after the other.
    pub(super) lane: tokio::sync::Mutex<()>,
    pub(super) channels: Mutex<Channels>,
}

/// The channels of a client, by how it came into them.
#[derive(Default)]
pub(super) struct Channels {
    /// The channels that it subscribed to by message: of these the rule is asked again.
    pub(super) asked: BTreeSet<Box<str>>,
    /// The channels that the server subscribed it to, and that it has not asked for yet.
    pub(super) joined: BTreeSet<Box<str>>,
}

/// The client in the data of its socket.
#[derive(Clone)]
struct Served(Arc<Client>);

impl Client {
    /// The client of a socket: the one that it has, unless it is another user's by now.
    pub(super) fn new(live: &LiveUpdates, socket: &Socket) -> Arc<Self> {
        let user = socket.user();
        if let Some(client) = Self::of(socket, live)
            && client.user() == user.as_ref()
        {
            return client;
        }
        let show = |user: User| {
            let profile = (live.live().show_user)(socket, &user);
            let id = user.id.clone();
            (user, Arc::new(Person { id, profile }))
        };
        Arc::new(Self {
            live: live.clone(),
            user: user.map(show),
            lane: tokio::sync::Mutex::default(),
            channels: Mutex::default(),
        })
    }

    /// The client of a socket in these live updates, once it has a subscription or asked for one.
    pub(super) fn of(socket: &Socket, live: &LiveUpdates) -> Option<Arc<Self>> {
        let Served(client) = socket.data()?;
        live.is_same(&client.live).then_some(client)
    }

    /// Keeps the client with its socket, from the first subscription on: most sockets that only
    /// publish need no place for it.
    pub(super) fn keep(self: &Arc<Self>, socket: &Socket) {
        let is_kept = Self::of(socket, &self.live).is_some_and(|kept| Arc::ptr_eq(&kept, self));
        if !is_kept {
            socket.set_data(Served(Arc::clone(self)));
            let client = Arc::clone(self);
            socket.on_refresh(Arc::new(move |socket| {
                client.recheck_all(socket);
            }));
        }
    }

    /// The one for whom the work of this socket counts.
    pub(super) fn maker(&self, socket: &Socket) -> Maker {
        match &self.user {
            Some((user, _)) => Maker::User(user.id.clone()),
            None => Maker::Socket(socket.id()),
        }
    }

    pub(super) fn user(&self) -> Option<&User> {
        self.user.as_ref().map(|(user, _)| user)
    }

    pub(super) fn has_asked_for(&self, channel: &str) -> bool {
        self.channels.lock().asked.contains(channel)
    }

    /// Forgets how the client came into a channel.
    pub(super) fn forget(&self, channel: &str) {
        let mut channels = self.channels.lock();
        channels.asked.remove(channel);
        channels.joined.remove(channel);
    }
}
