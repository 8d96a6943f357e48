//! A roster on this node: what the store has, what this node wants, and what is under way.
//!
//! No IO and no task here: [`State::take`] takes what happens, [`State::next_request`] gives what
//! is to be done with the store, [`State::due`] the moment at which something happens by itself.

mod doubt;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{
    BrokerError, Bytes, Committed, Roster as Stored, RosterChange, RosterRevision, TopicName,
};
use nextrush_engine::ConnectionId;
use tokio::time::Instant;

use self::doubt::Doubt;
use super::change::{Change, Retold, Step};
use super::draft::{self, Draft};
use super::host::Surroundings;
use super::living::Living;
use super::own::{Arrived, Owns, TOUCHED};
use super::place::{Home, Record};
use super::rules::{Origin, Rules};
use super::view::View;
use super::wire;
use super::wish::{Act, Settling, Unsettled, Wish};

/// The time for which a change is waited for that others have made, before the roster is read.
const HOLE: Duration = Duration::from_millis(50);
/// The time after which a join is given up that the store has not taken.
const JOIN: Duration = Duration::from_secs(5);
/// The time after which a failed request is made again, at first and at most.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// The longest time by which nodes are late to take out those who have not come back. Each is by
/// another one, so that mostly one of them does it.
const SPREAD: Duration = Duration::from_millis(200);

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

/// A number that the revision has in the store, ahead of the view.
struct Awaited {
    number: u64,
    /// The moment at which what leads to it is waited for no longer.
    until: Instant,
}

/// A reading that is under way.
struct Reading {
    sent: Instant,
    /// The revision of the view at the beginning.
    known: RosterRevision,
}

/// A home with members in the roster.
struct Seen {
    members: usize,
    since: Instant,
}

/// A change that is on its way to the store.
struct Flight<R: Rules> {
    change: Arc<RosterChange>,
    steps: Vec<Step<R>>,
    after: View<R>,
    acts: Vec<(Act<R>, Settling)>,
    /// `true` if it is in the view already: the store has told of it before it answered.
    is_applied: bool,
    sent: Instant,
    is_in_doubt: bool,
}

/// A change that was worked out.
struct Worked<R: Rules> {
    steps: Vec<Step<R>>,
    after: View<R>,
    acts: Vec<(Act<R>, Settling)>,
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

    fn begin_reading(&mut self, now: Instant) {
        self.reading = Some(Reading {
            sent: now,
            known: self.view.revision,
        });
    }

    /// Works out what is to be changed; `None` if the roster is as it should be.
    fn work_out(&mut self, around: &Surroundings<'_, R>) -> Option<Worked<R>> {
        let rules = Arc::clone(&self.rules);
        let mut draft = Draft::new(&*rules, self.view.clone());
        let shown = around.shown.get().filter(|_| self.is_stale);
        if let Some(doubt) = &self.doubt {
            doubt.put_back(&mut draft, around);
        }
        for (act, _) in &mut self.acts {
            act(&mut draft);
        }
        self.expire(&mut draft);
        self.take_from_dead(&mut draft, around);
        let now_ms = around.time.now_ms();
        let waits = self.owns.work_on(&mut draft, &rules, now_ms);
        if let Some(shown) = shown {
            // Clients are told nothing step by step, and may have seen higher versions than the
            // store knows.
            let is_to_be_told = self.doubt.is_none() && !draft.view().looks_like(&shown);
            draft.is_told_as_a_whole(shown.version() + u64::from(is_to_be_told));
        }
        let worked = draft.finish();
        for Arrived { arrival, settling } in waits {
            rules.waits(&self.roster, arrival);
            settling.settle(Ok(()));
        }
        let acts = self.acts.drain(..).collect();
        let Some((steps, mut after)) = worked else {
            self.owns.has_tried();
            settle(acts);
            return None;
        };
        let number = self.highest.max(self.view.revision.number) + 1;
        after.revision = RosterRevision::new(number, around.tag());
        if after.life == 0 {
            after.life = around.tag();
        }
        Some(Worked { steps, after, acts })
    }

    /// Takes out those who have not come back.
    fn expire(&self, draft: &mut Draft<'_, R>) {
        let now = Instant::now();
        for (_, number) in self.lost.iter().take_while(|(at, _)| *at <= now) {
            let record = draft.view().get(*number);
            if record.is_some_and(|record| record.place.is_lost()) && draft.touched() < TOUCHED {
                draft.remove(*number);
            }
        }
    }

    /// Marks members of dead homes as lost, or takes them out.
    fn take_from_dead(&self, draft: &mut Draft<'_, R>, around: &Surroundings<'_, R>) {
        if self.dead.is_empty() {
            return;
        }
        let is_dead = |record: &Record<R::Member>| {
            let home = record.place.home();
            home.is_some_and(|home| self.dead.contains(home))
        };
        let of_dead: Vec<_> = draft
            .view()
            .members()
            .filter(|(_, record)| is_dead(record))
            .take(TOUCHED)
            .map(|(number, record)| (number, record.clone()))
            .collect();
        let until = self.rules.grace().map(|grace| around.lost_until(grace));
        for (number, record) in of_dead {
            match &until {
                Some(lost) => {
                    let member = self.rules.lost(&record.member);
                    draft.put(number, Record::new(lost.clone(), member));
                }
                None => draft.remove(number),
            }
        }
    }

    /// Takes note of homes that are dead, as far as they have members here.
    fn bury(&mut self, living: &Living) {
        if let Some(doubt) = &mut self.doubt {
            doubt.bury(living);
        }
        let own = self.owns.home();
        for (home, seen) in self.homes.iter().filter(|(home, _)| *home != own) {
            if living.has_lost(home, seen.since) {
                self.dead.insert(Arc::clone(home));
            } else if living.homes.contains(home) {
                self.dead.remove(home);
            }
        }
    }

    /// A change in the form in which it is stored.
    fn written(&self, steps: &[Step<R>], after: &View<R>) -> RosterChange {
        let mut change = RosterChange::new(self.view.revision, after.revision);
        change.head = wire::write_head(after.origin, after.life);
        for step in steps {
            match &step.after {
                Some(record) => {
                    let written = wire::write_record::<R>(record).unwrap_or_else(|error| {
                        tracing::error!(roster = %self.roster, %error, "a member cannot be stored");
                        Bytes::new()
                    });
                    change.put.push((step.number, written));
                }
                None => change.removed.push(step.number),
            }
        }
        change
    }

    /// Takes a change of which the store tells.
    fn pushed(&mut self, change: &Arc<RosterChange>, around: &Surroundings<'_, R>) {
        self.highest = self.highest.max(change.to.number);
        if self.phase != Phase::Loaded {
            self.early.insert(change.from.number, Arc::clone(change));
        } else if change.from == self.view.revision {
            self.follow(change, around);
            self.follow_early(around);
        } else if change.from.number > self.view.revision.number {
            self.early.insert(change.from.number, Arc::clone(change));
            self.await_number(change.to.number);
        } else if change.to != self.view.revision {
            // It was read before, or the store has forgotten something.
            self.wants_check = true;
        }
    }

    /// Follows the changes that came too early, as far as they lead on.
    fn follow_early(&mut self, around: &Surroundings<'_, R>) {
        while let Some((number, change)) = self.early.pop_first() {
            if change.from == self.view.revision {
                self.follow(&change, around);
            } else if number >= self.view.revision.number {
                self.await_number(change.to.number);
                self.early.insert(number, change);
                return;
            }
        }
    }

    fn await_number(&mut self, number: u64) {
        let until = || Instant::now() + HOLE;
        match &mut self.awaited {
            Some(awaited) => awaited.number = awaited.number.max(number),
            None => {
                self.awaited = Some(Awaited {
                    number,
                    until: until(),
                });
            }
        }
    }

    /// Makes a change that goes out from the view.
    fn follow(&mut self, change: &RosterChange, around: &Surroundings<'_, R>) {
        if let Some(flight) = &mut self.flight
            && flight.change.to == change.to
        {
            flight.is_applied = true;
            let steps = mem::take(&mut flight.steps);
            let after = flight.after.clone();
            return self.apply(steps, after, around);
        }
        let steps = self.read_steps(change);
        let mut after = self.view.clone();
        after.make(&*self.rules, &steps);
        after.revision = change.to;
        match wire::read_head(&change.head) {
            Ok((origin, life)) => {
                after.origin.version = origin.version;
                after.origin.last = after.origin.last.max(origin.last);
                after.life = life;
            }
            Err(error) => {
                tracing::error!(roster = %self.roster, %error, "a roster cannot be read");
                after.origin.version += self.rules.versions(&steps);
            }
        }
        self.apply(steps, after, around);
    }

    /// The steps that a stored change has, going out from the view.
    fn read_steps(&self, change: &RosterChange) -> Vec<Step<R>> {
        let mut after: BTreeMap<u64, Option<Record<R::Member>>> = change
            .removed
            .iter()
            .map(|number| (*number, None))
            .collect();
        for (number, bytes) in &change.put {
            after.insert(*number, self.read_record(*number, bytes));
        }
        let mut steps = Vec::with_capacity(after.len());
        for (number, after) in after {
            let before = self.view.get(number).cloned();
            if before != after {
                steps.push(Step {
                    number,
                    before,
                    after,
                    arrival: None,
                });
            }
        }
        draft::sort(&mut steps);
        steps
    }

    fn read_record(&self, number: u64, bytes: &[u8]) -> Option<Record<R::Member>> {
        let known = self.view.get(number);
        match wire::read_record::<R>(bytes, known, self.owns.home()) {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::error!(roster = %self.roster, number, %error, "a member cannot be read");
                None
            }
        }
    }

    /// Makes steps that lead from the view to another one, and tells of them.
    fn apply(&mut self, mut steps: Vec<Step<R>>, after: View<R>, around: &Surroundings<'_, R>) {
        let mut settling = Vec::new();
        for step in &mut steps {
            let (before, now) = (step.before.as_ref(), step.after.as_ref());
            let Some(arrived) = self.note(step.number, before, now, around) else {
                continue;
            };
            if self.is_stale {
                self.arrived.push((step.number, arrived));
            } else {
                step.arrival = Some(arrived.arrival);
                settling.push(arrived.settling);
            }
        }
        let mut before = mem::replace(&mut self.view, after);
        self.has_advanced();
        if self.is_stale {
            return self.tell_anew(around);
        }
        let versions = self.rules.versions(&steps);
        if self.is_alone {
            // A version that was raised beyond its steps is told to nobody.
            before.origin.version = self.view.version().saturating_sub(versions);
        }
        if before.version().checked_add(versions) == Some(self.view.version()) {
            if !steps.is_empty() {
                self.tell(before, steps, around);
            }
            around.shown.set(&self.view);
            settle_all(settling);
            return;
        }
        // Another version of the program counts otherwise.
        self.is_stale = true;
        let arrivals = steps
            .iter_mut()
            .filter_map(|step| Some((step.number, step.arrival.take()?)));
        for ((number, arrival), settling) in arrivals.zip(settling) {
            self.arrived.push((number, Arrived { arrival, settling }));
        }
        self.tell_anew(around);
    }

    fn tell(&self, before: View<R>, steps: Vec<Step<R>>, around: &Surroundings<'_, R>) {
        let change = Change {
            before,
            after: self.view.clone(),
            steps,
            shown: around.shown,
            rules: &*self.rules,
        };
        self.rules.changed(&self.roster, change);
    }

    /// Tells the whole roster, unless it is as it was told or in doubt. Where clients have seen
    /// versions as high as its own that waits until the next change has raised it.
    fn tell_anew(&mut self, around: &Surroundings<'_, R>) {
        if self.is_in_doubt(around) {
            return;
        }
        let shown = around.shown.get();
        let is_as_told = shown.as_ref().is_none_or(|shown| {
            shown.version() == self.view.version() && shown.looks_like(&self.view)
        });
        if !is_as_told
            && let Some(shown) = &shown
            && shown.version() >= self.view.version()
        {
            return;
        }
        self.is_stale = false;
        let mut arrivals = Vec::new();
        let mut settling = Vec::new();
        for (number, arrived) in self.arrived.drain(..) {
            arrivals.push((number, arrived.arrival));
            settling.push(arrived.settling);
        }
        match shown.filter(|_| !is_as_told) {
            Some(before) => {
                let retold = Retold {
                    before,
                    after: self.view.clone(),
                    arrivals,
                    shown: around.shown,
                    rules: &*self.rules,
                };
                self.rules.retold(&self.roster, retold);
            }
            None if !arrivals.is_empty() => {
                let step = |(number, arrival): (u64, R::Arrival)| {
                    let record = self.view.get(number).cloned();
                    Step {
                        number,
                        before: record.clone(),
                        after: record,
                        arrival: Some(arrival),
                    }
                };
                let steps = arrivals.into_iter().map(step).collect();
                self.tell(self.view.clone(), steps, around);
            }
            None => {}
        }
        around.shown.set(&self.view);
        settle_all(settling);
    }

    /// Takes note of what has become of a member.
    fn note(
        &mut self,
        number: u64,
        before: Option<&Record<R::Member>>,
        after: Option<&Record<R::Member>>,
        around: &Surroundings<'_, R>,
    ) -> Option<Arrived<R>> {
        if let Some(at) = self.lost_until.remove(&number) {
            self.lost.remove(&(at, number));
        }
        if let Some(record) = after
            && let Some(grace) = self.rules.grace()
            && let Some(left) = around.left_until(&record.place)
        {
            // Whatever the store's clock says, it is waited for no longer than that.
            let spread = match self.is_alone {
                true => Duration::ZERO,
                false => around.spread(SPREAD),
            };
            let at = Instant::now() + left.min(grace) + spread;
            self.lost_until.insert(number, at);
            self.lost.insert((at, number));
        }
        if !self.is_alone {
            let home = |record: Option<&Record<R::Member>>| record?.place.home().cloned();
            let (was, is) = (home(before), home(after));
            if was != is {
                self.count_homes(was, is);
            }
        }
        if after.is_none() {
            self.owns.try_waiting();
        }
        self.owns.see(number, before, after)
    }

    fn count_homes(&mut self, was: Option<Arc<Home>>, is: Option<Arc<Home>>) {
        if let Some(home) = is {
            let seen = self.homes.entry(home).or_insert_with(|| Seen {
                members: 0,
                since: Instant::now(),
            });
            seen.members += 1;
        }
        if let Some(home) = was
            && let Some(seen) = self.homes.get_mut(&home)
        {
            seen.members -= 1;
            if seen.members == 0 {
                self.homes.remove(&home);
                self.dead.remove(&home);
            }
        }
    }

    /// The view has another revision.
    fn has_advanced(&mut self) {
        let number = self.view.revision.number;
        self.highest = self.highest.max(number);
        if self
            .awaited
            .as_ref()
            .is_some_and(|awaited| awaited.number <= number)
        {
            self.awaited = None;
        }
    }

    fn has_read(&mut self, outcome: Result<Stored, BrokerError>, around: &Surroundings<'_, R>) {
        let reading = self.reading.take();
        let (Ok(stored), Some(reading)) = (outcome.as_ref(), &reading) else {
            if self.phase == Phase::Loading {
                self.phase = Phase::New;
            } else {
                self.wants_read = true;
            }
            if let Err(error) = outcome {
                self.fail(&error);
            }
            return;
        };
        self.failures = 0;
        around.time.note(stored.time_ms, reading.sent);
        let has_moved = self.view.revision != reading.known;
        let found = stored.revision;
        if has_moved && found != self.view.revision && found.number <= self.view.revision.number {
            // What was read is older than what has come meanwhile, or is it? The next one tells.
            self.wants_read = true;
            return;
        }
        let is_new = self.phase != Phase::Loaded || found != self.view.revision;
        self.end_doubt(found);
        self.phase = Phase::Loaded;
        if is_new {
            self.rebase(stored, around);
        } else {
            // What is waited for does not come: it was of a life that the store has forgotten.
            self.early.clear();
        }
        self.awaited = None;
        self.follow_early(around);
        for settling in self.watchers.drain(..) {
            settling.settle(Ok(()));
        }
    }

    /// A reading has found this revision, after it was in doubt whether a change was made.
    fn end_doubt(&mut self, found: RosterRevision) {
        if let Some(flight) = self.flight.take_if(|flight| flight.is_in_doubt) {
            if flight.is_applied || flight.change.to == found {
                settle(flight.acts);
            } else {
                self.acts.extend(flight.acts);
            }
        }
    }

    /// Takes a roster as it was read in place of the view.
    fn rebase(&mut self, stored: &Stored, around: &Surroundings<'_, R>) {
        let mut view: View<R> = View::new(stored.revision, Origin::default());
        for (number, bytes) in &stored.members {
            if let Some(record) = self.read_record(*number, bytes) {
                view.set(&*self.rules, *number, Some(record));
            }
        }
        let mut last = 0;
        match wire::read_head(&stored.head) {
            Ok((origin, life)) => {
                (view.origin.version, last) = (origin.version, origin.last);
                view.life = life;
            }
            Err(error) => {
                tracing::error!(roster = %self.roster, %error, "a roster cannot be read");
            }
        }
        // Numbers that were given are not given again, even if the store has forgotten them.
        view.origin.last = view.origin.last.max(last).max(self.view.last());
        let before = mem::replace(&mut self.view, view);
        self.begin_doubt(&before);
        let after = self.view.clone();
        let all = before.members().chain(after.members());
        let numbers: BTreeSet<u64> = all.map(|(number, _)| number).collect();
        for number in numbers {
            let (was, is) = (before.get(number), after.get(number));
            if was != is
                && let Some(arrived) = self.note(number, was, is, around)
            {
                self.arrived.push((number, arrived));
            }
        }
        self.highest = self.highest.max(stored.revision.number);
        self.is_stale = true;
        self.tell_anew(around);
    }

    fn has_committed(
        &mut self,
        outcome: Result<Committed, BrokerError>,
        around: &Surroundings<'_, R>,
    ) {
        let Some(mut flight) = self.flight.take() else {
            return;
        };
        match outcome {
            Ok(Committed::Done { time_ms }) => {
                self.failures = 0;
                around.time.note(time_ms, flight.sent);
                if !flight.is_applied {
                    if self.view.revision == flight.change.from {
                        let steps = mem::take(&mut flight.steps);
                        self.apply(steps, flight.after, around);
                        self.follow_early(around);
                    } else if self.view.revision.number < flight.change.to.number {
                        self.wants_read = true;
                    }
                }
                settle(flight.acts);
            }
            Ok(Committed::Conflict { revision }) => {
                self.failures = 0;
                self.highest = self.highest.max(revision.number);
                self.acts.extend(flight.acts);
                let known = self.view.revision;
                if revision.number > known.number {
                    self.await_number(revision.number);
                } else if known == flight.change.from {
                    self.wants_read = true;
                }
            }
            Ok(_) => self.wants_read = true,
            Err(error @ BrokerError::InDoubt(_)) => {
                tracing::debug!(roster = %self.roster, %error, "a change is in doubt");
                flight.is_in_doubt = true;
                self.flight = Some(flight);
                self.wants_read = true;
            }
            Err(error) => {
                self.acts.extend(flight.acts);
                self.fail(&error);
            }
        }
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
