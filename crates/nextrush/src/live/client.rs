//! The client of live updates behind a socket, as code finds it again.

use std::collections::BTreeSet;
use std::iter;
use std::mem;
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
    /// The channels of which the rule is to be asked again, in a moment.
    pub(super) outdated: BTreeSet<Box<str>>,
}

/// The clients in the data of their socket, one for each of the live updates that it is in: most are
/// in one.
#[derive(Clone)]
struct Served {
    client: Arc<Client>,
    others: Option<Arc<Self>>,
}

impl Served {
    fn clients(&self) -> impl Iterator<Item = &Arc<Client>> {
        iter::successors(Some(self), |served| served.others.as_deref()).map(|served| &served.client)
    }

    /// These clients, and this one in place of the one of the same live updates.
    fn with(before: Option<&Self>, client: &Arc<Client>) -> Self {
        let others = before.into_iter().flat_map(Self::clients);
        let others = others.filter(|other| !other.live.is_same(&client.live));
        let others = others.fold(None, |others, client| {
            let client = Arc::clone(client);
            Some(Arc::new(Self { client, others }))
        });
        Self {
            client: Arc::clone(client),
            others,
        }
    }
}

impl Client {
    /// The client of a socket that is connected now: the one that it has, unless it is another user's
    /// by now.
    pub(super) fn connect(live: &LiveUpdates, socket: &Socket) -> Arc<Self> {
        let user = socket.user();
        let client = match Self::of(socket, live) {
            Some(client) if client.user() == user.as_ref() => client,
            // What it was subscribed to it is.
            Some(client) => Self::new(live, socket, mem::take(&mut client.channels.lock())),
            None => Self::new(live, socket, Channels::default()),
        };
        client.keep(socket);
        client
    }

    /// The client of a socket, connected or not.
    pub(super) fn of_any(live: &LiveUpdates, socket: &Socket) -> Arc<Self> {
        Self::of(socket, live).unwrap_or_else(|| {
            let client = Self::new(live, socket, Channels::default());
            client.keep(socket);
            client
        })
    }

    fn new(live: &LiveUpdates, socket: &Socket, channels: Channels) -> Arc<Self> {
        let user = socket.user();
        let show = |user: User| {
            let profile = (live.live().show_user)(socket, &user);
            let id = user.id.clone();
            (user, Arc::new(Person { id, profile }))
        };
        Arc::new(Self {
            live: live.clone(),
            user: user.map(show),
            lane: tokio::sync::Mutex::default(),
            channels: Mutex::new(channels),
        })
    }

    /// The client of a socket in these live updates.
    pub(super) fn of(socket: &Socket, live: &LiveUpdates) -> Option<Arc<Self>> {
        let served: Served = socket.data()?;
        let mut clients = served.clients();
        clients.find(|client| live.is_same(&client.live)).cloned()
    }

    fn keep(self: &Arc<Self>, socket: &Socket) {
        let before = socket.update_data(|served| Served::with(served, self));
        drop(before);
        socket.on_refresh(Arc::new(|socket| {
            let served: Option<Served> = socket.data();
            for client in served.iter().flat_map(Served::clients) {
                client.recheck_all(socket);
            }
        }));
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
