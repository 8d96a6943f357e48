//! The rooms that this node listens to: those that have members here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use nextrush_broker::{BrokerError, Bus, TopicName};
use nextrush_engine::RoomEvent;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

/// The time for which a node listens to a room that has lost its last member: a client that comes
/// back costs nothing then.
const LINGER: Duration = Duration::from_secs(5);
/// The pause before a room is asked for again that could not be listened to.
const PAUSE: Duration = Duration::from_secs(1);
/// The most rooms that are asked for at a time.
const AT_ONCE: usize = 256;
/// The longest name of a room on the bus that is made from another one.
const NAME_BYTES: usize = 400;

/// The room of the bus in which casts to a room of the engine go. Long names may have one in
/// common: each cast says which room it is for.
pub(crate) fn bus_room(name: &str) -> TopicName {
    let (start, rest) = match name.strip_prefix('\0') {
        Some(rest) => ("own/", rest),
        None => ("room/", name),
    };
    let mut room = String::with_capacity(start.len() + rest.len().min(NAME_BYTES));
    room.push_str(start);
    for char in rest.chars() {
        if room.len() + char.len_utf8() > NAME_BYTES {
            break;
        }
        room.push(if char.is_control() { '_' } else { char });
    }
    TopicName::try_from(&*room).expect("a short name without controls")
}

/// The rooms that a node is to listen to.
#[derive(Default)]
struct Interest {
    rooms: HashMap<TopicName, Room>,
    /// The rooms to which something is to be done, and when.
    open: HashMap<TopicName, Instant>,
}

struct Room {
    /// The rooms of the engine with members here.
    members: HashSet<Arc<str>>,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Deaf,
    Asking,
    Hearing,
    Leaving,
}

/// The outcome of something that was asked of the bus.
enum Done {
    Listened(TopicName, Result<(), BrokerError>),
    Left(TopicName),
}

impl Interest {
    fn created(&mut self, name: &Arc<str>, now: Instant) {
        let room = bus_room(name);
        let known = self.rooms.entry(room.clone()).or_insert_with(|| Room {
            members: HashSet::new(),
            state: State::Deaf,
        });
        known.members.insert(Arc::clone(name));
        match known.state {
            State::Deaf => drop(self.open.entry(room).or_insert(now)),
            State::Hearing => drop(self.open.remove(&room)),
            State::Asking | State::Leaving => {}
        }
    }

    fn emptied(&mut self, name: &str, now: Instant) {
        let room = bus_room(name);
        let Some(known) = self.rooms.get_mut(&room) else {
            return;
        };
        known.members.remove(name);
        if !known.members.is_empty() {
            return;
        }
        match known.state {
            State::Deaf => {
                self.rooms.remove(&room);
                self.open.remove(&room);
            }
            State::Hearing => drop(self.open.insert(room, now + LINGER)),
            State::Asking | State::Leaving => {}
        }
    }

    /// Takes over which rooms have members, after events were missed.
    fn compare(&mut self, with_members: &[Arc<str>], now: Instant) {
        let have: HashSet<_> = with_members.iter().collect();
        let known = self.rooms.values().flat_map(|room| &room.members);
        let gone: Vec<_> = known.filter(|name| !have.contains(name)).cloned().collect();
        for name in gone {
            self.emptied(&name, now);
        }
        for name in with_members {
            self.created(name, now);
        }
    }

    fn done(&mut self, done: Done, now: Instant) {
        let (room, state, next) = match done {
            Done::Listened(room, Ok(())) => (room, State::Hearing, now + LINGER),
            Done::Listened(room, Err(_)) => (room, State::Deaf, now + PAUSE),
            Done::Left(room) => (room, State::Deaf, now),
        };
        let Some(known) = self.rooms.get_mut(&room) else {
            return;
        };
        known.state = state;
        let is_wanted = !known.members.is_empty();
        if state == State::Deaf && !is_wanted {
            self.rooms.remove(&room);
        } else if (state == State::Hearing) != is_wanted {
            self.open.insert(room, next);
        }
    }

    /// Takes a room out to which something is to be done now: `true` to listen to it.
    fn take_due(&mut self, now: Instant) -> Option<(TopicName, bool)> {
        let due = self.open.iter().find(|(_, at)| **at <= now);
        let room = due.map(|(room, _)| room.clone())?;
        self.open.remove(&room);
        let known = self.rooms.get_mut(&room)?;
        let is_deaf = known.state == State::Deaf;
        known.state = if is_deaf {
            State::Asking
        } else {
            State::Leaving
        };
        Some((room, is_deaf))
    }

    fn next(&self) -> Option<Instant> {
        self.open.values().min().copied()
    }
}

/// Listens to the rooms that have members here, until the application ends. `with_members` gives
/// the names of all, or `None` at the end of the application.
pub(crate) async fn keep_listening(
    bus: Arc<dyn Bus>,
    mut events: Receiver<RoomEvent>,
    with_members: impl Fn() -> Option<Vec<Arc<str>>>,
    is_wanted: impl Fn(&str) -> bool,
) {
    let mut interest = Interest::default();
    let mut doing = FuturesUnordered::<BoxFuture<'_, Done>>::new();
    let all = || {
        let mut rooms = with_members()?;
        rooms.retain(|name| is_wanted(name));
        Some(rooms)
    };
    match all() {
        Some(rooms) => interest.compare(&rooms, Instant::now()),
        None => return,
    }
    loop {
        let now = Instant::now();
        while doing.len() < AT_ONCE
            && let Some((room, is_deaf)) = interest.take_due(now)
        {
            let bus = &bus;
            doing.push(Box::pin(async move {
                if is_deaf {
                    let listened = bus.listen(&room).await;
                    Done::Listened(room, listened)
                } else {
                    bus.unlisten(&room).await;
                    Done::Left(room)
                }
            }));
        }
        let is_full = doing.len() >= AT_ONCE;
        let next = interest.next().filter(|_| !is_full);
        tokio::select! {
            event = events.recv() => match event {
                Ok(RoomEvent::Created(name)) if is_wanted(&name) => {
                    interest.created(&name, Instant::now());
                }
                Ok(RoomEvent::Emptied(name)) => interest.emptied(&name, Instant::now()),
                Ok(RoomEvent::Created(_)) => {}
                Err(RecvError::Lagged(_)) => match all() {
                    Some(rooms) => interest.compare(&rooms, Instant::now()),
                    None => return,
                },
                Err(RecvError::Closed) => return,
            },
            Some(done) = doing.next() => interest.done(done, Instant::now()),
            () = sleep_until(next.unwrap_or(now)), if next.is_some() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_has_one_on_the_bus() {
        for (name, room) in [
            ("lobby", "room/lobby"),
            ("own/x", "room/own/x"),
            ("\0user/\"ada\"", "own/user/\"ada\""),
            ("a\u{85}b", "room/a_b"),
        ] {
            assert_eq!(bus_room(name).as_str(), room);
        }
        let long = bus_room(&"\u{1f600}".repeat(400));
        assert_eq!(long.as_str().len(), "room/".len() + 4 * 98);
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_is_listened_to_from_its_first_member_until_5_s_after_its_last() {
        let mut interest = Interest::default();
        let name: Arc<str> = "lobby".into();
        let room = bus_room(&name);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);

        interest.created(&name, at(0));
        assert_eq!(interest.take_due(at(0)), Some((room.clone(), true)));
        // It is empty before the bus has answered.
        interest.emptied(&name, at(0));
        assert_eq!(interest.take_due(at(9)), None);
        interest.done(Done::Listened(room.clone(), Ok(())), at(10));
        assert_eq!(interest.next(), Some(at(15)));
        // Somebody comes back in time, and leaves for good.
        interest.created(&name, at(14));
        assert_eq!(interest.next(), None);
        interest.emptied(&name, at(20));
        assert_eq!(interest.take_due(at(24)), None);
        assert_eq!(interest.take_due(at(25)), Some((room.clone(), false)));
        // The next one comes before that is done.
        interest.created(&name, at(25));
        assert_eq!(interest.next(), None);
        interest.done(Done::Left(room.clone()), at(26));
        assert_eq!(interest.take_due(at(26)), Some((room.clone(), true)));
        // What fails is tried again a second later.
        let failed = Err(BrokerError::Unavailable("away".into()));
        interest.done(Done::Listened(room.clone(), failed), at(26));
        assert_eq!(interest.take_due(at(26)), None);
        assert_eq!(interest.take_due(at(27)), Some((room.clone(), true)));
        interest.done(Done::Listened(room.clone(), Ok(())), at(27));
        // Missed events are made up for.
        interest.compare(&[], at(30));
        assert_eq!(interest.take_due(at(35)), Some((room.clone(), false)));
        interest.done(Done::Left(room), at(36));
        assert!(interest.rooms.is_empty() && interest.open.is_empty());
    }
}
