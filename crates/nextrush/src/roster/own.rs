//! The local truth: the sockets of this node that are in a roster, or want to be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;

use nextrush_engine::ConnectionId;
use tokio::time::Instant;

use super::draft::Draft;
use super::place::{Home, Place, Record};
use super::rules::Rules;
use super::wish::{Settling, Unsettled};

/// The most members that one change touches: what a change weighs is bounded, and the others follow
/// in the next one.
pub(super) const TOUCHED: usize = 500;

/// The sockets of this node that are in a roster, or want to be.
///
/// It is what this node is sure of. The roster is made to agree with it, now and after the store has
/// forgotten something.
pub(super) struct Owns<R: Rules> {
    home: Arc<Home>,
    sockets: HashMap<ConnectionId, Own<R>>,
    /// The sockets that are not in the roster, in the order in which they came.
    newcomers: BTreeMap<u64, ConnectionId>,
    /// The newcomers whose arrival is not taken yet.
    fresh: BTreeMap<u64, ConnectionId>,
    /// The sockets that have to be compared with the roster.
    dirty: BTreeSet<ConnectionId>,
    /// Members of the roster whose sockets have left.
    departures: BTreeMap<u64, Departure>,
    /// Members that are waited for, as the store knew already: it may forget it.
    lost: BTreeMap<u64, Departure>,
    /// `true` if those that wait may find room.
    tries_waiting: bool,
    last: u64,
}

struct Own<R: Rules> {
    /// Its place among those that came.
    order: u64,
    member: Arc<R::Member>,
    /// The member says something of its own, also where it comes back as one that was lost.
    is_changed: bool,
    /// Its number in the roster, if it is in it.
    number: Option<u64>,
    /// The arrival that is not taken yet. It is much larger than all that stays.
    coming: Option<Box<Coming<R>>>,
    /// The ends of updates.
    settling: Vec<Settling>,
}

/// The arrival of a socket that wants to be in the roster.
struct Coming<R: Rules> {
    since: Instant,
    arrival: R::Arrival,
    settling: Settling,
}

/// An arrival that is to be taken now.
pub(super) struct Arrived<R: Rules> {
    pub(super) arrival: R::Arrival,
    /// Settled when it is taken.
    pub(super) settling: Settling,
}

impl<R: Rules> Own<R> {
    fn arrived(&mut self) -> Option<Arrived<R>> {
        let Coming {
            arrival, settling, ..
        } = *self.coming.take()?;
        Some(Arrived { arrival, settling })
    }
}

#[derive(Clone, Copy)]
struct Departure {
    socket: ConnectionId,
    /// The time of the store's clock until which it is waited for.
    lost_until: Option<u64>,
}

impl<R: Rules> Owns<R> {
    pub(super) fn new(home: Arc<Home>) -> Self {
        Self {
            home,
            sockets: HashMap::new(),
            newcomers: BTreeMap::new(),
            fresh: BTreeMap::new(),
            dirty: BTreeSet::new(),
            departures: BTreeMap::new(),
            lost: BTreeMap::new(),
            tries_waiting: false,
            last: 0,
        }
    }

    /// The member that a socket is or wants to be.
    pub(super) fn member(&self, socket: ConnectionId) -> Option<Arc<R::Member>> {
        self.sockets.get(&socket).map(|own| Arc::clone(&own.member))
    }

    pub(super) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// Nothing is there and nothing is left to be done.
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.departures.is_empty()
    }

    /// Everything that the roster has to be told of this node is in it, but for those who wait for
    /// room.
    pub(super) fn is_settled(&self) -> bool {
        self.fresh.is_empty() && self.dirty.is_empty() && self.departures.is_empty()
    }

    pub(super) fn join(
        &mut self,
        socket: ConnectionId,
        member: Arc<R::Member>,
        arrival: R::Arrival,
        settling: Settling,
    ) {
        self.leave(socket, None);
        self.last += 1;
        let coming = Coming {
            since: Instant::now(),
            arrival,
            settling,
        };
        let own = Own {
            order: self.last,
            member,
            is_changed: false,
            number: None,
            coming: Some(Box::new(coming)),
            settling: Vec::new(),
        };
        self.newcomers.insert(own.order, socket);
        self.fresh.insert(own.order, socket);
        self.sockets.insert(socket, own);
    }

    /// Lets a socket leave, or be waited for until then.
    pub(super) fn leave(&mut self, socket: ConnectionId, lost_until: Option<u64>) {
        let Some(own) = self.sockets.remove(&socket) else {
            return;
        };
        self.newcomers.remove(&own.order);
        self.fresh.remove(&own.order);
        self.dirty.remove(&socket);
        if let Some(number) = own.number {
            let departure = Departure { socket, lost_until };
            self.departures.insert(number, departure);
        }
        let coming = own.coming.map(|coming| coming.settling);
        for settling in coming.into_iter().chain(own.settling) {
            settling.settle(Err(Unsettled::Gone));
        }
    }

    pub(super) fn update(
        &mut self,
        socket: ConnectionId,
        member: Arc<R::Member>,
        settling: Settling,
    ) {
        let Some(own) = self.sockets.get_mut(&socket) else {
            return settling.settle(Err(Unsettled::Gone));
        };
        own.member = member;
        if own.number.is_some() {
            own.settling.push(settling);
            self.dirty.insert(socket);
        } else {
            own.is_changed = true;
            settling.settle(Ok(()));
        }
    }

    /// Takes note of a member of the roster, as it is now, and gives the arrival of a socket that
    /// has become it now.
    pub(super) fn see(
        &mut self,
        number: u64,
        before: Option<&Record<R::Member>>,
        after: Option<&Record<R::Member>>,
    ) -> Option<Arrived<R>> {
        let own_socket = |record: &Record<R::Member>| match &record.place {
            Place::At { home, socket } if *home == self.home => Some(*socket),
            _ => None,
        };
        let was = before.and_then(own_socket);
        let is = after.and_then(own_socket);
        if let Some(socket) = was.filter(|was| Some(*was) != is)
            && let Some(own) = self.sockets.get(&socket)
            && own.number == Some(number)
        {
            // Somebody else says that it is not there.
            self.dirty.insert(socket);
        }
        let (Some(socket), Some(after)) = (is, after) else {
            return None;
        };
        let Some(own) = self.sockets.get_mut(&socket) else {
            self.is_unknown(number, socket);
            return None;
        };
        match own.number {
            Some(own_number) if own_number == number => {
                if own.member != after.member {
                    self.dirty.insert(socket);
                }
                None
            }
            Some(_) => {
                self.is_unknown(number, socket);
                None
            }
            None => {
                own.number = Some(number);
                if mem::take(&mut own.is_changed) {
                    self.dirty.insert(socket);
                } else {
                    own.member = Arc::clone(&after.member);
                }
                self.newcomers.remove(&own.order);
                self.fresh.remove(&own.order);
                own.arrived()
            }
        }
    }

    /// A member at this home that no socket is.
    fn is_unknown(&mut self, number: u64, socket: ConnectionId) {
        let known = self.departures.get(&number);
        if known.is_none_or(|known| known.socket != socket) {
            let lost = self.lost.get(&number);
            let lost_until = lost.filter(|lost| lost.socket == socket);
            let lost_until = lost_until.and_then(|lost| lost.lost_until);
            let departure = Departure { socket, lost_until };
            self.departures.insert(number, departure);
        }
    }

    /// Returns whether a socket of this node is the member of this number.
    pub(super) fn is_member(&self, socket: ConnectionId, number: u64) -> bool {
        let own = self.sockets.get(&socket);
        own.is_some_and(|own| own.number == Some(number))
    }

    /// Somebody has left: there may be room.
    pub(super) fn try_waiting(&mut self) {
        self.tries_waiting = true;
    }

    /// The moment from which the oldest newcomer waits to be let in or told that there is no room.
    pub(super) fn oldest_fresh(&self) -> Option<Instant> {
        let (_, socket) = self.fresh.first_key_value()?;
        let coming = self.sockets.get(socket)?.coming.as_ref()?;
        Some(coming.since)
    }

    /// Gives up newcomers that have been waiting since then or longer, or all of them.
    pub(super) fn give_up(&mut self, since: Option<Instant>, error: impl Fn() -> Unsettled) {
        while let Some((_, socket)) = self.fresh.first_key_value() {
            let socket = *socket;
            let own = self.sockets.get_mut(&socket);
            let coming = own.and_then(|own| {
                own.coming
                    .take_if(|coming| since.is_none_or(|since| coming.since <= since))
            });
            match coming {
                Some(coming) => coming.settling.settle(Err(error())),
                None if since.is_some() => return,
                None => {}
            }
            self.leave(socket, None);
        }
    }

    /// Tells those that wait for an update that the store cannot be reached. What they want stays
    /// the truth.
    pub(super) fn fail_updates(&mut self, error: impl Fn() -> Unsettled) {
        for socket in &self.dirty {
            if let Some(own) = self.sockets.get_mut(socket) {
                for settling in mem::take(&mut own.settling) {
                    settling.settle(Err(error()));
                }
            }
        }
    }

    /// Makes a draft agree with this node. Returns the arrivals of those for whom there is no
    /// room.
    pub(super) fn work_on(
        &mut self,
        draft: &mut Draft<'_, R>,
        rules: &R,
        now_ms: u64,
    ) -> Vec<Arrived<R>> {
        let had = draft.view().len();
        self.depart(draft, rules);
        self.lost
            .retain(|_, lost| lost.lost_until.is_some_and(|until| until > now_ms));
        self.correct(draft);
        if draft.view().len() < had {
            self.tries_waiting = true;
        }
        self.admit(draft)
    }

    /// Takes out of a draft those who have left.
    fn depart(&mut self, draft: &mut Draft<'_, R>, rules: &R) {
        let home = &self.home;
        self.departures.retain(|number, departure| {
            let record = draft.view().get(*number);
            let is_own = |record: &&Record<R::Member>| match &record.place {
                Place::At { home: at, socket } => at == home && *socket == departure.socket,
                Place::LostUntil(_) => false,
            };
            let Some(record) = record.filter(is_own).cloned() else {
                if departure.lost_until.is_some() {
                    self.lost.insert(*number, *departure);
                }
                return false;
            };
            if draft.touched() < TOUCHED {
                match departure.lost_until {
                    Some(until) => {
                        let lost = Place::LostUntil(until);
                        draft.put(*number, Record::new(lost, rules.lost(&record.member)));
                    }
                    None => draft.remove(*number),
                }
            }
            true
        });
    }

    /// Corrects what a draft says of sockets of this node.
    fn correct(&mut self, draft: &mut Draft<'_, R>) {
        let mut done = Vec::new();
        for socket in &self.dirty {
            if draft.touched() >= TOUCHED {
                break;
            }
            let Some(own) = self.sockets.get_mut(socket) else {
                done.push(*socket);
                continue;
            };
            let Some(number) = own.number else {
                done.push(*socket);
                continue;
            };
            let agrees = match draft.view().get(number) {
                Some(Record { place, member }) => match place {
                    Place::At { home, socket: at } if *home != self.home || at != socket => {
                        // Its user has come back as another socket: this one has mostly ended.
                        own.number = None;
                        own.is_changed = true;
                        self.newcomers.insert(own.order, *socket);
                        self.tries_waiting = true;
                        true
                    }
                    Place::At { .. } => *member == own.member,
                    Place::LostUntil(_) => false,
                },
                None => false,
            };
            if agrees {
                for settling in mem::take(&mut own.settling) {
                    settling.settle(Ok(()));
                }
                done.push(*socket);
                continue;
            }
            let home = Arc::clone(&self.home);
            let place = Place::At {
                home,
                socket: *socket,
            };
            draft.put(number, Record::new(place, Arc::clone(&own.member)));
        }
        for socket in done {
            self.dirty.remove(&socket);
        }
    }

    /// Lets newcomers into a draft.
    fn admit(&mut self, draft: &mut Draft<'_, R>) -> Vec<Arrived<R>> {
        let tried: Vec<(u64, ConnectionId)> = {
            let tried = match self.tries_waiting {
                true => &self.newcomers,
                false => &self.fresh,
            };
            tried
                .iter()
                .map(|(order, socket)| (*order, *socket))
                .collect()
        };
        let mut waits = Vec::new();
        for (order, socket) in tried {
            if draft.touched() >= TOUCHED {
                return waits;
            }
            let Some(own) = self.sockets.get_mut(&socket) else {
                continue;
            };
            let home = Arc::clone(&self.home);
            let is_in = draft
                .admit(&own.member, Place::At { home, socket })
                .is_some();
            if !is_in && let Some(arrived) = own.arrived() {
                self.fresh.remove(&order);
                waits.push(arrived);
            }
        }
        waits
    }

    /// Frees the memory of collections in which nothing is left.
    pub(super) fn shrink(&mut self) {
        free(&mut self.newcomers);
        free(&mut self.fresh);
        free(&mut self.departures);
        if self.dirty.is_empty() {
            self.dirty = BTreeSet::new();
        }
    }

    /// Notes that those who wait were tried in vain, on a roster that stays as it is.
    pub(super) fn has_tried(&mut self) {
        self.tries_waiting = false;
    }
}

/// Frees the node that a map keeps when it is empty again.
fn free<K, V>(map: &mut BTreeMap<K, V>) {
    if map.is_empty() {
        *map = BTreeMap::new();
    }
}
