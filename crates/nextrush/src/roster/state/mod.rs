//! A roster on this node: what the store has, what this node wants, and what is under way.
//!
//! No IO and no task here: [`State::take`] takes what happens, [`State::next_request`] gives what
//! is to be done with the store, [`State::due`] the moment at which something happens by itself.

mod doubt;
mod following;
mod members;
mod reading;
mod telling;
mod writing;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{
    BrokerError, Committed, Roster as Stored, RosterChange, RosterRevision, TopicName,
};
use nextrush_engine::ConnectionId;
use tokio::time::Instant;

use self::doubt::Doubt;
use self::following::Awaited;
use self::members::Seen;
use self::reading::Reading;
use self::writing::{Flight, Worked};
use super::host::Surroundings;
use super::living::Living;
use super::own::{Arrived, Owns};
use super::place::Home;
use super::rules::{Origin, Rules};
use super::view::View;
use super::wish::{Act, Settling, Unsettled, Wish};

/// The time after which a join is given up that the store has not taken.
const JOIN: Duration = Duration::from_secs(5);
/// The time after which a failed request is made again, at first and at most.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// The work that is to be done with the store.
#[derive(Debug)]
pub(super) enum Request {
    /// Watch and read.
    Load,
    Read,
    Commit(Arc<RosterChange>),
    /// Read the revision; this is the one of the view.
    Check(RosterRevision),
}

/// An event of a roster.
pub(super) enum Input<R: Rules> {
    Wish(Wish<R>),
    /// Somebody wants to know when the roster is loaded.
    Watch(Settling),
    /// The store tells of a change.
    Pushed(Arc<RosterChange>),
    Loaded(Result<Stored, BrokerError>),
    Read(Result<Stored, BrokerError>),
    Committed(Result<Committed, BrokerError>),
    /// A check has found this revision, if any, while this node's view had that one.
    Checked {
        known: RosterRevision,
        found: Option<RosterRevision>,
    },
    /// Changes may have been lost.
    Interrupted,
    /// Homes that are alive.
    Living(Arc<Living>),
    /// Something is due, or wanted.
    Due,
}

/// A roster on this node.
pub(super) struct State<R: Rules> {
    rules: Arc<R>,
    roster: TopicName,
    /// `true` if no other node has the roster: nothing is stored.
    is_alone: bool,
    phase: Phase,
    /// The roster as it is in the store.
    view: View<R>,
    owns: Owns<R>,
    acts: VecDeque<(Act<R>, Settling)>,
    watchers: Vec<Settling>,
    /// Changes that came before those that lead to them, by the numbers from which they go out.
    early: BTreeMap<u64, Arc<RosterChange>>,
    awaited: Option<Awaited>,
    flight: Option<Box<Flight<R>>>,
    reading: Option<Reading>,
    /// The roster has to be read.
    wants_read: bool,
    /// The revision has to be looked at.
    wants_check: bool,
    is_checking: bool,
    /// The highest number that a revision is known to have had.
    highest: u64,
    /// `true` if what is shown does not lead to the view step by step.
    is_stale: bool,
    /// The store has forgotten something that nodes can put back: until then nobody is told.
    doubt: Option<Box<Doubt<R>>>,
    /// Arrivals that wait until the roster is told anew, by the numbers of members.
    arrived: Vec<(u64, Arrived<R>)>,
    /// The lost members by the moment until which they are waited for.
    lost: BTreeSet<(Instant, u64)>,
    lost_until: HashMap<u64, Instant>,
    homes: HashMap<Arc<Home>, Seen>,
    dead: HashSet<Arc<Home>>,
    failures: u32,
    retry_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Not followed yet.
    New,
    Loading,
    Loaded,
}

impl<R: Rules> State<R> {
    pub(super) fn new(rules: Arc<R>, roster: TopicName, home: Arc<Home>, is_alone: bool) -> Self {
        let (phase, origin) = match is_alone {
            true => (Phase::Loaded, rules.begin()),
            false => (Phase::New, Origin::default()),
        };
        Self {
            rules,
            roster,
            is_alone,
            phase,
            view: View::new(RosterRevision::default(), origin),
            owns: Owns::new(home),
            acts: VecDeque::new(),
            watchers: Vec::new(),
            early: BTreeMap::new(),
            awaited: None,
            flight: None,
            reading: None,
            wants_read: false,
            wants_check: false,
            is_checking: false,
            highest: 0,
            is_stale: false,
            doubt: None,
            arrived: Vec::new(),
            lost: BTreeSet::new(),
            lost_until: HashMap::new(),
            homes: HashMap::new(),
            dead: HashSet::new(),
            failures: 0,
            retry_at: None,
        }
    }

    /// The view as it is in the store, when it is known.
    pub(super) fn view(&self) -> Option<&View<R>> {
        (self.phase == Phase::Loaded).then_some(&self.view)
    }

    /// Returns whether members are at other nodes.
    pub(super) fn has_others(&self) -> bool {
        self.homes.keys().any(|home| home != self.owns.home()) || self.doubt.is_some()
    }

    /// Returns whether nothing of this node is in the roster or on its way, so that it can be
    /// forgotten if nobody looks at it.
    pub(super) fn is_idle(&self) -> bool {
        self.owns.is_empty()
            && self.is_settled()
            && self.watchers.is_empty()
            && self.arrived.is_empty()
            && self.reading.is_none()
            && !self.is_checking
            && self.phase != Phase::Loading
            && (!self.is_alone || self.view.is_empty())
    }

    pub(super) fn own(&self, socket: ConnectionId) -> Option<Arc<R::Member>> {
        self.owns.member(socket)
    }

    /// Frees the memory of collections in which nothing is left. There may be as many rosters as
    /// channels, most of them with few members and nothing to be done.
    pub(super) fn shrink(&mut self) {
        self.owns.shrink();
        if self.lost.is_empty() {
            self.lost = BTreeSet::new();
            self.lost_until.shrink_to_fit();
        }
        if self.acts.is_empty() {
            self.acts.shrink_to_fit();
        }
        if self.arrived.is_empty() {
            self.arrived.shrink_to_fit();
        }
        if self.watchers.is_empty() {
            self.watchers.shrink_to_fit();
        }
    }

    /// Returns whether the store has everything that this node wants.
    pub(super) fn is_settled(&self) -> bool {
        self.owns.is_settled() && self.acts.is_empty() && self.flight.is_none()
    }

    /// Takes what happens.
    pub(super) fn take(&mut self, input: Input<R>, around: &Surroundings<'_, R>) {
        match input {
            Input::Wish(wish) => self.wish(wish, around),
            Input::Watch(settling) => match self.phase {
                Phase::Loaded => settling.settle(Ok(())),
                Phase::New | Phase::Loading => {
                    self.retry_at = None;
                    self.watchers.push(settling);
                }
            },
            Input::Pushed(change) => self.pushed(&change, around),
            Input::Loaded(outcome) | Input::Read(outcome) => self.has_read(outcome, around),
            Input::Committed(outcome) => self.has_committed(outcome, around),
            Input::Checked { known, found } => {
                self.is_checking = false;
                let is_settled = self.flight.is_none() && self.view.revision == known;
                if is_settled && found.is_some_and(|found| found != known) {
                    self.wants_read = true;
                }
            }
            Input::Interrupted => self.wants_check = true,
            Input::Living(living) => self.bury(&living),
            Input::Due => {}
        }
    }

    fn wish(&mut self, wish: Wish<R>, around: &Surroundings<'_, R>) {
        match wish {
            Wish::Join {
                socket,
                member,
                arrival,
                settling,
            } => {
                // Nobody waits for the next attempt of those before.
                self.retry_at = None;
                self.owns.join(socket, member, arrival, settling);
            }
            Wish::Leave(socket) => self.owns.leave(socket, None),
            Wish::Lose(socket) => {
                let until = |grace: Duration| around.time.now_ms().saturating_add(millis(grace));
                self.owns.leave(socket, self.rules.grace().map(until));
            }
            Wish::Update {
                socket,
                member,
                settling,
            } => self.owns.update(socket, member, settling),
            Wish::Act { act, settling } => self.acts.push_back((act, settling)),
        }
    }

    /// The next thing to be done with the store. On a node alone everything is done when this
    /// returns, and it is nothing.
    pub(super) fn next_request(&mut self, around: &Surroundings<'_, R>) -> Option<Request> {
        if self.is_alone {
            while let Some(Worked { steps, after, acts }) = self.work_out(around) {
                self.apply(steps, after, around);
                settle(acts);
            }
            return None;
        }
        let now = Instant::now();
        if let Some(long_ago) = now.checked_sub(JOIN) {
            self.owns.give_up(Some(long_ago), || {
                Unsettled::Store(BrokerError::Unavailable("no answer in time".into()))
            });
        }
        if self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        self.retry_at = None;
        match self.phase {
            Phase::New if self.is_wanted() => {
                self.phase = Phase::Loading;
                self.begin_reading(now);
                return Some(Request::Load);
            }
            Phase::New | Phase::Loading => return None,
            Phase::Loaded => {}
        }
        if self
            .awaited
            .as_ref()
            .is_some_and(|awaited| awaited.until <= now)
        {
            self.awaited = None;
            self.wants_read = true;
        }
        if self.wants_read {
            if self.reading.is_none() {
                self.wants_read = false;
                self.wants_check = false;
                self.begin_reading(now);
                return Some(Request::Read);
            }
            return None;
        }
        if self.wants_check && !self.is_checking && self.flight.is_none() {
            self.wants_check = false;
            self.is_checking = true;
            return Some(Request::Check(self.view.revision));
        }
        if self.flight.is_some() || self.reading.is_some() || self.awaited.is_some() {
            return None;
        }
        if self.doubt.is_some() && !self.is_in_doubt(around) {
            self.tell_anew(around);
        }
        let Worked { steps, after, acts } = self.work_out(around)?;
        let change = Arc::new(self.written(&steps, &after));
        self.highest = change.to.number;
        self.flight = Some(Box::new(Flight {
            change: Arc::clone(&change),
            steps,
            after,
            acts,
            is_applied: false,
            sent: now,
            is_in_doubt: false,
        }));
        Some(Request::Commit(change))
    }

    /// The next moment at which something happens by itself. Nothing is due that waits for the
    /// store.
    pub(super) fn due(&self) -> Option<Instant> {
        let expiry = self.lost.first().map(|(at, _)| *at);
        if self.is_alone {
            return expiry;
        }
        let join = self.owns.oldest_fresh().map(|since| since + JOIN);
        let other = if self.retry_at.is_some() {
            self.retry_at.filter(|_| self.is_wanted())
        } else if let Some(awaited) = &self.awaited {
            Some(awaited.until)
        } else {
            let waits = self.flight.is_some() || self.reading.is_some();
            [expiry, self.end_of_doubt()]
                .into_iter()
                .flatten()
                .min()
                .filter(|_| !waits)
        };
        [join, other].into_iter().flatten().min()
    }

    /// Returns whether there is anything for which the store is needed.
    fn is_wanted(&self) -> bool {
        !self.owns.is_empty()
            || !self.acts.is_empty()
            || !self.watchers.is_empty()
            || self.wants_read
            || self.wants_check
            || self.is_stale
            || !self.lost.is_empty()
            || !self.dead.is_empty()
    }

    /// The store cannot be reached: what was asked of it is given up or tried again later.
    fn fail(&mut self, error: &BrokerError) {
        if self.failures == 0 {
            tracing::warn!(roster = %self.roster, %error, "the roster cannot be kept up to date");
        }
        let failed = || {
            let cause = error.to_string().into();
            Unsettled::Store(match error {
                BrokerError::Full(_) => BrokerError::Full(cause),
                _ => BrokerError::Unavailable(cause),
            })
        };
        self.owns.give_up(None, failed);
        self.owns.fail_updates(failed);
        for settling in self.watchers.drain(..) {
            settling.settle(Err(failed()));
        }
        let wait = FIRST_RETRY * 2_u32.pow(self.failures.min(10));
        self.failures += 1;
        self.retry_at = Some(Instant::now() + wait.min(LAST_RETRY));
    }
}

fn settle<R: Rules>(acts: Vec<(Act<R>, Settling)>) {
    for (_, settling) in acts {
        settling.settle(Ok(()));
    }
}

fn settle_all(settling: Vec<Settling>) {
    for settling in settling {
        settling.settle(Ok(()));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
