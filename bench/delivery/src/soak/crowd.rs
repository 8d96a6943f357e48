//! The clients, each of which knows what it has to hear.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nextrush_protocol::CloseFrame;
use serde::Deserialize;
use serde_json::json;

use crate::api::Api;
use crate::clients::{Clients, Heard, Link};
use crate::error::Error;
use crate::follower::{Follower, Message, Tally};
use crate::soak::configuration::Configuration;
use crate::soak::publisher::{LARGE, Tops};
use crate::soak::{Faults, Settings};
use crate::stream::Way;
use crate::token;

/// The members of a room or channel.
const MEMBERS: usize = 10;
/// The readers of the channel with large updates that read at once.
const QUICK: usize = 3;
/// The askers that share a channel.
const ASKERS: usize = 5;
/// The first of the users who stay: hostile ones have lower numbers.
const MEMBER_USERS: usize = 1_000_000_000;
/// The first of the users who come once.
const PASSING_USERS: usize = 10_000_000;
/// Their channels. A store knows a topic for an hour after it was used last: all of these are known
/// after ten minutes.
const CHANNELS: usize = 4_000;
const TOKEN: Duration = Duration::from_secs(120);
const REFRESH: Duration = Duration::from_secs(50);
/// The pause between two messages of a chatter or an asker.
const TALK: Duration = Duration::from_secs(2);
/// The pause between two users whose tokens are revoked.
const REVOCATION: Duration = Duration::from_secs(10);
/// The time after which a new token counts as issued later, and a little more.
const AFTER_REVOCATION: Duration = Duration::from_millis(1_500);
/// The time in which everything has to be answered.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time between two reads of slow readers, how much they read, and their two phases. With TLS
/// a record of 16 KiB has to be taken for the next, and whoever takes nothing for 10 s is cut.
const STEP: Duration = Duration::from_millis(100);
const SLOW_BYTES: usize = 1_000;
const SLOW: Duration = Duration::from_secs(60);
const QUICKLY: Duration = Duration::from_secs(20);
const SLOW_BUFFER: usize = 4096;
/// The time after which a ticket is not used any more.
const TICKET: Duration = Duration::from_secs(20);
/// The longest text of a fault, in characters.
const FAULT_LENGTH: usize = 600;
const TURN: Duration = Duration::from_millis(20);

/// All clients of a run.
#[derive(Debug)]
pub(super) struct Crowd {
    clients: Clients,
    members: Vec<Member>,
    passing: Vec<Passing>,
    state: State,
    ways: [Way; 2],
    api: Api,
    operator: Sender<usize>,
    tickets: Receiver<(Instant, usize, String)>,
    cuts: Pace,
    arrivals: Pace,
    next_revocation: Instant,
    next_read: Instant,
    /// The beginning of the slow readers' phase, and whether they are slow in it.
    phase: (Instant, bool),
    is_settling: bool,
    desks: usize,
}

/// The counts and faults of all clients.
#[derive(Debug)]
struct State {
    tally: Tally,
    tops: Tops,
    faults: Faults,
    is_ending: bool,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    cut: u64,
    said: u64,
    asked: u64,
    refreshed: u64,
    revoked: u64,
    passed: u64,
    by_ticket: u64,
}

/// A client that stays, or comes back.
#[derive(Debug)]
struct Member {
    role: Role,
    /// The room or channel.
    stream: String,
    follower: Follower,
    /// Messages by their number that are not answered yet; they are said again after a return.
    unanswered: BTreeMap<u64, (Instant, String)>,
    number: u64,
    next_talk: Instant,
    next_refresh: Instant,
    is_refreshing: Option<Instant>,
    /// The time at which it is to connect, if it has no connection.
    due: Option<Instant>,
    is_revoked: Option<Instant>,
    connected: Instant,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    Chatter,
    Reader,
    Device,
    Asker,
    Slow,
}

/// The place of users who come once: they subscribe to a channel of their own, publish and leave.
#[derive(Debug, Default)]
struct Passing {
    user: usize,
    came: Option<Instant>,
}

/// An event that comes so many times a second.
#[derive(Debug)]
struct Pace {
    next: Instant,
    pause: Duration,
    count: usize,
}

#[derive(Deserialize)]
struct Reply {
    number: u64,
}

impl Crowd {
    pub(super) fn new(
        settings: &Settings,
        configuration: &Configuration,
        api: &Api,
        tops: &Tops,
        faults: &Faults,
    ) -> Result<Self, Error> {
        let groups = [
            (Role::Chatter, "room", settings.rooms * MEMBERS, MEMBERS),
            (Role::Reader, "news", settings.channels * MEMBERS, MEMBERS),
            (Role::Device, "desk", settings.desks * MEMBERS, MEMBERS),
            (Role::Asker, "asked", settings.askers, ASKERS),
        ];
        let mut members = Vec::new();
        for (role, name, count, of_each) in groups {
            for number in 0..count {
                members.push(Member::new(role, format!("{name}-{}", number / of_each)));
            }
        }
        for role in [Role::Reader, Role::Slow] {
            let count = match role {
                Role::Slow => settings.slow,
                _ => QUICK,
            };
            members.extend((0..count).map(|_| Member::new(role, LARGE.to_owned())));
        }
        // Each stays for well below a second.
        let places = (2.0 * settings.passing) as usize + 1;
        let now = Instant::now();
        let (operator, users) = mpsc::channel();
        let tickets = operate(api, users, faults);
        Ok(Self {
            clients: Clients::new(configuration.addr(), members.len() + places)?,
            members,
            passing: (0..places).map(|_| Passing::default()).collect(),
            state: State {
                tally: Tally::default(),
                tops: tops.clone(),
                faults: faults.clone(),
                is_ending: false,
                counts: Counts::default(),
            },
            ways: configuration.ways(),
            api: api.clone(),
            operator,
            tickets,
            cuts: Pace::new(settings.cuts),
            arrivals: Pace::new(settings.passing),
            next_revocation: now + REVOCATION,
            next_read: now,
            phase: (now, false),
            is_settling: false,
            desks: settings.desks,
        })
    }

    pub(super) fn tally(&self) -> Tally {
        self.state.tally
    }

    /// The number of members that have their place.
    pub(super) fn connections(&self) -> usize {
        let there = self.members.iter().filter(|member| member.follower.is_in);
        there.count()
    }

    pub(super) fn figures(&self) -> String {
        let Counts {
            cut,
            said,
            asked,
            refreshed,
            revoked,
            passed,
            by_ticket,
        } = self.state.counts;
        format!(
            "members: {}; cut {cut} times, with tokens refreshed {refreshed} and revoked \
             {revoked} times\nmessages said {said}, requests answered {asked}\n\
             users who passed: {passed}, of them with a ticket {by_ticket}\n",
            self.members.len()
        )
    }

    /// Connects everybody.
    pub(super) fn come(&mut self) -> Result<(), Error> {
        self.is_settling = true;
        self.until("clients were coming", PATIENCE, |crowd| {
            crowd.connections() == crowd.members.len()
        })?;
        self.is_settling = false;
        Ok(())
    }

    /// Lets everybody be there again and hear everything, while nobody says anything more.
    pub(super) fn settle(&mut self, patience: Duration) -> Result<(), Error> {
        self.is_settling = true;
        self.set_pace(false);
        self.until("the last messages came", patience, |crowd| {
            let mut members = crowd.members.iter();
            members.all(|member| {
                member.follower.is_in
                    && member.unanswered.is_empty()
                    && member.follower.offset() >= crowd.state.tops.of(&member.stream)
            }) && crowd.passing.iter().all(|place| place.came.is_none())
        })
    }

    /// Waits until the server shows all devices of the channels with presence and no others.
    pub(super) fn compare_presence(&mut self, patience: Duration) -> Result<(), Error> {
        let api = self.api.clone();
        for desk in 0..self.desks {
            let deadline = Instant::now() + patience;
            loop {
                let shown = api.devices(&format!("desk-{desk}"))?;
                if shown == MEMBERS {
                    break;
                }
                if Instant::now() > deadline {
                    let fault = format!("{shown} devices of {MEMBERS} are shown");
                    return Err(Error::Broken(fault));
                }
                self.turn(Instant::now() + STEP)?;
            }
        }
        Ok(())
    }

    /// From now on the server may close connections.
    pub(super) fn expect_the_end(&mut self) {
        self.state.is_ending = true;
    }

    fn until(
        &mut self,
        doing: &'static str,
        patience: Duration,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        while !is_done(self) {
            if Instant::now() > deadline {
                return Err(Error::Silence(doing));
            }
            self.turn(Instant::now() + TURN)?;
        }
        Ok(())
    }

    /// Lets clients act, and hands out what they receive, at most until `until`.
    pub(super) fn turn(&mut self, until: Instant) -> Result<(), Error> {
        if !self.state.is_ending {
            self.connect()?;
            self.act()?;
            self.come_by()?;
            if !self.is_settling {
                self.cut();
                self.revoke();
            }
        }
        self.read_slowly()?;
        let Self {
            clients,
            members,
            passing,
            state,
            ..
        } = self;
        let heard = clients.turn(until, |client, link, heard| {
            state.hear(members, passing, client, link, heard)
        });
        if let Err(error) = heard {
            self.state.fault(error.with_causes());
        }
        Ok(())
    }

    /// Connects the members that are due.
    fn connect(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        for (client, member) in self.members.iter_mut().enumerate() {
            if member.due.is_none_or(|due| due > now) {
                continue;
            }
            member.due = None;
            member.connected = now;
            member.next_refresh = now + REFRESH;
            let token = match member.role {
                // They read the answer to a refresh too late.
                Role::Slow => token::of_user(MEMBER_USERS + client)?,
                _ => token::for_a_time(MEMBER_USERS + client, TOKEN)?,
            };
            let path = match member.role {
                Role::Chatter => member.follower.chat(&member.stream, &token),
                _ => format!("/live?token={token}"),
            };
            let buffer = (member.role == Role::Slow).then_some(SLOW_BUFFER);
            let way = &self.ways[client % self.ways.len()];
            self.clients.connect_by(way, client, &path, buffer)?;
            if member.role == Role::Slow {
                self.clients.pace(client, self.phase.1);
            }
        }
        Ok(())
    }

    /// Lets members say what is due, and notices what is not answered.
    fn act(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        for (client, member) in self.members.iter_mut().enumerate() {
            let late = |since: Instant| now > since + PATIENCE;
            if !member.follower.is_in {
                if member.due.is_none() && late(member.connected) {
                    self.state
                        .fault(format!("member {client} does not get in: {member:?}"));
                    self.clients.cut(client);
                    member.go(now);
                }
                continue;
            }
            let first = member.unanswered.first_key_value();
            if first.is_some_and(|(_, (since, _))| late(*since))
                || member.is_refreshing.is_some_and(late)
                || member.is_revoked.is_some_and(late)
            {
                self.state
                    .fault(format!("member {client} is not answered: {member:?}"));
                self.clients.cut(client);
                member.go(now);
                continue;
            }
            if self.is_settling || member.is_revoked.is_some() {
                continue;
            }
            if now >= member.next_refresh && member.role != Role::Slow {
                member.next_refresh = now + REFRESH;
                member.is_refreshing = Some(now);
                let token = token::for_a_time(MEMBER_USERS + client, TOKEN)?;
                let refresh = json!({ "type": "refresh", "token": token });
                self.clients.text(client, &refresh.to_string())?;
            }
            if now >= member.next_talk
                && let Some(text) = member.talk(now)
            {
                self.state.counts.said += 1;
                self.clients.text(client, &text)?;
            }
        }
        Ok(())
    }

    /// Breaks connections.
    fn cut(&mut self) {
        let now = Instant::now();
        while let Some(count) = self.cuts.next(now) {
            // A prime is no multiple of the number of members, so that everybody's turn comes.
            let client = count.wrapping_mul(7919) % self.members.len();
            let member = &mut self.members[client];
            let may = matches!(member.role, Role::Chatter | Role::Reader | Role::Device);
            if may && member.follower.is_in && member.is_revoked.is_none() {
                self.clients.cut(client);
                let away = 200 + (count.wrapping_mul(733) % 2800) as u64;
                member.go(now + Duration::from_millis(away));
                self.state.counts.cut += 1;
            }
        }
    }

    /// Asks for the revocation of a member's token.
    fn revoke(&mut self) {
        let now = Instant::now();
        if now < self.next_revocation {
            return;
        }
        self.next_revocation = now + REVOCATION;
        let client = (self.state.counts.revoked as usize * 31) % self.members.len();
        let member = &mut self.members[client];
        if matches!(member.role, Role::Chatter | Role::Reader) && member.follower.is_in {
            member.is_revoked = Some(now);
            // It ends with this crowd.
            let _ = self.operator.send(MEMBER_USERS + client);
        }
        self.state.counts.revoked += 1;
    }

    /// Lets new users come by.
    fn come_by(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let first = self.members.len();
        for (place, passing) in self.passing.iter_mut().enumerate() {
            if passing.came.is_some_and(|came| now > came + PATIENCE) {
                self.state
                    .fault(format!("a passing user is stuck: {passing:?}"));
                self.clients.cut(first + place);
                passing.came = None;
            }
        }
        if self.is_settling {
            return Ok(());
        }
        while let Some(count) = self.arrivals.next(now) {
            let free = self.passing.iter().position(|place| place.came.is_none());
            let Some(place) = free else {
                continue;
            };
            let fresh = |(at, ..): &(Instant, usize, String)| at.elapsed() < TICKET;
            let (user, path) = match self.tickets.try_iter().find(fresh) {
                Some((_, user, ticket)) => {
                    self.state.counts.by_ticket += 1;
                    (user, format!("/live?ticket={ticket}"))
                }
                None => {
                    let user = PASSING_USERS + 2 * count;
                    let token = token::for_a_time(user, TOKEN)?;
                    (user, format!("/live?token={token}"))
                }
            };
            self.passing[place] = Passing {
                user,
                came: Some(now),
            };
            let way = &self.ways[count % self.ways.len()];
            self.clients.connect_by(way, first + place, &path, None)?;
        }
        Ok(())
    }

    /// Reads a little for the slow readers, or all when it is time for that.
    fn read_slowly(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let (begun, is_slow) = self.phase;
        let length = if is_slow { SLOW } else { QUICKLY };
        if now > begun + length && !self.is_settling {
            self.phase = (now, !is_slow);
            self.set_pace(!is_slow);
        }
        if now < self.next_read {
            return Ok(());
        }
        self.next_read = now + STEP;
        let is_slow = self.phase.1;
        for client in 0..self.members.len() {
            if self.members[client].role != Role::Slow {
                continue;
            }
            let Self {
                clients,
                members,
                passing,
                state,
                ..
            } = self;
            loop {
                let most = if is_slow { SLOW_BYTES } else { usize::MAX };
                let count = clients.read(client, most, |client, link, heard| {
                    state.hear(members, passing, client, link, heard)
                })?;
                if is_slow || count == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    fn set_pace(&mut self, is_slow: bool) {
        self.phase.1 = is_slow;
        for (client, member) in self.members.iter().enumerate() {
            if member.role == Role::Slow {
                self.clients.pace(client, is_slow);
            }
        }
    }
}

impl Member {
    fn new(role: Role, stream: String) -> Self {
        let now = Instant::now();
        Self {
            role,
            stream,
            follower: Follower::default(),
            unanswered: BTreeMap::new(),
            number: 0,
            next_talk: now,
            next_refresh: now,
            is_refreshing: None,
            due: Some(now),
            is_revoked: None,
            connected: now,
        }
    }

    /// Forgets the connection; it connects again at a time.
    fn go(&mut self, due: Instant) {
        self.follower.is_in = false;
        self.is_refreshing = None;
        self.is_revoked = None;
        self.due = Some(due);
    }

    /// The message that it sends now, if any.
    fn talk(&mut self, now: Instant) -> Option<String> {
        let number = self.number;
        let id = number.to_string();
        let text = match self.role {
            Role::Chatter => json!({ "type": "chat", "id": id, "text": format!("This is {id}") }),
            Role::Asker if number.is_multiple_of(2) => json!({
                "type": "publish", "id": id, "channel": self.stream, "data": number
            }),
            Role::Asker => json!({ "type": "number", "id": id, "number": number }),
            Role::Device if number.is_multiple_of(8) => json!({
                "type": "presence-update", "id": id, "channel": self.stream, "data": number
            }),
            Role::Device | Role::Reader | Role::Slow => {
                self.number += u64::from(self.role == Role::Device);
                self.next_talk = now + TALK;
                return None;
            }
        };
        self.number += 1;
        self.next_talk = now + TALK;
        self.unanswered.insert(number, (now, text.to_string()));
        Some(text.to_string())
    }
}

impl State {
    fn fault(&self, fault: String) {
        let fault = fault.chars().take(FAULT_LENGTH).collect();
        // Nobody hears it when the run is over.
        let _ = self.faults.send(fault);
    }

    fn hear(
        &mut self,
        members: &mut [Member],
        passing: &mut [Passing],
        client: usize,
        link: &mut Link,
        heard: Heard<'_>,
    ) -> Result<(), Error> {
        match client.checked_sub(members.len()) {
            Some(place) => self.pass(&mut passing[place], link, heard),
            None => self.follow(client, &mut members[client], link, heard),
        }
    }

    fn follow(
        &mut self,
        client: usize,
        member: &mut Member,
        link: &mut Link,
        heard: Heard<'_>,
    ) -> Result<(), Error> {
        match heard {
            Heard::Open => match member.role {
                Role::Chatter => Ok(()),
                _ => link.text(&member.subscribe(client)),
            },
            Heard::Text(text) => {
                let message = Message::read(text)?;
                let was_in = member.follower.is_in;
                if let Err(error) = self.take(member, &message) {
                    self.fault(format!("member {client}: {}", error.with_causes()));
                }
                if !was_in && member.follower.is_in {
                    let now = Instant::now();
                    for (since, text) in member.unanswered.values_mut() {
                        *since = now;
                        link.text(text)?;
                    }
                }
                Ok(())
            }
            Heard::Closed(close) => {
                let now = Instant::now();
                if member.is_revoked.is_some() && code(close.as_ref()) == Some(1008) {
                    member.go(now + AFTER_REVOCATION);
                    return Ok(());
                }
                if !self.is_ending {
                    self.fault(format!("member {client} was closed, {close:?}: {member:?}"));
                }
                member.go(now + AFTER_REVOCATION);
                Ok(())
            }
        }
    }

    fn take(&mut self, member: &mut Member, message: &Message<'_>) -> Result<(), Error> {
        let id = message.id.and_then(|id| {
            let id: String = serde_json::from_str(id.get()).ok()?;
            id.parse::<u64>().ok()
        });
        match (&*message.r#type, id) {
            ("refreshed", _) => {
                member.is_refreshing = None;
                self.counts.refreshed += 1;
            }
            ("ack", Some(id)) => {
                member.unanswered.remove(&id);
                // Some are no publications.
                if let Some(offset) = message.offset {
                    self.tops.see(&member.stream, offset);
                }
            }
            ("reply", Some(id)) => {
                let data = message.data.and_then(|data| {
                    let reply: Reply = serde_json::from_str(data.get()).ok()?;
                    Some(reply.number)
                });
                if member.unanswered.remove(&id).is_none() || data != Some(id) {
                    return Err(Error::Broken(format!("a reply: {message:?}")));
                }
                self.counts.asked += 1;
            }
            _ => {
                let before = self.tally;
                member.follower.hear(message, &mut self.tally)?;
                let after = self.tally;
                if (before.lost, before.doubled, before.told, before.refused)
                    != (after.lost, after.doubled, after.told, after.refused)
                {
                    let fault = format!("not everything came once: {message:?} for {member:?}");
                    return Err(Error::Broken(fault));
                }
            }
        }
        Ok(())
    }

    fn pass(
        &mut self,
        passing: &mut Passing,
        link: &mut Link,
        heard: Heard<'_>,
    ) -> Result<(), Error> {
        let channel = format!("passing-{}", passing.user % CHANNELS);
        match heard {
            Heard::Open => {
                let subscribe = json!({ "type": "subscribe", "channel": channel });
                link.text(&subscribe.to_string())
            }
            Heard::Text(text) => {
                let message = Message::read(text)?;
                match &*message.r#type {
                    "subscribed" => {
                        let data = json!({ "user": passing.user });
                        let publish = json!({
                            "type": "publish", "channel": channel, "data": data
                        });
                        link.text(&publish.to_string())
                    }
                    "update" => {
                        self.counts.passed += 1;
                        link.close()
                    }
                    "reconnect" => Ok(()),
                    _ => {
                        self.fault(format!("a passing user: {message:?}"));
                        Ok(())
                    }
                }
            }
            Heard::Closed(close) => {
                if !self.is_ending && code(close.as_ref()) != Some(1000) {
                    self.fault(format!("a passing user was closed: {close:?}"));
                }
                passing.came = None;
                Ok(())
            }
        }
    }
}

impl Member {
    fn subscribe(&self, client: usize) -> String {
        let subscribe = self.follower.subscribe(&self.stream);
        match self.role {
            Role::Device => subscribe.replacen('{', &format!(r#"{{"device":"{client}","#), 1),
            _ => subscribe,
        }
    }
}

impl Pace {
    fn new(a_second: f64) -> Self {
        Self {
            next: Instant::now(),
            pause: Duration::try_from_secs_f64(1.0 / a_second).unwrap_or(Duration::MAX),
            count: 0,
        }
    }

    /// The number of the next one, if it is due.
    fn next(&mut self, now: Instant) -> Option<usize> {
        if now < self.next {
            return None;
        }
        // What was due in a long pause is not made up for.
        self.next = (self.next + self.pause).max(now);
        self.count += 1;
        Some(self.count)
    }
}

fn code(close: Option<&CloseFrame>) -> Option<u16> {
    close.map(|close| close.code().as_u16())
}

/// Revokes the tokens of users that are named, and gets a ticket each second, on a thread of its own.
fn operate(
    api: &Api,
    users: Receiver<usize>,
    faults: &Faults,
) -> Receiver<(Instant, usize, String)> {
    let (tickets, taken) = mpsc::sync_channel(8);
    let (api, faults) = (api.clone(), faults.clone());
    thread::spawn(move || {
        // With even numbers come those with a token.
        let mut user = PASSING_USERS + 1;
        loop {
            let done = match users.recv_timeout(Duration::from_secs(1)) {
                Ok(user) => api.revoke(user).map(|_| None),
                Err(mpsc::RecvTimeoutError::Timeout) => api.ticket(user).map(Some),
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            };
            match done {
                Ok(Some(ticket)) => {
                    // If they are not fetched there are enough.
                    let _ = tickets.try_send((Instant::now(), user, ticket));
                    user += 2;
                }
                Ok(None) => {}
                Err(error) => {
                    // Nobody hears it when the run is over.
                    let _ = faults.send(format!("an operator: {}", error.with_causes()));
                }
            }
        }
    });
    taken
}
