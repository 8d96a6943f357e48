//! A client of live updates, as the documentation wants it: it keeps the position of the
//! last update that it has handled, and comes back with it.

use std::collections::{BTreeMap, BTreeSet};

use nextrush::topic::SlowReaders;
use serde_json::{Value, json};

use super::application::{Application, ROWS_STORED};
use super::asking;
use super::channels::{CHANNELS, OWN, ROWS, TEAM, name_of, topic_of_channel};
use super::link::Link;
use super::node::Node;
use super::oracle::{Oracle, Seen};
use super::outbox::Outbox;
use super::tally::Tally;
use super::token_of;

/// The most updates that a client is sent after coming back.
const RECOVERY_LIMIT: usize = 300;

pub struct Subscriber {
    pub user: &'static str,
    pub link: Link,
    pub outbox: Outbox,
    views: [View; CHANNELS.len()],
    /// The questions of this connection that were not answered yet, by id.
    asked: BTreeMap<String, Asked>,
    last_id: u32,
    /// The numbers of the server's requests on this connection.
    requested: BTreeSet<u64>,
    /// The number of verdicts before this connection, and how often the client was told each code.
    verdicts_before: usize,
    told: BTreeMap<String, usize>,
}

/// A channel as the client knows it.
#[derive(Clone, Default)]
struct View {
    is_subscribed: bool,
    /// The server has subscribed it, and its own subscription has not been answered.
    is_joined: bool,
    /// True if the client came back while it was live and slow: some may come that it was told of already.
    may_repeat: bool,
    /// True if updates of now come again behind the answer to its own subscription.
    comes_again: bool,
    seen: Option<Seen>,
    leave: Option<Leave>,
    rows: Rows,
}

/// The end of a subscription that has to come.
#[derive(Clone, Debug)]
struct Leave {
    /// The number from which on publications are not for this client.
    from: u32,
    /// The times that its user was let in before, unless it may come again at once.
    grants: Option<usize>,
}

/// The rows, as the client has merged them.
#[derive(Clone, Default)]
struct Rows {
    /// The newest versions, of state and updates.
    known: [u64; ROWS_STORED],
    /// The versions of the updates under an epoch.
    updated: (String, [u64; ROWS_STORED]),
    /// A state was loaded, and nothing was missed since.
    is_whole: bool,
}

#[derive(Debug)]
enum Asked {
    Subscribe(usize, Option<Seen>),
    Unsubscribe(usize),
    Refresh,
}

impl Subscriber {
    pub fn new(user: &'static str) -> Self {
        Self {
            user,
            link: Link::default(),
            outbox: Outbox::default(),
            views: Default::default(),
            asked: BTreeMap::new(),
            last_id: 0,
            requested: BTreeSet::new(),
            verdicts_before: 0,
            told: BTreeMap::new(),
        }
    }

    pub async fn connect(&mut self, node: &Node, application: &Application) {
        if self.link.client().is_some() {
            return;
        }
        self.verdicts_before = application.verdicts();
        self.told.clear();
        let path = format!("/live?token={}", token_of(self.user));
        self.link.connect(node, &path).await;
        self.outbox.repeat(&self.link);
    }

    /// The channels that the client is subscribed to, as far as it knows.
    pub fn channels(&self) -> Vec<usize> {
        let views = self.views.iter().enumerate();
        views
            .filter_map(|(channel, view)| view.is_subscribed.then_some(channel))
            .collect()
    }

    /// Subscribes, with its position if it has one.
    pub fn subscribe(&mut self, channel: usize) {
        // What it is sent until an answer comes, it could not tell apart.
        if self.asked.values().any(|asked| asked.is_about(channel)) {
            return;
        }
        let view = &mut self.views[channel];
        let since = view.seen.clone();
        view.comes_again |= view.is_joined && self.link.client().is_some();
        let mut message = json!({ "type": "subscribe", "channel": name_of(channel, self.user) });
        if let Some(Seen { epoch, offset }) = &since {
            message["since"] = json!({ "epoch": epoch, "offset": offset });
        }
        self.ask(message, Asked::Subscribe(channel, since));
        self.link.is_exposed |= CHANNELS[channel].slow_readers == SlowReaders::Close;
    }

    pub fn unsubscribe(&mut self, channel: usize) {
        let channel_name = name_of(channel, self.user);
        let message = json!({ "type": "unsubscribe", "channel": channel_name });
        self.ask(message, Asked::Unsubscribe(channel));
    }

    /// Gives a new token: the rules are asked again.
    pub fn refresh(&mut self) {
        let message = json!({ "type": "refresh", "token": token_of(self.user) });
        self.ask(message, Asked::Refresh);
    }

    fn ask(&mut self, mut message: Value, asked: Asked) {
        if let Some(client) = self.link.client() {
            self.last_id += 1;
            let id = format!("q{}", self.last_id);
            message["id"] = json!(id);
            client.send_json(&message);
            super::trace(|| format!("{} -> {message}", self.user));
            self.asked.insert(id, asked);
        }
    }

    /// Notes that the client's access has been taken away: what is published from this number on is
    /// not for it, unless it is let in again.
    pub fn is_out(&mut self, channel: usize, from: u32, application: &Application) {
        let asks = |asked: &Asked| matches!(asked, Asked::Subscribe(to, _) if *to == channel);
        let is_barred = CHANNELS[channel].is_stored() && !application.is_allowed(self.user);
        let may_be_in = is_barred && self.asked.values().any(asks);
        let view = &mut self.views[channel];
        if view.is_subscribed || may_be_in {
            let grants = is_barred.then(|| application.grants(self.user));
            view.leave = Some(Leave { from, grants });
        }
    }

    /// Loses its connection, with all that has come and was not handled.
    pub fn cut(&mut self) {
        super::trace(|| format!("{} is cut", self.user));
        self.link.cut();
        self.outbox.cut();
        self.asked.clear();
        self.requested.clear();
        for view in &mut self.views {
            view.end();
        }
    }

    /// Handles what has come.
    pub fn handle_all(&mut self, application: &Application, oracle: &Oracle, tally: &mut Tally) {
        while let Some(message) = self.link.take() {
            tally.note(&message);
            super::trace(|| format!("{} at {} <- {message}", self.user, self.link.node()));
            self.handle(&message, application, oracle, tally);
        }
        if self.link.has_ended(tally) {
            self.cut();
        }
    }

    fn handle(
        &mut self,
        message: &Value,
        application: &Application,
        oracle: &Oracle,
        tally: &mut Tally,
    ) {
        let asked = message["id"].as_str().and_then(|id| self.asked.remove(id));
        match (message["type"].as_str().unwrap(), asked) {
            ("subscribed", None) => self.joined(message, tally),
            ("subscribed", Some(Asked::Subscribe(channel, since))) => {
                self.subscribed(message, channel, since, application, oracle, tally);
            }
            ("unsubscribed", Some(Asked::Unsubscribe(channel))) => {
                assert_eq!(message.get("code"), None, "{message}");
                self.views[channel].end();
            }
            ("unsubscribed", None) => {
                let channel = self.channel_of(message);
                let view = &mut self.views[channel];
                assert!(view.is_subscribed, "it was none: {message}");
                view.end();
                self.check_reason(message, application);
                tally.put_out += 1;
            }
            ("error", Some(Asked::Subscribe(channel, _))) => {
                self.check_reason(message, application);
                let code = message["code"].as_str().unwrap();
                let view = &mut self.views[channel];
                // A function that has failed says nothing about a subscription that is there.
                if !view.is_subscribed || ["subscribe-refused", "kicked"].contains(&code) {
                    view.end();
                }
            }
            ("update", None) => self.update(message, oracle, tally),
            ("gap", None) => self.gap(message, oracle, tally),
            ("reconnect", None) => assert!(tally.is_ending),
            ("refreshed", Some(Asked::Refresh)) => {}
            ("request", None) => {
                let number = message["data"].as_u64().unwrap();
                let is_new = self.requested.insert(number);
                assert!(is_new, "requested twice: {message}");
                let client = self.link.client().expect("it is connected");
                asking::respond(client, message);
            }
            ("ack" | "reply" | "error", None) => {
                let Self { outbox, user, .. } = self;
                outbox.take(message, user, application, oracle, tally);
            }
            (_, asked) => panic!("unexpected: {message} to {asked:?}"),
        }
    }

    /// The server has subscribed the client.
    fn joined(&mut self, message: &Value, tally: &mut Tally) {
        assert_eq!(message["joined"], true, "unasked: {message}");
        assert_eq!(self.channel_of(message), OWN);
        tally.joined += 1;
        let mut asked = self.asked.values();
        let begins = asked.any(|asked| matches!(asked, Asked::Subscribe(OWN, None)));
        let view = &mut self.views[OWN];
        assert!(!view.is_subscribed, "it was there: {message}");
        view.is_subscribed = true;
        view.is_joined = true;
        view.leave = None;
        match &view.seen {
            Some(_) if !begins => {
                view.comes_again = true;
                self.subscribe(OWN);
            }
            // It knows nothing older, or has asked for nothing older, and that is under way.
            _ => view.seen = Some(position(message)),
        }
    }

    fn subscribed(
        &mut self,
        message: &Value,
        channel: usize,
        since: Option<Seen>,
        application: &Application,
        oracle: &Oracle,
        tally: &mut Tally,
    ) {
        assert_eq!(self.channel_of(message), channel);
        assert_eq!(message.get("joined"), None, "{message}");
        let topic = topic_of_channel(channel, self.user);
        let view = &mut self.views[channel];
        let now = position(message);
        let is_latest = is_latest(channel);
        assert_eq!(message.get("latest").is_some(), is_latest, "{message}");
        let is_again = |leave: &Leave| leave.grants == Some(application.grants(self.user));
        view.leave = view.leave.take().filter(is_again);
        let is_new = !std::mem::replace(&mut view.is_subscribed, true);
        let comes_back = std::mem::take(&mut view.is_joined) || is_new;
        view.comes_again = false;
        let has_state = is_new && CHANNELS[channel].is_stored() && message["recovered"] != true;
        assert_eq!(message.get("data").is_some(), has_state, "{message}");
        if has_state {
            view.load(&message["data"], channel, &topic, &now, oracle);
            tally.loaded += 1;
        }
        let Some(since) = since.filter(|_| comes_back) else {
            assert_eq!(message.get("recovered"), None, "{message}");
            match &view.seen {
                // Nothing changes; what it has missed may still be on its way.
                Some(seen) if !is_new => {
                    assert_eq!(seen.epoch, now.epoch);
                    assert!(seen.offset <= now.offset, "{seen:?}, {message}");
                }
                _ => view.seen = Some(now),
            }
            return;
        };
        view.may_repeat |= !is_new;
        if message["recovered"] == true {
            // What it missed follows, and is checked as it comes; also what it has had since it asked.
            assert_eq!(since.epoch, now.epoch);
            view.rows.updated = Default::default();
            view.seen = Some(since);
            tally.recovered += 1;
            return;
        }
        assert_eq!(message["recovered"], false);
        match message["reason"].as_str().unwrap() {
            "epoch" => assert_ne!(since.epoch, now.epoch),
            "history" => oracle.check_lost(&topic, &since, &now, RECOVERY_LIMIT),
            reason => panic!("{reason}: {since:?}, {now:?}"),
        }
        tally.refused += 1;
        view.seen = Some(now);
    }

    fn update(&mut self, message: &Value, oracle: &Oracle, tally: &mut Tally) {
        let channel = self.channel_of(message);
        let view = &mut self.views[channel];
        assert!(view.is_subscribed, "not subscribed: {message}");
        let data = &message["data"];
        if let Some(leave) = &view.leave {
            let number = data["number"].as_u64().expect("a number");
            let is_before = number < u64::from(leave.from);
            assert!(is_before, "{} is out: {leave:?}, {message}", self.user);
        }
        if view.comes_again {
            return;
        }
        let seen = view.seen.as_mut().expect("a subscriber has a position");
        let offset = message["offset"].as_u64().unwrap();
        if view.may_repeat && self.link.is_slow() && offset <= seen.offset {
            return;
        }
        if is_latest(channel) && self.link.is_slow() {
            assert!(offset > seen.offset, "{seen:?}, {message}");
        } else {
            assert_eq!(offset, seen.offset + 1, "{seen:?}, {message}");
        }
        seen.offset = offset;
        let is_it = |published: &Value| published == data;
        let published = oracle.data(&topic_of_channel(channel, self.user), seen, is_it);
        assert_eq!(*data, published, "{seen:?}");
        if channel == ROWS {
            let epoch = &seen.epoch;
            view.rows.update(epoch, data);
        }
        tally.delivered += 1;
    }

    fn gap(&mut self, message: &Value, oracle: &Oracle, tally: &mut Tally) {
        let channel = self.channel_of(message);
        let view = &mut self.views[channel];
        assert!(view.is_subscribed, "not subscribed: {message}");
        if view.comes_again {
            return;
        }
        let seen = view.seen.as_mut().expect("a subscriber has a position");
        let to = message["to"].as_u64().unwrap();
        assert_eq!(message["epoch"], seen.epoch, "{seen:?}, {message}");
        if to <= seen.offset {
            // For those who came before the stream began anew.
            return;
        }
        assert!(self.link.is_slow(), "{message}");
        let from = message["from"].as_u64().unwrap();
        let is_next = from == seen.offset + 1;
        let begins_before = view.may_repeat && from <= seen.offset;
        assert!(is_next || begins_before, "{seen:?}, {message}");
        oracle.check_gap(&topic_of_channel(channel, self.user), to);
        tally.gaps += to - seen.offset;
        seen.offset = to;
        view.rows.is_whole = false;
    }

    /// Asserts that somebody has taken the client's access away, or a function has failed, as often
    /// as the client is told so.
    fn check_reason(&mut self, message: &Value, application: &Application) {
        let code = message["code"].as_str().expect("a reason");
        let told = self.told.entry(code.to_owned()).or_default();
        *told += 1;
        let verdicts = application.count_verdicts(self.user, code, self.verdicts_before);
        assert!(
            *told <= verdicts,
            "{} was put out without a reason: {message}",
            self.user
        );
        let is_passing = ["unavailable", "internal"].contains(&code);
        if message["type"] == "unsubscribed" && is_passing {
            assert!(message["retryAfterMs"].is_u64(), "{message}");
        }
    }

    /// Returns whether everything is answered that it has asked.
    pub fn is_answered(&self) -> bool {
        self.asked.is_empty() && self.outbox.is_empty()
    }

    /// Returns whether it is subscribed everywhere, with positions of its own.
    pub fn is_everywhere(&self) -> bool {
        let mut views = self.views.iter();
        views.all(|view| view.is_subscribed && !view.is_joined)
    }

    /// Asserts that it knows of each loss of access, when nothing is under way.
    pub fn check_access(&self, application: &Application) {
        let user = self.user;
        for (channel, view) in self.views.iter().enumerate() {
            let is_out = CHANNELS[channel].is_stored() && !application.is_allowed(user);
            assert!(
                !(is_out && view.is_subscribed),
                "{user} may no longer be in {}, and is",
                name_of(channel, user)
            );
            assert!(
                view.leave.is_none(),
                "{user} was not told that it is out: {:?}",
                view.leave
            );
        }
    }

    /// Asserts that, in the end, the client has everything and waits for nothing.
    pub fn check_done(&self, application: &Application, oracle: &Oracle) {
        assert!(
            self.asked.is_empty(),
            "{} was not answered: {:?}",
            self.user,
            self.asked
        );
        self.outbox.check_done(self.user);
        for (channel, view) in self.views.iter().enumerate() {
            let topic = topic_of_channel(channel, self.user);
            assert!(view.is_subscribed, "it is not subscribed to {topic}");
            assert_eq!(view.seen, oracle.top(&topic), "{topic}");
        }
        let rows = &self.views[ROWS].rows;
        if rows.is_whole {
            assert_eq!(rows.known, application.rows(), "the newest versions");
        }
    }

    fn channel_of(&self, message: &Value) -> usize {
        let name = message["channel"].as_str().unwrap();
        let channel = (0..CHANNELS.len()).find(|channel| name_of(*channel, self.user) == name);
        channel.expect("a channel that it has subscribed to")
    }
}

/// Returns whether only the newest update of a channel matters.
fn is_latest(channel: usize) -> bool {
    CHANNELS[channel].slow_readers == SlowReaders::Latest
}

impl View {
    /// Ends the subscription.
    fn end(&mut self) {
        self.is_subscribed = false;
        self.is_joined = false;
        self.comes_again = false;
        self.may_repeat = false;
        self.leave = None;
    }

    /// Takes a state, which has all that was published up to the position, and is not older than what
    /// the client knows.
    fn load(&mut self, state: &Value, channel: usize, topic: &str, now: &Seen, oracle: &Oracle) {
        let published = oracle.up_to(topic, now);
        if channel == TEAM {
            let state: BTreeSet<u64> = serde_json::from_value(state.clone()).unwrap();
            for data in published {
                let number = data["number"].as_u64().unwrap();
                assert!(
                    state.contains(&number),
                    "a gap between state and updates: {data}"
                );
            }
            return;
        }
        let state: [u64; ROWS_STORED] = serde_json::from_value(state.clone()).unwrap();
        for data in published {
            let (row, version) = row_of(&data);
            assert!(
                state[row] >= version,
                "a gap between state and updates: {data}"
            );
        }
        for (row, known) in self.rows.known.iter_mut().enumerate() {
            assert!(
                state[row] >= *known,
                "row {row} goes back from {known}: {state:?}"
            );
            *known = state[row];
        }
        self.rows.is_whole = true;
    }
}

impl Rows {
    fn update(&mut self, epoch: &str, data: &Value) {
        let (row, version) = row_of(data);
        if self.updated.0 != epoch {
            self.updated = (epoch.to_owned(), Default::default());
        }
        let before = &mut self.updated.1[row];
        assert!(
            version > *before,
            "row {row} goes back from {before}: {data}"
        );
        *before = version;
        self.known[row] = self.known[row].max(version);
    }
}

fn row_of(data: &Value) -> (usize, u64) {
    let row = data["row"].as_u64().unwrap();
    (
        usize::try_from(row).unwrap(),
        data["version"].as_u64().unwrap(),
    )
}

impl Asked {
    fn is_about(&self, channel: usize) -> bool {
        match self {
            Self::Subscribe(about, _) | Self::Unsubscribe(about) => *about == channel,
            Self::Refresh => false,
        }
    }
}

pub fn position(message: &Value) -> Seen {
    Seen {
        epoch: message["epoch"].as_str().unwrap().to_owned(),
        offset: message["offset"].as_u64().unwrap(),
    }
}
