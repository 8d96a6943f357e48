//! The way from the events of a socket to the verdict on it.

use std::borrow::Cow;

use nextrush_broker::Epoch;
use nextrush_engine::Standing;

use super::record::{Event, Filled, Given, Lost, What};
use super::verdict::{Closed, Healing, LeftOut, Verdict};
use crate::message::{Timestamp, UserId};

/// The facts about a publication that are the same for all sockets of a node.
pub(crate) struct Facts {
    pub(crate) offset: u64,
    /// The epochs in which the offset is that of the publication.
    pub(crate) epochs: Vec<Epoch>,
    /// The present epoch, if the topic has subscribers.
    pub(crate) present: Option<Epoch>,
    /// The last publication that was handed to the subscribers.
    pub(crate) delivered: u64,
    /// The time at which this one was.
    pub(crate) sent_ms: Option<u64>,
    /// `true` if the record has all that has happened since this one was published.
    pub(crate) is_complete: bool,
}

/// The present state of a socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Present {
    pub(crate) is_member: bool,
    pub(crate) standing: Standing,
}

/// The outcome of a walk.
pub(crate) struct Found {
    pub(crate) verdict: Verdict,
    pub(crate) closed: Option<Closed>,
    pub(crate) user: Option<UserId>,
}

/// A walk through the events of one socket and one topic, oldest first.
struct Walk<'a> {
    facts: &'a Facts,
    /// `true` while offsets are those of the publication's life.
    is_of_life: bool,
    verdict: Option<Verdict>,
    subscription: Option<Subscription>,
    has_events: bool,
    room: Option<u32>,
    user: Option<UserId>,
    /// The time at which it was subscribed last.
    left_ms: Option<u64>,
    /// The code of the reason why it is no subscriber.
    because: Option<Cow<'static, str>>,
    /// The first publication that waited at the end, and when that was.
    unsent: Option<(u64, u64)>,
    closing: Option<(u16, Box<str>)>,
    closed: Option<Closed>,
}

struct Subscription {
    /// The publication behind which it begins; `None` if it began before the record.
    after: Option<u64>,
    /// The first publication that it skips, and since when.
    lag: Option<(u64, u64)>,
    /// `true` if it is known what became of the publication.
    is_settled: bool,
}

/// The verdict on a socket, after its events and those that concern all subscribers.
pub(crate) fn walk<'a>(
    facts: &Facts,
    events: impl Iterator<Item = &'a Event> + Clone,
    present: &Present,
) -> Found {
    let first_epoch = events.clone().find_map(|event| match &event.what {
        What::Lost(Lost {
            lives: Some(lives), ..
        }) => Some(lives.0),
        What::Renewed(lives) => Some(lives.0),
        _ => None,
    });
    let first_epoch = first_epoch.or(facts.present);
    let mut walk = Walk {
        facts,
        is_of_life: first_epoch.is_some_and(|epoch| facts.epochs.contains(&epoch)),
        verdict: None,
        subscription: None,
        has_events: false,
        room: None,
        user: None,
        left_ms: None,
        because: None,
        unsent: None,
        closing: None,
        closed: None,
    };
    for event in events {
        walk.step(event);
    }
    walk.end(present)
}

impl Walk<'_> {
    fn step(&mut self, event: &Event) {
        let (offset, at_ms) = (self.facts.offset, event.at_ms);
        match &event.what {
            What::Joined(joined) => {
                self.is_of_life = self.facts.epochs.contains(&joined.position.epoch);
                self.room = Some(joined.room);
                self.user.clone_from(&joined.user);
                let after = joined.position.offset;
                if self.is_of_life && offset <= after {
                    // It may have been one before, as far as the record knows.
                    self.offer(match self.facts.is_complete || self.has_events {
                        true => self.away(Some(at_ms)),
                        false => Verdict::Unknown,
                    });
                }
                self.because = None;
                self.subscription = Some(Subscription {
                    after: Some(after),
                    lag: None,
                    is_settled: false,
                });
            }
            What::Given(given) => self.given(given, at_ms),
            What::Lagged { first } => {
                let first = *first;
                self.subscription().lag = Some((first, at_ms));
            }
            What::Filled(filled) => self.filled(filled, at_ms),
            What::Left { last } => {
                let subscription = self.subscription();
                subscription.is_settled |= *last == 0;
                self.settle(*last, at_ms);
                self.subscription = None;
                self.left_ms = Some(at_ms);
            }
            What::Out { code } | What::Refused { code } => self.because = Some(code.clone()),
            What::Unsent { room, first } => {
                if self.room.is_none_or(|own| own == *room) {
                    let first = self.unsent.map_or(*first, |(before, _)| before.min(*first));
                    self.unsent = Some((first, at_ms));
                }
            }
            What::Closing { code, reason } => self.closing = Some((*code, reason.clone())),
            What::Closed(ended) => {
                let own = (ended.code, ended.reason.clone());
                let (code, reason) = self.closing.take().unwrap_or(own);
                self.closed = Some(Closed {
                    at: time(at_ms),
                    code,
                    reason: reason.into(),
                });
                if ended.user.is_some() {
                    self.user.clone_from(&ended.user);
                }
                self.because.get_or_insert(Cow::Borrowed("closed"));
            }
            What::Lost(lost) => self.lost(lost, at_ms),
            What::Renewed(lives) => self.is_of_life = self.facts.epochs.contains(&lives.1),
        }
        self.has_events |= event.socket.is_some();
    }

    /// The subscription that an event belongs to. One that is not known began before the record.
    fn subscription(&mut self) -> &mut Subscription {
        self.subscription.get_or_insert(Subscription {
            after: None,
            lag: None,
            is_settled: false,
        })
    }

    fn given(&mut self, given: &Given, at_ms: u64) {
        let (offset, at) = (self.facts.offset, time(at_ms));
        if !self.is_of_life {
            return;
        }
        let after = self.subscription().after.unwrap_or_default();
        if let Some(rest) = given.rest {
            self.subscription().after = Some(after.min(rest.saturating_sub(1)));
        }
        let is_given = |(first, last): &(u64, u64)| (*first..=*last).contains(&offset);
        if given.publications.as_ref().is_some_and(is_given) {
            let how = match (given.since, given.unrecovered) {
                (Some(_), None) => Healing::Recovered,
                _ => Healing::History,
            };
            self.offer(Verdict::Healed { at, how });
        } else if offset > after {
            // It is sent as it is published.
        } else if given.since.is_some_and(|since| offset <= since)
            && matches!(given.unrecovered, None | Some(LeftOut::History))
        {
            self.offer(Verdict::Seen { at });
        } else if let Some(unrecovered) = given.unrecovered {
            let because = unrecovered;
            self.offer(Verdict::LeftOut { at, because });
        }
    }

    fn filled(&mut self, filled: &Filled, at_ms: u64) {
        let (offset, at) = (self.facts.offset, time(at_ms));
        let is_of_life = self.is_of_life;
        let subscription = self.subscription();
        subscription.lag = filled.next.map(|next| (next, at_ms));
        if !is_of_life || !(filled.first..=filled.last).contains(&offset) {
            return;
        }
        subscription.is_settled = true;
        let is_given = filled.oldest <= offset
            && filled
                .only
                .as_ref()
                .is_none_or(|only| only.contains(&offset));
        self.offer(if is_given {
            let how = Healing::SlowReader;
            Verdict::Healed { at, how }
        } else {
            let because = filled.because;
            Verdict::LeftOut { at, because }
        });
    }

    fn lost(&mut self, lost: &Lost, at_ms: u64) {
        let is_subscribed = self.subscription.is_some();
        if let Some(lives) = &lost.lives {
            if is_subscribed {
                self.settle(lost.ended, at_ms);
            }
            self.is_of_life = self.facts.epochs.contains(&lives.1);
        }
        let Some(subscription) = self.subscription.as_mut() else {
            return;
        };
        if lost.lives.is_some() {
            subscription.after = Some(lost.told);
            subscription.is_settled = false;
        }
        if self.is_of_life && (lost.first..=lost.told).contains(&self.facts.offset) {
            subscription.is_settled = true;
            self.offer(Verdict::LeftOut {
                at: time(at_ms),
                because: LeftOut::Lost,
            });
        }
    }

    /// Says what became of the publication for a subscription to which `last` was the last that was
    /// handed out.
    fn settle(&mut self, last: u64, at_ms: u64) {
        let offset = self.facts.offset;
        let Some(subscription) = self.subscription.as_mut() else {
            return;
        };
        if !self.is_of_life || subscription.is_settled || offset > last {
            return;
        }
        let lag = subscription.lag.filter(|(first, _)| *first <= offset);
        let verdict = match subscription.after {
            Some(after) if offset <= after => return,
            None if !self.facts.is_complete => Verdict::Unknown,
            _ if lag.is_some() => Verdict::LeftOut {
                at: time(at_ms),
                because: LeftOut::LeftBehind,
            },
            _ => Verdict::Sent {
                at: self.facts.sent_ms.map(time),
            },
        };
        self.offer(verdict);
    }

    /// The verdict on a socket that was no subscriber, and became one at some time.
    fn away(&self, until_ms: Option<u64>) -> Verdict {
        Verdict::NotSubscribed {
            since: self.left_ms.map(time),
            until: until_ms.map(time),
            because: self.because.as_deref().map(str::to_owned),
        }
    }

    fn offer(&mut self, verdict: Verdict) {
        let rank = |verdict: &Verdict| verdict.rank();
        if self.verdict.as_ref().map(rank) <= Some(verdict.rank()) {
            self.verdict = Some(verdict);
        }
    }

    fn end(mut self, present: &Present) -> Found {
        self.end_open(present);
        self.found()
    }

    fn found(mut self) -> Found {
        let offset = self.facts.offset;
        if let Some((first, at_ms)) = self.unsent
            && first <= offset
            && matches!(
                self.verdict,
                Some(Verdict::Sent { .. } | Verdict::Healed { .. })
            )
        {
            self.verdict = Some(Verdict::Unsent { at: time(at_ms) });
        }
        let verdict = self.verdict.take().unwrap_or_else(|| {
            match self.facts.is_complete || self.left_ms.is_some() {
                true => self.away(None),
                false => Verdict::Unknown,
            }
        });
        Found {
            verdict,
            closed: self.closed,
            user: self.user,
        }
    }

    /// Looks at a subscription that there is now.
    fn end_open(&mut self, present: &Present) {
        if !present.is_member || !self.is_of_life {
            return;
        }
        let (offset, standing) = (self.facts.offset, present.standing);
        let subscription = self.subscription();
        if let Some(first) = standing.lags_from {
            let since = subscription.lag.map(|(_, at_ms)| at_ms);
            let at_ms = since.unwrap_or_default();
            subscription.lag = Some((first, at_ms));
        }
        let lag = subscription.lag.filter(|(first, _)| *first <= offset);
        let is_past = subscription.after.is_some_and(|after| offset <= after);
        if !is_past && !subscription.is_settled {
            if let Some((_, at_ms)) = lag {
                let since = (at_ms > 0).then(|| time(at_ms));
                return self.offer(Verdict::Lagging { since });
            }
            if offset > self.facts.delivered {
                return self.offer(Verdict::OnTheWay);
            }
            self.settle(self.facts.delivered, 0);
        }
        let waits = standing.waits_from.is_some_and(|first| first <= offset);
        match self.verdict {
            Some(Verdict::Sent { .. }) if waits => {}
            // A part of the history may have been sent by itself.
            Some(Verdict::Healed { .. }) if waits || standing.waits_for_others => {}
            _ => return,
        }
        self.verdict = Some(Verdict::Waiting {
            since: self.facts.sent_ms.map(time),
        });
    }
}

fn time(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

#[cfg(test)]
mod tests {
    use nextrush_broker::{Position, TopicName};
    use nextrush_engine::ConnectionId;

    use super::super::record::Joined;
    use super::*;

    const JOINED_MS: u64 = 1000;

    /// A topic with two lives.
    struct Lives {
        one: Epoch,
        two: Epoch,
    }

    impl Lives {
        fn begin() -> Self {
            Self {
                one: Epoch::begin(0),
                two: Epoch::begin(1),
            }
        }

        /// A publication of the second life.
        fn facts(&self, offset: u64) -> Facts {
            Facts {
                offset,
                epochs: vec![self.two],
                present: Some(self.two),
                delivered: 20,
                sent_ms: Some(1500),
                is_complete: true,
            }
        }

        fn joined(&self, offset: u64) -> What {
            What::Joined(Box::new(Joined {
                user: None,
                room: 7,
                position: Position::new(self.one, offset),
            }))
        }

        fn lost(&self, ended: u64, told: u64) -> What {
            What::Lost(Lost {
                lives: Some(Box::new((self.one, self.two))),
                ended,
                first: 1,
                told,
            })
        }
    }

    fn events(all: Vec<What>) -> Vec<Event> {
        let socket: ConnectionId = "0-1-1".parse().unwrap();
        let event = |(at_ms, what)| Event {
            at_ms,
            socket: Some(socket).filter(|_| !matches!(what, What::Lost(_) | What::Renewed(_))),
            topic: TopicName::try_from("topic/a").ok(),
            what,
        };
        (JOINED_MS..).zip(all).map(event).collect()
    }

    fn verdict(facts: &Facts, all: Vec<What>, is_member: bool) -> Verdict {
        let present = Present {
            is_member,
            ..Present::default()
        };
        walk(facts, events(all).iter(), &present).verdict
    }

    fn left_out(at_ms: u64, because: LeftOut) -> Verdict {
        let at = time(at_ms);
        Verdict::LeftOut { at, because }
    }

    const SENT: Verdict = Verdict::Sent { at: None };

    /// The verdict without the time of a publication that was sent.
    fn kind(verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Sent { .. } => SENT,
            other => other,
        }
    }

    #[test]
    fn offsets_of_one_life_say_nothing_of_another() {
        let lives = Lives::begin();
        let all = || vec![lives.joined(2), lives.lost(9, 3)];
        for (offset, expected) in [
            (3, left_out(1001, LeftOut::Lost)),
            (4, SENT),
            (20, SENT),
            (21, Verdict::OnTheWay),
        ] {
            assert_eq!(kind(verdict(&lives.facts(offset), all(), true)), expected);
        }
        let before = |offset| Facts {
            epochs: vec![lives.one],
            ..lives.facts(offset)
        };
        assert_eq!(kind(verdict(&before(9), all(), true)), SENT);
        let until = |until_ms| Verdict::NotSubscribed {
            since: None,
            until: Some(time(until_ms)),
            because: None,
        };
        assert_eq!(verdict(&before(2), all(), true), until(1000));
        // It was not published in that life.
        assert!(matches!(
            verdict(&before(10), all(), true),
            Verdict::NotSubscribed { .. }
        ));
    }

    #[test]
    fn a_life_that_goes_on_under_another_epoch_is_the_same() {
        let lives = Lives::begin();
        let renewed = || What::Renewed(Box::new((lives.one, lives.two)));
        let facts = |offset| Facts {
            epochs: vec![lives.two, lives.one],
            ..lives.facts(offset)
        };
        for offset in [5, 15] {
            let all = vec![lives.joined(2), renewed(), What::Left { last: 17 }];
            assert_eq!(kind(verdict(&facts(offset), all, false)), SENT);
        }
        let all = vec![lives.joined(2), renewed(), What::Left { last: 17 }];
        assert!(matches!(
            verdict(&facts(18), all, false),
            Verdict::NotSubscribed { since: Some(_), .. }
        ));
    }

    #[test]
    fn what_a_loss_took_and_the_history_gives_again_is_healed() {
        let lives = Lives::begin();
        let filled = What::Filled(Box::new(Filled {
            first: 1,
            oldest: 3,
            last: 5,
            next: None,
            only: None,
            because: LeftOut::Lost,
        }));
        let lagged = What::Lagged { first: 6 };
        let all = || {
            vec![
                lives.joined(2),
                lives.lost(9, 5),
                lagged.clone(),
                filled.clone(),
            ]
        };
        let at = time(1003);
        let how = Healing::SlowReader;
        assert_eq!(
            verdict(&lives.facts(4), all(), true),
            Verdict::Healed { at, how }
        );
        assert_eq!(
            verdict(&lives.facts(2), all(), true),
            left_out(1003, LeftOut::Lost)
        );
        assert_eq!(kind(verdict(&lives.facts(6), all(), true)), SENT);
    }

    #[test]
    fn a_subscription_from_before_the_record_counts_where_the_record_is_complete() {
        let lives = Lives::begin();
        let incomplete = |offset| Facts {
            is_complete: false,
            ..lives.facts(offset)
        };
        for (facts, expected) in [(lives.facts(5), SENT), (incomplete(5), Verdict::Unknown)] {
            assert_eq!(kind(verdict(&facts, Vec::new(), true)), expected);
            let left = vec![What::Left { last: 9 }];
            assert_eq!(kind(verdict(&facts, left, false)), expected);
        }
        // It left before, whatever was before that.
        let left = vec![What::Left { last: 4 }];
        assert!(matches!(
            verdict(&incomplete(5), left, false),
            Verdict::NotSubscribed { .. }
        ));
        assert_eq!(verdict(&incomplete(5), Vec::new(), false), Verdict::Unknown);
    }

    #[test]
    fn only_what_waited_at_the_end_is_unsent() {
        let lives = Lives::begin();
        let facts = |offset| Facts {
            epochs: vec![lives.one],
            present: Some(lives.one),
            ..lives.facts(offset)
        };
        let all = |room| {
            let unsent = What::Unsent { room, first: 6 };
            vec![lives.joined(2), What::Left { last: 9 }, unsent]
        };
        assert_eq!(kind(verdict(&facts(5), all(7), false)), SENT);
        let at = time(1002);
        assert_eq!(verdict(&facts(6), all(7), false), Verdict::Unsent { at });
        // It is one of another room that has ended.
        assert_eq!(kind(verdict(&facts(6), all(8), false)), SENT);
    }
}
